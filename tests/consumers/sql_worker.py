"""A host that kills itself. Usage: sql_worker.py LOG GROUP URL POINT COUNT, POINT being `never` or one of `POINTS`.

Its service enters each change of a run or trace in a ledger that would hold it twice.
"""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

from sqlalchemy import create_engine, text

import consumers.host.host
from consumers.host import Delivery, Service, ServiceHost, Start, open_progress
from consumers.sql import RunsTable, SqlPositions
from engine import Run, Trace
from engine.log.embedded import EmbeddedLog

POINTS = ("before", "recorded", "entered", "committed")


class Ledger:
    """Enters each change once, and dies at a point when it passes it for the given time."""

    def __init__(self, url: str, point: str, count: int) -> None:
        self._engine = create_engine(url)
        self._positions = SqlPositions("ledger")
        self._positions.create_table(self._engine)
        self._point, self._left = point, count
        self._turn = threading.Lock()
        with self._engine.begin() as connection:
            connection.execute(text("create table if not exists entries (event_id text, run_id text)"))

    def close(self) -> None:
        self._engine.dispose()

    def run_progress(self, run: Run, delivery: Delivery) -> None:
        self._enter(run.run_id, delivery)

    def trace_progress(self, trace: Trace, delivery: Delivery) -> None:
        self._enter(trace.run_id, delivery)

    def _enter(self, run_id: str, delivery: Delivery) -> None:
        self._pass("before")
        # SQLite has one writer at a time, and a busy one starves the others.
        with self._turn, self._engine.begin() as connection:
            if self._positions.once(connection, delivery):
                self._pass("recorded")
                entry = {"event": delivery.event_id, "run": run_id}
                connection.execute(text("insert into entries values (:event, :run)"), entry)
                self._pass("entered")
        self._pass("committed")

    def _pass(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


async def main(location: str, group: Path, url: str, point: str, count: int) -> None:
    """Follow until everything was dealt with, or until the service dies."""
    # Often, so that a start goes on in the middle, and yet most kills come between two records of progress.
    vars(consumers.host.host)["FOLLOW_SAVE_CHANGES"] = 7
    log = await EmbeddedLog.open_reading(location)
    services: dict[str, Service] = {"ledger": Ledger(url, point, count), "runs": RunsTable(url)}
    progress = open_progress(log, "g", group)
    # Its calls are not to blame for the ends of its processes, and none is to be parked.
    async with ServiceHost(log, services, progress, start=Start.beginning(), deaths=100) as host:
        await host.caught_up()
        assert [lag.parked for lag in await host.lag()] == [0] * 4
    await log.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])))
