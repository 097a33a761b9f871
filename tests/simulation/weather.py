"""What is around a storm: a world that begins, the calm afterwards, and the end of everything in it."""

import asyncio
from functools import lru_cache
from random import Random
from typing import Final

import pytest

from engine.core.state import RunStatus
from engine.limits import FENCE_RETRY_SECONDS_MAX, LOG_KNOWN_SECONDS_MAX
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, Record
from engine.workflow.definition import WorkflowDefinition
from tests.simulation.loop import until
from tests.simulation.storm import Storm
from tests.simulation.workflows import definitions
from tests.simulation.world import Host, World

END_SECONDS_MAX: Final = 120.0
"""Simulated seconds within which all runs have ended, after the storm or after the last that began late."""
LOOK_SECONDS: Final = 0.25
"""How often it is looked whether they have."""
SETTLE_SECONDS: Final = 2 * LOG_KNOWN_SECONDS_MAX + 4 * FENCE_RETRY_SECONDS_MAX
"""Simulated seconds within which everything has landed that was still under way, and what an election took away was
missed: owners look for it so seldom, and may have to fence more than once before they own the partition again."""
_TRIES: Final = 10


async def begin_world(seed: int, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return the world of a seed, with small limits, one engine and the workflows."""
    print(f"seed {seed}")
    world = World(seed)
    small_limits(world.random, monkeypatch)
    parse_once(monkeypatch)
    first = world.begin_host()
    await first.opened()
    for definition in definitions():
        await first.service.publish_workflow(definition)
    return world


def small_limits(random: Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make everything that is rare in small histories frequent."""
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_BYTES_MIN", random.choice((1_500, 6_000, 100_000)))
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_COMMANDS", random.choice((5, 40, 50_000)))
    monkeypatch.setattr("engine.core.checkpoint.CHECKPOINT_PART_BYTES", random.choice((300, 2_000, 500_000)))
    monkeypatch.setattr("engine.core.decide.COMMIT_EVENTS_MAX", random.choice((4, 10, 200)))
    monkeypatch.setattr("tests.simulation.log.READ_RECORDS_MAX", random.choice((1, 4, 500)))


def parse_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes of a world share what each of them would parse once: definitions, which nobody can change."""
    monkeypatch.setattr(WorkflowDefinition, "from_canonical", lru_cache(WorkflowDefinition.from_canonical))


async def calm(world: World) -> Host:
    """End the storm: everything works from now on. Some processes stay; return one that executes."""
    heal(world)
    living = [host for host in world.hosts if not host.gone and host.executes]
    survivors = world.random.sample(
        living, world.random.randint(0, len(living) if world.shared else min(1, len(living)))
    )
    for host in world.hosts:
        if host not in survivors and not host.gone:
            await host.close()
    survivor = survivors[0] if survivors else world.begin_host()
    for _ in range(_TRIES):
        await until(lambda: survivor.ready or survivor.gone)  # noqa: B023 - it is awaited here
        if survivor.ready:
            return survivor
        # It opened while the log still failed.
        survivor = world.begin_host()
    raise AssertionError("the log works again, but no engine opens")


def heal(world: World) -> None:
    """Let nothing fail any more, and everything go on."""
    world.network.calm()
    world.broker_ahead = 0.0
    for program in world.programs:
        program.log.heal()
        program.wake()


async def everything_ends(world: World, storm: Storm) -> list[str]:
    """Start or cancel what was only created, let everything go on, and return what does not end in time."""
    world.ledger.calm.set()
    cancelled: set[str] = set()
    until_time = world.loop.time() + END_SECONDS_MAX
    while True:
        runs = world.open_runs()
        if runs and world.loop.time() > until_time:
            return [f"run {run} does not end: {state}" for run, state in runs.items()]
        # Some were asked for in the storm and are created only now.
        for run_id in [run_id for run_id, state in runs.items() if state.status is RunStatus.CREATED]:
            if run_id not in cancelled:
                cancelled.add(run_id)
                record = Record(run_id, world.cancellation(run_id), {})
                world.log.land(COMMANDS, partition_of(run_id, world.log.partitions), record)
        # What is still under way lands now, and may begin more.
        await asyncio.sleep(LOOK_SECONDS if runs else SETTLE_SECONDS)
        if not runs:
            if not world.open_runs():
                break
            until_time = world.loop.time() + END_SECONDS_MAX
    waiting = world.waiting
    await world.give_up()
    # On a log for one process a caller may miss what another one decided, which must not be there: for timeouts.
    # What an unclean election took away is missed, too: there is no such run any more.
    missed = ("overlap" in storm.names and not world.shared) or world.truncated
    return [f"{waiting} callers still wait"] if waiting and not missed else []
