"""One seed, from its beginning to its report."""

import hashlib
import traceback
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

import pytest

from engine.core.records import COMMIT, FENCE, read_part
from engine.crash_points import CrashPoint
from engine.log.place import partitions_of
from engine.log.port import EVENTS, PARKED, TOPICS
from tests.checkers import ViewDump, check_all
from tests.simulation.artefacts import artefacts_of
from tests.simulation.beside import Beside, Heard
from tests.simulation.checks import check_beginnings, check_commands, check_progress, check_results
from tests.simulation.crashes import Crashes, crash
from tests.simulation.diary import Diary, Entry, keep, keep_storm
from tests.simulation.loop import StillnessError, in_simulation
from tests.simulation.shapes import random_definitions
from tests.simulation.storm import Storm
from tests.simulation.weather import begin_world, calm, everything_ends
from tests.simulation.world import World

_STEPS: Final = (10, 10, 20, 20, 20, 40, 60, 100)
"""How many things happen in a storm: mostly few, because two short storms catch more planted bugs than one long one."""


class Report(NamedTuple):
    """What came of a seed.

    Attributes:
        seed: The seed.
        violations: What went wrong.
        digest: SHA-256 of everything that was left: all records, effects, results and the count of turns.
        figures: How often what happened.
        entries: What happened, if it was written down.
    """

    seed: int
    violations: list[str]
    digest: str
    figures: Counter[str]
    entries: list[Entry]


def simulate(seed: int, *, written: bool = False, point: CrashPoint | None = None) -> Report:
    """Run a seed.

    Args:
        seed: The seed.
        written: Whether to write down what happens.
        point: A crash point at which processes die, in place of those that the seed draws.
    """
    diary = Diary(written=written)
    with pytest.MonkeyPatch.context() as monkeypatch:
        try:
            return in_simulation(seed, lambda: _simulate(seed, monkeypatch, diary, point))
        except StillnessError as error:
            return Report(seed, [str(error)], "", diary.figures, diary.entries)


async def _simulate(seed: int, monkeypatch: pytest.MonkeyPatch, diary: Diary, point: CrashPoint | None) -> Report:
    keep(diary, monkeypatch)
    world = await begin_world(seed, monkeypatch)
    try:
        violations = await _weather(world, diary, monkeypatch, point)
    except Exception:  # noqa: BLE001 - whatever it is, it is what the simulation looks for
        violations = [traceback.format_exc()]
    diary.figures.update(figures_of(world))
    return Report(seed, violations, digest_of(world), diary.figures, diary.entries)


async def _weather(world: World, diary: Diary, monkeypatch: pytest.MonkeyPatch, point: CrashPoint | None) -> list[str]:
    storm = Storm(world, hostile=True)
    keep_storm(diary, storm)
    for shape in random_definitions(Random(f"shapes {world.random.random()}"), world.random.choice((0, 2, 5))):
        await world.hosts[0].service.publish_workflow(shape)
        storm.workflows.append(shape.id)
    diary.note(f"a storm of {', '.join(sorted(storm.names)) or 'no faults'}")
    crashes = crash(world, diary, monkeypatch, point)
    beside = Beside(world, storm, monkeypatch)
    try:
        return await _all_weather(world, storm, crashes, beside, diary)
    finally:
        beside.end()


async def _all_weather(world: World, storm: Storm, crashes: Crashes, beside: Beside, diary: Diary) -> list[str]:
    await storm.rage(world.random.choice(_STEPS))
    crashes.stop()
    beside.calm()
    diary.note("the storm is over")
    survivor = await calm(world)
    violations = [*world.mistakes, *await everything_ends(world, storm)]
    if not violations:
        violations += survivor.leftovers() + check_progress(world, survivor)
    views = await beside.dumps()
    heard = await beside.heard()
    world.beside += [*views, *heard.deliveries]
    await survivor.close()
    return violations + await check_all_of(world, heard, views)


async def check_all_of(world: World, heard: Heard, views: Sequence[ViewDump]) -> list[str]:
    """Return what is wrong with what a world left."""
    left = await artefacts_of(
        world, deliveries=heard.deliveries, services=heard.services, going_on=heard.going_on, views=views
    )
    violations = list(map(str, check_all(left)))
    for partition in range(world.log.partitions):
        violations += await check_beginnings(world, partition)
        violations += check_commands(world, partition)
    return violations + check_results(world) + world.loop.mistakes


def figures_of(world: World) -> Counter[str]:
    """Return how much happened in a world."""
    figures: Counter[str] = Counter()
    for partition in range(world.log.partitions):
        records = world.log.partition(EVENTS, partition).history
        accepted = world.accepted(partition)[1]
        parts = [read_part(record.headers) for record in records]
        figures["runs"] += sum(commit.before is None for commit in accepted)
        figures["commits accepted"] += len(accepted)
        figures["commits skipped"] += sum(r.headers.get("ce_type") == COMMIT for r in records) - len(accepted)
        figures["takeovers"] += sum(record.headers.get("ce_type") == FENCE for record in records)
        figures["checkpoints"] += sum(part is not None and part.part == part.parts - 1 for part in parts)
    figures["effects"] = len(world.ledger.effects)
    figures["processes"] = len(world.hosts)
    figures["turns"] = world.loop.turns
    return figures


def digest_of(world: World) -> str:
    """Return a digest of everything that a world left."""
    hashed = hashlib.sha256()
    for topic in (*TOPICS, PARKED):
        for number in range(partitions_of(topic, world.log.partitions)):
            for record in world.log.partition(topic, number).history:
                hashed.update(repr((topic, number, record)).encode())
    hashed.update(repr(world.beside).encode())
    for left in (world.ledger.effects, world.results, world.acknowledged, world.loop.turns, world.loop.time()):
        hashed.update(repr(left).encode())
    return hashed.hexdigest()
