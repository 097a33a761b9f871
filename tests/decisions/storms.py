"""Logs that storms leave behind."""

import pytest

from tests.simulation.storm import Storm
from tests.simulation.test_engine import calm, everything_ends, small_limits
from tests.simulation.workflows import definitions
from tests.simulation.world import World


async def weathered(seed: int, monkeypatch: pytest.MonkeyPatch) -> World:
    """Let a storm rage over a world and let all runs end; the limits it had stay in force."""
    print(f"seed {seed}")
    world = World(seed)
    small_limits(world.random, monkeypatch)
    first = world.begin_host()
    await first.opened()
    for definition in definitions():
        await first.service.publish_workflow(definition)
    storm = Storm(world)
    await storm.rage(world.random.choice((20, 60, 120)))
    survivor = await calm(world)
    assert await everything_ends(world, storm) == []
    await survivor.close()
    return world
