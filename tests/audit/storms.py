"""Logs with everything in them: fences, zombies, checkpoints, refusals, failed and cancelled runs. From a seed."""

from random import Random
from typing import NamedTuple

import pytest

from engine.log.port import EVENTS, Record
from tests.simulation.log import SimulatedLog
from tests.simulation.storm import Storm
from tests.simulation.test_engine import calm, everything_ends, small_limits
from tests.simulation.workflows import definitions
from tests.simulation.world import World


class Stormy(NamedTuple):
    """A log after a storm.

    Attributes:
        log: The log.
        planted: Where somebody put records into `events` that no engine wrote: partition and offset.
    """

    log: SimulatedLog
    planted: set[tuple[int, int]]


class _Planting(Storm):
    """A storm that knows what it has put into `events`."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.planted: set[tuple[int, int]] = set()

    def _land(self, topic: str, record: Record) -> None:
        partition = self._random.randrange(self._world.log.partitions)
        offset = self._world.log.land(topic, partition, record)
        if topic == EVENTS:
            self.planted.add((partition, offset))


async def storm(seed: int, monkeypatch: pytest.MonkeyPatch) -> Stormy:
    """Let a storm rage, and everything end after it."""
    print(f"seed {seed}")
    world = World(seed)
    small_limits(Random(seed), monkeypatch)
    first = world.begin_host()
    await first.opened()
    for definition in definitions():
        await first.service.publish_workflow(definition)
    raging = _Planting(world)
    await raging.rage(world.random.choice((20, 60, 120)))
    survivor = await calm(world)
    assert await everything_ends(world, raging) == []
    await survivor.close()
    return Stormy(world.log.client(), raging.planted)
