"""Replays a log in a process that is killed.

Usage: worker.py LOG VIEWS WORK; it prints a line for every step, and goes on when it reads one; at the end it prints
the report as JSON.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

import projections.commit_reader
import projections.partition_fold
from engine.log.embedded import EmbeddedLog
from projections.replay import Replay
from projections.replay.replay import Advance
from projections.replay.report import replay_json


@contextmanager
def printing(title: str, unit: str, total: int | None) -> Iterator[Advance]:
    """Print every step, and wait: whoever counts them kills at the step that it means, however busy the machine is."""
    del unit, total

    def advance(count: int) -> None:
        print(title, count, flush=True)
        sys.stdin.readline()

    yield advance


async def main(location: str, views: str, work: str) -> None:
    """Replay the whole log."""
    # Much smaller than in use: the process shall be busy with replaying when the end comes.
    vars(projections.partition_fold)["PROJECTION_BATCH_RECORDS"] = 2
    vars(projections.commit_reader)["_STRETCH_RECORDS"] = 3
    log = await EmbeddedLog.open_reading(Path(location))
    report = await Replay(log, Path(views), Path(work), stage=printing).whole()
    await log.close()
    print(orjson.dumps(replay_json(report)).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
