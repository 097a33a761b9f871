"""Logs with everything in them: fences, zombies, checkpoints, refusals, failed and cancelled runs. From a seed."""

from typing import NamedTuple

import pytest

from engine.log.port import EVENTS, Record
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import in_simulation
from tests.simulation.storm import Storm
from tests.simulation.weather import begin_world, calm, everything_ends
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
    return in_simulation(seed, lambda: _storm(seed, monkeypatch))


async def _storm(seed: int, monkeypatch: pytest.MonkeyPatch) -> Stormy:
    world = await begin_world(seed, monkeypatch)
    raging = _Planting(world)
    await raging.rage(world.random.choice((20, 60, 120)))
    survivor = await calm(world)
    assert await everything_ends(world, raging) == []
    await survivor.close()
    return Stormy(world.log.client(), raging.planted)
