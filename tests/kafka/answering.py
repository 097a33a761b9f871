"""An executor in a process of its own, whose runs answer what they are asked.

Usage: answering.py LOCATION
"""

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Final

from engine import Call, ContextObject, EngineService, Registry
from engine.log.errors import LogUnreachableError
from tests.kafka.engines import QUICK

ANSWER_SECONDS: Final = 0.1
"""How long an answer takes: long enough that many runs are open when their executor dies."""

registry = Registry()


@registry.node("answer")
async def answer(context: ContextObject, call: Call) -> None:
    """Answer with the question and who is asked, after a while."""
    await asyncio.sleep(ANSWER_SECONDS)
    context.set("answer", f"{context.get('question', int)} of {call.run_id}")


async def main(location: str) -> None:
    """Execute until SIGTERM or something worse."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    while not ended.is_set():
        # Brokers that answer too late on a busy machine are asked again, as `runline execute` does.
        with suppress(LogUnreachableError):
            async with EngineService.open(location, registry, executor=True, kafka_properties=QUICK):
                await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
