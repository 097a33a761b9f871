"""A host that is killed, with all ready-made services: told what to follow by a `Task`, and what it has said by a pipe.

Its process is forked from one that has loaded everything (`tests.consumers.group_hosts`), so that many can be killed.
"""

import asyncio
import os
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import consumers.host.host
from consumers.host import Delivery, Service, ServiceHost, Start, open_progress
from consumers.log_lines import LogLines
from consumers.sql import RunsTable
from consumers.webhook import RUN_TYPES, TRACE_TYPES, Webhook
from engine import Run, Trace
from engine.log.embedded import EmbeddedLog
from engine.log.kafka import KafkaLog, parse_location
from engine.log.opening import is_kafka
from engine.log.port import Log
from tests.consumers.sql_worker import Ledger

QUICK = {"session.timeout.ms": "1000", "heartbeat.interval.ms": "100"}
"""The group soon misses a member that was killed."""
LOOK_SECONDS = 0.02
NEVER = 1_000_000
"""Calls for a change before it is parked, for databases that two processes write to at once may refuse one of them; and
ends of the process in one call: whoever is killed from outside again and again is not to blame a call.
"""


class Task(NamedTuple):
    """What a host is to do.

    Attributes:
        location: A directory, which another process writes, or kafka://...
        group: A directory, or a group's name on Kafka.
        files: The directory for what `lines` and `book` write.
        hook: The URL of a receiver of webhooks, or an empty text for none.
        databases: URLs of databases, each of which gets a ledger and tables of runs and traces.
    """

    location: str
    group: str
    files: Path
    hook: str = ""
    databases: tuple[str, ...] = ()

    @property
    def book(self) -> Path:
        """What the service of this name writes."""
        return self.files / "book"

    @property
    def lines(self) -> Path:
        """The same."""
        return self.files / "lines"


class Writes:
    """Appends one line for each change, in one write: `EVENT RUN`."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def run_progress(self, run: Run, delivery: Delivery) -> None:
        os.write(self._file, f"{delivery.event_id} {run.run_id}\n".encode())

    async def trace_progress(self, trace: Trace, delivery: Delivery) -> None:
        os.write(self._file, f"{delivery.event_id} {trace.run_id}\n".encode())


def services_of(task: Task) -> dict[str, Service]:
    """Make the services."""
    made: dict[str, Service] = {
        "book": Writes(task.book),
        "lines": LogLines(task.lines.open("a", encoding="utf-8")),
    }
    if task.hook:
        secret = "whsec_" + "A" * 43 + "="
        types = RUN_TYPES + TRACE_TYPES
        made["hook"] = Webhook(task.hook, [secret], types=types, allow_http=True, allowed_networks=["127.0.0.0/8"])
    for number, url in enumerate(task.databases):
        made[f"ledger{number}"] = Ledger(url, "never", 0)
        made[f"runs{number}"] = RunsTable(url, traces="traces")
    return made


def begin(task: Task, pipe: Connection) -> None:
    """Follow until killed, or until something is sent."""
    # Often, so that most kills come between two records of progress.
    vars(consumers.host.host)["FOLLOW_SAVE_CHANGES"] = 7
    asyncio.run(_follow(task, pipe))


async def _follow(task: Task, pipe: Connection) -> None:
    log: Log
    if is_kafka(task.location):
        log = await KafkaLog.open(parse_location(task.location), QUICK)
        progress = open_progress(log, task.group)
    else:
        log = await EmbeddedLog.open_reading(task.location)
        progress = open_progress(log, "group", Path(task.group))
    services = services_of(task)
    async with ServiceHost(log, services, progress, start=Start.beginning(), attempts=NEVER, deaths=NEVER) as host:
        saying = asyncio.create_task(_say_partitions(host, pipe))
        await asyncio.to_thread(pipe.recv)
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
    await log.close()


async def _say_partitions(host: ServiceHost, pipe: Connection) -> None:
    """Send which partitions the host has whenever that changes."""
    said: list[int] = []
    while True:
        now = sorted({lag.partition for lag in await host.lag()})
        if now != said:
            pipe.send(now)
            said = now
        await asyncio.sleep(LOOK_SECONDS)
