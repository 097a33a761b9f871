"""One seed, from its beginning to its report."""

import hashlib
from typing import NamedTuple

import pytest

from engine.log.partitioner import partition_of
from engine.log.place import partitions_of
from engine.log.port import EVENTS, TOPICS
from tests.checkers import check_runs
from tests.simulation.checks import check_beginnings, check_commands, check_progress, check_results
from tests.simulation.loop import in_simulation
from tests.simulation.storm import Storm
from tests.simulation.weather import begin_world, calm, everything_ends
from tests.simulation.world import World


class Report(NamedTuple):
    """What came of a seed.

    Attributes:
        seed: The seed.
        violations: What went wrong.
        digest: SHA-256 of everything that was left: all records, effects, results and the count of turns.
    """

    seed: int
    violations: list[str]
    digest: str


def simulate(seed: int) -> Report:
    """Run a seed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        return in_simulation(seed, lambda: _simulate(seed, monkeypatch))


async def _simulate(seed: int, monkeypatch: pytest.MonkeyPatch) -> Report:
    world = await begin_world(seed, monkeypatch)
    storm = Storm(world)
    await storm.rage(world.random.choice((20, 60, 120)))
    survivor = await calm(world)
    violations = [*world.mistakes, *await everything_ends(world, storm)]
    if not violations:
        violations += survivor.leftovers() + check_progress(world, survivor)
    await survivor.close()
    for partition in range(world.log.partitions):
        records = world.log.partition(EVENTS, partition).records
        mine = [run for run in world.acknowledged if partition_of(run, world.log.partitions) == partition]
        effects = [e for e in world.ledger.effects if partition_of(e.run, world.log.partitions) == partition]
        violations += check_runs(records, mine, effects)
        violations += await check_beginnings(world, partition)
        violations += check_commands(world, partition)
    violations += check_results(world) + world.loop.mistakes
    return Report(seed, violations, digest_of(world))


def digest_of(world: World) -> str:
    """Return a digest of everything that a world left."""
    hashed = hashlib.sha256()
    for topic in TOPICS:
        for number in range(partitions_of(topic, world.log.partitions)):
            for record in world.log.partition(topic, number).records:
                hashed.update(repr((topic, number, record)).encode())
    for left in (world.ledger.effects, world.results, world.acknowledged, world.loop.turns, world.loop.time()):
        hashed.update(repr(left).encode())
    return hashed.hexdigest()
