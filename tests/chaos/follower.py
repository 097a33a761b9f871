"""A host of two progress services, as a process: LOCATION ARTEFACTS. One service is sound, the other slow and weak."""

import asyncio
import zlib
from collections.abc import Sequence
from pathlib import Path

import consumers.host.host
from consumers.host import Delivery, ServiceHost, Start, open_progress
from engine import Run, Trace
from engine.log.kafka import KafkaLog, parse_location
from tests.chaos.roles import PROPERTIES, work
from tests.checkers.artefacts import Delivered, note

GROUP = "chaos"
SERVICES = ("sound", "weak")
_SAVE_CHANGES = 50
"""Fewer than in use, so that most kills come between two records of progress."""
_WEAK_ONE_IN = 10
_SLOW_ONE_IN = 7
_SLOW_SECONDS = 0.05


class Sound:
    """Writes down what it hears."""

    name = SERVICES[0]

    def __init__(self, artefacts: Path) -> None:
        self._artefacts = artefacts

    async def run_progress(self, run: Run, delivery: Delivery) -> None:
        await self._hear(run.run_id, delivery)

    async def trace_progress(self, trace: Trace, delivery: Delivery) -> None:
        await self._hear(trace.run_id, delivery)

    async def _hear(self, run_id: str, delivery: Delivery) -> None:
        self._note(run_id, delivery, dealt=True)

    def _note(self, run_id: str, delivery: Delivery, *, dealt: bool) -> None:
        note(self._artefacts, Delivered(self.name, run_id, delivery.event_id, delivery.event_type, dealt))


class Weak(Sound):
    """Fails on some changes at the first call, and takes its time for others."""

    name = SERVICES[1]

    async def _hear(self, run_id: str, delivery: Delivery) -> None:
        drawn = zlib.crc32(delivery.event_id.encode())
        if not drawn % _SLOW_ONE_IN:
            await asyncio.sleep(_SLOW_SECONDS)
        fails = delivery.attempt == 1 and not drawn % _WEAK_ONE_IN
        self._note(run_id, delivery, dealt=not fails)
        if fails:
            raise ConnectionError("not at the first call")


def main(words: Sequence[str]) -> int:
    """Follow until SIGTERM."""
    location, artefacts = words
    vars(consumers.host.host)["FOLLOW_SAVE_CHANGES"] = _SAVE_CHANGES

    async def follow(leaving: asyncio.Event) -> None:
        log = await KafkaLog.open(parse_location(location), PROPERTIES)
        services = {kind.name: kind(Path(artefacts)) for kind in (Sound, Weak)}
        async with ServiceHost(log, services, open_progress(log, GROUP), start=Start.beginning()) as host:
            left = asyncio.create_task(leaving.wait())
            failed = asyncio.create_task(host.failure())
            await asyncio.wait((left, failed), return_when=asyncio.FIRST_COMPLETED)
            failed.cancel()
            if failed.done():
                failed.result()
        await log.close()

    return work(follow)
