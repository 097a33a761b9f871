"""What a world leaves behind, as the checkers want it."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

from engine.core.view import View
from engine.executor.beginning import begin
from engine.log.place import partitions_of
from engine.log.port import EVENTS, TOPICS, LogRecord
from tests.checkers import Artefacts, Delivered, Facts, Reading, ViewDump
from tests.simulation.log import SimulatedLog
from tests.simulation.world import World

_PLACES: Final = 3
"""Readers that begin in the middle of each partition."""
_SLACK_SECONDS: Final = 60.0
"""How late a caller in a process that stood still, perhaps again and again, may get an answer."""


async def artefacts_of(
    world: World,
    *,
    deliveries: Iterable[Delivered] = (),
    services: Sequence[str] = (),
    going_on: Sequence[tuple[str, int]] = (),
    views: Iterable[ViewDump] = (),
) -> Artefacts:
    """Return what a calm world leaves behind.

    Args:
        world: The world, when everything in it is over.
        deliveries: What its services were called with.
        services: The names of those that hear of everything.
        going_on: Services that have not stopped although records were taken away, and in which partitions.
        views: What its views came to.
    """
    partitions = world.log.partitions
    facts = Facts(
        partitions,
        truncated=tuple(sorted(world.truncated)),
        history=True,
        slack_seconds=_SLACK_SECONDS,
        services=tuple(services),
        going_on=tuple(going_on),
    )
    found = Artefacts(facts, requests=world.history.requests, effects=list(world.ledger.effects))
    for topic in TOPICS:
        for number in range(partitions_of(topic, partitions)):
            found.add_log(topic, number, world.log.partition(topic, number).history)
    for number in range(partitions):
        found.readings += await readings_of(world.log, number, world.random)
    found.deliveries += deliveries
    found.views += views
    return found


async def readings_of(log: SimulatedLog, number: int, random: Random) -> list[Reading]:
    """Return what readers of a partition take for accepted: from zero, and from some places in the middle."""
    partition = log.partition(EVENTS, number)
    records = partition.history
    places = sorted({random.randint(partition.start, len(records)) for _ in range(_PLACES)})
    found = [_read("a reader from zero", number, View(), 0, records)]
    for place in places:
        view = (await begin(log.client(), number, place)).view
        found.append(_read(f"a reader from {place} on", number, view, place, records))
    return found


def _read(reader: str, number: int, view: View, first: int, records: Sequence[LogRecord]) -> Reading:
    accepted: list[tuple[int, str]] = []
    for record in records[view.position :]:
        commit = view.fold(record)
        if commit is not None and record.offset >= first:
            accepted.append((commit.offset, commit.id))
    return Reading(reader, number, first, len(records), accepted)
