"""An executor in a process of its own, which may stop or die at a point.

Usage: worker.py LOCATION LEDGER [SIGNAL POINT COUNT]; it sends itself SIGNAL when it comes to POINT the COUNTth time.
"""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

import engine.core.checkpoint
import engine.executor.checkpointer
from engine import Call, EngineService
from engine.log.kafka import KafkaLog, parse_location
from tests.kafka.points import Point, PointedLog
from tests.support.ledger import Ledger, working

QUICK = {"session.timeout.ms": "1000", "heartbeat.interval.ms": "100"}
CHECKPOINT_BYTES = 20_000
PART_BYTES = 1_500
ON_ITS_WAY_SECONDS = 0.02
"""What was handed to the client may be on the log when the process dies, or not: both are tried."""

SLOW_SECONDS = 0.1

ledger = Ledger(Path(sys.argv[2]) if len(sys.argv) > 2 else Path())


class Fate:
    """What happens to this process, and where."""

    def __init__(self, words: list[str]) -> None:
        self._signal = signal.Signals[words[0]] if words else signal.SIGTERM
        self._point = Point[words[1]] if words else None
        self._left = int(words[2]) if words else 0

    def reached(self, point: Point) -> None:
        """Meet it, if this is the place."""
        if point is Point.ASSIGNED:
            ledger.note("assigned", os.getpid())
        if point is not self._point:
            return
        self._left -= 1
        if not self._left:
            if random.random() < 0.5:
                time.sleep(ON_ITS_WAY_SECONDS)
            ledger.note(self._signal.name, point.name, os.getpid())
            os.kill(os.getpid(), self._signal)


fate = Fate(sys.argv[3:])


def effect(call: Call) -> None:
    """Leave a trace in the outside world, and perhaps nothing more."""
    ledger.effect(call)
    fate.reached(Point.EFFECT_DONE)


async def main(location: str) -> None:
    """Execute until SIGTERM or something worse."""
    # Much smaller than in use, so that checkpoints come often and in many parts.
    vars(engine.executor.checkpointer)["CHECKPOINT_BYTES_MIN"] = CHECKPOINT_BYTES
    vars(engine.core.checkpoint)["CHECKPOINT_PART_BYTES"] = PART_BYTES
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    log = await KafkaLog.open(parse_location(location), QUICK)
    async with EngineService.open(PointedLog(log, fate.reached), working(effect, SLOW_SECONDS), executor=True):
        ledger.note("ready", os.getpid())
        await ended.wait()
        fate.reached(Point.LEAVING)
    await log.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
