"""What all workers have in common."""

import asyncio
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable

from engine.errors import LogError

CANNOT_BEGIN = 75
"""The exit code of a worker that found no brokers when it began: whoever keeps it starts it again."""
SESSION_SECONDS = 2.0
"""A member of a group that says nothing for so long is replaced."""
PROPERTIES = {
    "session.timeout.ms": str(int(SESSION_SECONDS * 1000)),
    "heartbeat.interval.ms": "200",
    # A record whose outcome is unknown becomes known to be so while the brokers are still away.
    "message.timeout.ms": "4000",
    "socket.timeout.ms": "3000",
}


def _say_what_it_does() -> None:
    """Write down where every task and thread is: what stands still can be told from that."""
    for task in asyncio.all_tasks():
        task.print_stack(file=sys.stderr)
    faulthandler.dump_traceback(sys.stderr)


def work(main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run until SIGTERM has set the event and all is over; return the exit code."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format=f"%(asctime)s {os.getpid()} %(levelname)s %(name)s %(message)s"
    )

    async def run() -> None:
        leaving = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, leaving.set)
        loop.add_signal_handler(signal.SIGUSR1, _say_what_it_does)
        await main(leaving)

    try:
        asyncio.run(run())
    except LogError:
        logging.getLogger("chaos").exception("Cannot begin")
        return CANNOT_BEGIN
    return 0
