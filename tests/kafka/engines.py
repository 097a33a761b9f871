"""Engines on a real broker, quick to notice that another one is gone, and what they left on the log."""

import asyncio
import time
from collections.abc import Callable

from engine import EngineService, Registry
from engine.core.commands import StartRun
from engine.log.kafka import KafkaLocation
from engine.log.partitioner import partition_of
from engine.log.port import EVENTS, Log, LogRecord
from engine.ports import SystemClock, SystemIds
from tests.checkers import accepted_commits

QUICK = {"session.timeout.ms": "1500", "heartbeat.interval.ms": "100"}
"""An executor that says nothing for so long has lost its partitions."""
SECONDS = 90
"""How long anything here may take, on a busy machine."""

ids = SystemIds(SystemClock())


def executor(location: KafkaLocation, registry: Registry, **more: str) -> EngineService:
    return EngineService.open(str(location), registry, kafka_properties={**QUICK, **more})


def client(location: KafkaLocation) -> EngineService:
    return EngineService.open(str(location))


def start_of(workflow_id: str, number: int = 0, run_id: str | None = None) -> StartRun:
    """Return a command as a foreign producer would send it."""
    run = ids.run_id() if run_id is None else run_id
    return StartRun(id=ids.command_id(), run=run, workflow=workflow_id, context={"number": number})


def run_in_partition(partition: int, partitions: int) -> str:
    """Return the id of a new run that lives there."""
    while partition_of(run_id := ids.run_id(), partitions) != partition:
        pass
    return run_id


async def eventually(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Wait until something outside this process's event loop has happened."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"expected within {seconds} s: {what}"
        await asyncio.sleep(0.02)


async def read_all(log: Log, topic: str, partition: int = 0) -> list[LogRecord]:
    """Return everything that stands in a partition now."""
    end = (await log.ends(topic, partition)).end
    return list(await log.read(topic, partition, 0, end))


async def event_types(log: Log, run_id: str) -> list[str]:
    """Return the types of a run's events that count, by a second writing of the rule."""
    records = await read_all(log, EVENTS, partition_of(run_id, log.partitions))
    commits = accepted_commits(records).get(run_id, ())
    return [event["type"] for commit in commits for event in commit["events"]]
