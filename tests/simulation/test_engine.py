"""The whole engine on a simulated log: a storm of faults, then a calm phase in which everything must end.

RUNLINE_SIMULATION_SEED=<number> replays one seed.
"""

import logging
import os
from collections import Counter
from random import Random

import pytest

from engine.change import changes_of
from engine.core.commands import CreateRun, StartRun, decode
from engine.core.rejection import Rejection
from engine.core.state import RunStatus
from engine.core.view import View
from engine.executor.beginning import begin
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, Record
from tests.checkers import check_runs
from tests.simulation.storm import Storm
from tests.simulation.workflows import definitions
from tests.simulation.world import TURNS_MAX, Host, World

SEEDS = 200
SEEDS_TOGETHER = 20
"""Seeds of one test: enough to spread them, few enough to find the one that failed."""

_GIVEN = os.environ.get("RUNLINE_SIMULATION_SEED")
_BATCHES = [[int(_GIVEN)]] if _GIVEN else [
    list(range(first, first + SEEDS_TOGETHER)) for first in range(0, SEEDS, SEEDS_TOGETHER)
]  # fmt: skip


def small_limits(random: Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make everything that is rare in small histories frequent."""
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_BYTES_MIN", random.choice((1_500, 6_000, 100_000)))
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_COMMANDS", random.choice((5, 40, 50_000)))
    monkeypatch.setattr("engine.core.checkpoint.CHECKPOINT_PART_BYTES", random.choice((300, 2_000, 500_000)))
    monkeypatch.setattr("engine.core.decide.COMMIT_EVENTS_MAX", random.choice((4, 10, 200)))
    monkeypatch.setattr("tests.simulation.log.READ_RECORDS_MAX", random.choice((1, 4, 500)))


@pytest.mark.parametrize("seeds", _BATCHES, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
async def test_whatever_happens_every_run_ends_once_and_every_reader_sees_the_same(
    seeds: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Faults are loud, as they should be; a thousand of them tell nobody anything.
    caplog.set_level(logging.CRITICAL)
    for seed in seeds:
        violations = await simulate(seed, monkeypatch)
        assert not violations, f"RUNLINE_SIMULATION_SEED={seed}: " + "; ".join(violations)


async def simulate(seed: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run one seed and return what went wrong."""
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
    return violations + check_results(world)


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


def check_progress(world: World, survivor: Host) -> list[str]:
    """Return whether the survivor's progress service missed a change or heard it out of order."""
    if world.log.partitions > 1:
        return []
    truth = [change.subject for accepted in world.accepted(0)[1] for change in changes_of(accepted)]
    heard = survivor.hearing.heard
    same = heard == truth[len(truth) - len(heard) :]
    return [] if same else [f"a progress service heard {len(heard)} changes, not the last of {len(truth)}"]


async def check_beginnings(world: World, partition: int) -> list[str]:
    """Return where a view begun in the middle differs from the one from zero."""
    records = world.log.partition(EVENTS, partition).records
    places = sorted({world.random.randint(0, len(records)) for _ in range(5)} | {len(records)})
    violations: list[str] = []
    whole = View()
    for place in places:
        while whole.position < place:
            whole.fold(records[whole.position])
        view = (await begin(world.log.client(), partition, place)).view
        for record in records[view.position : place]:
            view.fold(record)
        if (view.runs, view.epoch, view.ended) != (whole.runs, whole.epoch, whole.ended):
            violations.append(f"the view of partition {partition} at {place} depends on where it begins")
    return violations


def check_commands(world: World, partition: int) -> list[str]:
    """Return commands that were decided more than once, or never."""
    _, commits = world.accepted(partition)
    decided: Counter[tuple[str, int]] = Counter()
    for commit in commits:
        named: dict[str, int] = {}
        for event in commit.value["events"]:
            if isinstance(command_id := event.get("command"), str):
                named[command_id] = event["offset"] if event["type"] == "command.refused" else -1
        decided.update(named.items())
    violations = [f"command {name} was decided {count} times" for name, count in decided.items() if count > 1]
    answered = {name for name, _ in decided}
    rejections = world.log.partition(REJECTIONS, 0).records
    answered |= {record.headers.get("causationid", "") for record in rejections}
    places = {(record.headers["partition"], record.headers["offset"]) for record in rejections}
    runs = {commit.after.run_id for commit in commits}
    for record in world.log.partition(COMMANDS, partition).records:
        command = decode(record.value)
        if isinstance(command, Rejection):
            known = (str(partition), str(record.offset)) in places
        else:
            known = command.id in answered or (isinstance(command, CreateRun | StartRun) and command.run in runs)
        if not known:
            violations.append(f"command {record.value!r} at {record.offset} was never decided")
    return violations


def check_results(world: World) -> list[str]:
    """Return what waiting callers were given although the log says something else."""
    truth = world.ended()
    return [
        f"somebody was given {run}, the log says {truth.get(run.run_id)}"
        for run in world.results
        if truth.get(run.run_id) != run
    ]
