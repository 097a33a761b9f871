"""What is around a storm: a world that begins, the calm afterwards, and the end of everything in it."""

from random import Random

import pytest

from engine.core.state import RunStatus
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, Record
from tests.simulation.storm import Storm
from tests.simulation.workflows import definitions
from tests.simulation.world import TURNS_MAX, Host, World


async def begin_world(seed: int, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return the world of a seed, with small limits, one engine and the workflows."""
    print(f"seed {seed}")
    world = World(seed)
    small_limits(world.random, monkeypatch)
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


async def calm(world: World) -> Host:
    """End the storm: one process stays, or a new one comes, and nothing fails any more."""
    living = [host for host in world.hosts if not host.gone and host.executes]
    survivor = world.random.choice(living) if living and world.random.random() < 0.5 else None
    for host in world.hosts:
        if host is not survivor and not host.gone:
            await host.close()
    if survivor is None:
        survivor = world.begin_host()
    survivor.log._failures.clear()
    for _ in range(TURNS_MAX):
        if survivor.ready:
            return survivor
        if survivor.gone:
            # It opened while the log still failed.
            survivor = world.begin_host()
        await world.turns(1)
    raise AssertionError("the log works again, but no engine opens")


async def everything_ends(world: World, storm: Storm) -> list[str]:
    """Start or cancel what was only created, let everything go on, and return what does not end."""
    world.ledger.calm.set()
    cancelled: set[str] = set()
    for turn in range(TURNS_MAX):
        if turn % 200 == 199:
            runs = world.open_runs()
            if not runs:
                break
            # Some were asked for in the storm and are created only now.
            for run_id in [run_id for run_id, state in runs.items() if state.status is RunStatus.CREATED]:
                if run_id not in cancelled:
                    cancelled.add(run_id)
                    record = Record(run_id, world.cancellation(run_id), {})
                    world.log.land(COMMANDS, partition_of(run_id, world.log.partitions), record)
        await world.turns(1)
    else:
        return [f"run {run} does not end: {state}" for run, state in world.open_runs().items()]
    await world.turns(500)
    waiting = world.calling
    await world.give_up()
    # On a log for one process a caller may miss what another one decided, which must not be there: for timeouts.
    missed = "overlap" in storm.names and not world.shared
    return [f"{waiting} callers still wait"] if waiting and not missed else []
