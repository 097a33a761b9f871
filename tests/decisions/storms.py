"""Logs that storms leave behind."""

import pytest

from tests.simulation.loop import in_simulation
from tests.simulation.storm import Storm
from tests.simulation.weather import begin_world, calm, everything_ends
from tests.simulation.world import World


async def weathered(seed: int, monkeypatch: pytest.MonkeyPatch) -> World:
    """Let a storm rage over a world and let all runs end; the limits it had stay in force."""
    return in_simulation(seed, lambda: _weathered(seed, monkeypatch))


async def _weathered(seed: int, monkeypatch: pytest.MonkeyPatch) -> World:
    world = await begin_world(seed, monkeypatch)
    storm = Storm(world)
    await storm.rage(world.random.choice((20, 60, 120)))
    survivor = await calm(world)
    assert await everything_ends(world, storm) == []
    await survivor.close()
    return world
