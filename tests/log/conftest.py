from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

import pytest

from engine.log.embedded import Durability, EmbeddedLog, ReadOnlyLog
from engine.log.kafka import KafkaLog
from engine.log.port import Log
from tests.log.beside import Beside, at_once
from tests.simulation.log import SimulatedLog
from tests.support.logs import new_location, open_kafka


class OpenLog(Protocol):
    def __call__(self, partitions: int = 1, clock: Callable[[], float] = lambda: 1_700_000_000.5) -> Awaitable[Log]: ...


OpenAgain = Callable[[], Awaitable[Log]]
"""Closes the log that was opened before, if any, and opens the same one anew."""


@pytest.fixture(params=["embedded", "embedded-process", "kafka"])
async def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenAgain]:
    """Open one log that outlives whoever opened it, any number of times."""
    opened: list[Log] = []
    location = await new_location(request.getfixturevalue("broker"), 2) if request.param == "kafka" else None

    async def again() -> Log:
        if opened:
            await opened[-1].close()
        log: Log
        if location is not None:
            log = await KafkaLog.open(location)
        else:
            log = await EmbeddedLog.open(tmp_path, 2, "process" if request.param == "embedded-process" else "fsync")
        opened.append(log)
        return log

    yield again
    await opened[-1].close()


@pytest.fixture(params=["embedded", "embedded-process", "beside", "simulated", "kafka"])
async def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenLog]:
    opened: list[Log] = []

    async def open_one(partitions: int = 1, clock: Callable[[], float] = lambda: 1_700_000_000.5) -> Log:
        log: Log
        if request.param == "kafka":
            log = await open_kafka(request.getfixturevalue("broker"), partitions)
        elif request.param == "simulated":
            log = SimulatedLog(partitions, clock)
        else:
            durability: Durability = "process" if request.param == "embedded-process" else "fsync"
            path = tmp_path / f"log {len(opened)}"
            log = writer = await EmbeddedLog.open(path, partitions, durability, clock)
            if request.param == "beside":
                log = Beside(writer, ReadOnlyLog(path, at_once))
        opened.append(log)
        return log

    yield open_one
    for log in opened:
        await log.close()
