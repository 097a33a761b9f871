"""Folds logs in processes that are killed.

Usage: worker.py LOG VIEWS; for every line on its input it begins another process that folds the log into the views for
ever: from here it need not load everything first. It prints the process's number, "folds" when that one has folded
something, and when it has ended how.
"""

import asyncio
import os
import sys
from pathlib import Path

import engine.log.scanning
import projections.partition_fold
from engine.log.embedded import EmbeddedLog
from engine.log.kafka import KafkaLog, parse_location
from engine.log.opening import is_kafka
from engine.log.port import Log
from projections import Projector
from tests.projections.counts import WITH_COUNTS


async def main(location: str, views: Path) -> None:
    """Fold until killed."""
    # Much smaller than in use: the process shall be busy with folding when the end comes.
    vars(projections.partition_fold)["PROJECTION_BATCH_RECORDS"] = 2
    vars(engine.log.scanning)["_AT_ONCE"] = 2
    log: Log
    if is_kafka(location):
        log = await KafkaLog.open(parse_location(location))
    else:
        log = await EmbeddedLog.open_reading(Path(location))
    async with Projector(log, views, projections=WITH_COUNTS) as projector:
        begun = projector.progress[0]
        while projector.progress[0] in (0, begun):
            begun = begun or projector.progress[0]
            await projector.moved()
        print("folds", flush=True)
        await asyncio.Future()


if __name__ == "__main__":
    for _ in sys.stdin:
        if not (child := os.fork()):
            asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(status, flush=True)
