"""Whatever happens to engines, the views show what the log says, to the byte, however they were folded.

RUNLINE_VIEWS_SEED=<number> replays one seed.
"""

import json
import logging
import os
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import product
from pathlib import Path
from random import Random

import pytest

from engine.core.state import RunStatus
from engine.history import read_history, run_in, traces_in
from engine.log.port import EVENTS
from projections import Projector, RunFilter, RunSummary, Views
from tests.projections.folding import dump, every_page, folded, small_batches
from tests.projections.told import ToldRun, told
from tests.simulation.loop import in_simulation
from tests.simulation.storm import Storm
from tests.simulation.weather import begin_world
from tests.simulation.workflows import definitions
from tests.simulation.world import World

SEEDS = 60
SEEDS_TOGETHER = 20

_GIVEN = os.environ.get("RUNLINE_VIEWS_SEED")
_BATCHES = [[int(_GIVEN)]] if _GIVEN else [
    list(range(first, first + SEEDS_TOGETHER)) for first in range(0, SEEDS, SEEDS_TOGETHER)
]  # fmt: skip


@pytest.mark.parametrize("seeds", _BATCHES, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_views_show_what_the_log_says_however_often_the_fold_was_interrupted(
    seeds: list[int], quick: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    for seed in seeds:
        print(f"RUNLINE_VIEWS_SEED={seed}")
        in_simulation(seed, partial(one_storm, seed, quick / str(seed), monkeypatch))


async def one_storm(seed: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = Random(f"views {seed}")
    world = await begin_world(seed, monkeypatch)
    storm = Storm(world)
    for _ in range(chance.randint(1, 4)):
        # The fold of another batch size goes on where the one before it was cut off, in the middle of anything.
        small_batches(monkeypatch, chance.choice((1, 2, 7, 500)))
        async with Projector(world.log.client(), path / "on and off"):
            await storm.rage(chance.choice((3, 20, 50)))
        await storm.rage(chance.choice((0, 10)))
    if chance.random() < 0.7:
        world.ledger.calm.set()
        await world.turns(300)
    for host in world.hosts:
        if not host.gone:
            host.die()
    await world.give_up()
    async with folded(world.log.client(), path / "on and off") as projector:
        await check_views(world, Views.of(projector), chance)
        resumed = dump(projector.store)
    small_batches(monkeypatch, chance.choice((1, 3, 500)))
    async with folded(world.log.client(), path / "in one go") as projector:
        assert dump(projector.store) == resumed


async def check_views(world: World, views: Views, chance: Random) -> None:
    runs: dict[str, ToldRun] = {}
    for partition in range(world.log.partitions):
        runs |= told(world.log.partition(EVENTS, partition).records)
    newest_first = sorted(runs.values(), key=lambda run: (run.created, run.run_id), reverse=True)
    await check_lists(views, newest_first, chance)
    await check_open_work(views, newest_first)
    for run in runs.values():
        await check_run(world, views, run)
    published = await views.list_workflows()
    assert [(each.workflow_id, each.offset) for each in published] == [
        (definition.id, offset) for offset, definition in enumerate(definitions())
    ]


def summary(run: RunSummary) -> tuple[object, ...]:
    error = (
        None if run.error is None else {"type": run.error.type, "message": run.error.message, "node": run.error.node_id}
    )
    times = (run.created, run.started, run.stopped)
    return (
        run.run_id,
        run.workflow_id,
        run.workflow_version,
        run.run_status.value,
        run.message,
        error,
        run.traces,
        *times,
    )


def expected_summary(run: ToldRun) -> tuple[object, ...]:
    times = (None if time is None else datetime.fromisoformat(time) for time in (run.created, run.started, run.stopped))
    return (
        run.run_id, run.workflow, run.version, run.status, run.message, run.error, len(run.traces), *times
    )  # fmt: skip


async def check_lists(views: Views, runs: Sequence[ToldRun], chance: Random) -> None:
    workflows = [None, *{run.workflow for run in runs}, "no such workflow"]
    errors = [None, *{run.error["type"] for run in runs if run.error is not None}, "NoSuchError"]
    some = [chance.choice(runs).created for _ in range(2)] if runs else []
    moments = [None, *(datetime.fromisoformat(time) for time in sorted(some))]
    for workflow, status, error in product(workflows, [None, *RunStatus], errors):
        for begin, end in ((None, None), (moments[-1], None), (None, moments[-1]), (moments[0], moments[-1])):
            wanted = RunFilter(workflow=workflow, status=status, error=error, created_from=begin, created_before=end)
            fitting = [
                expected_summary(run)
                for run in runs
                if workflow in {None, run.workflow}
                and status in {None, run.status}
                and (error is None or (run.error is not None and run.error["type"] == error))
                and (begin is None or datetime.fromisoformat(run.created) >= begin)
                and (end is None or datetime.fromisoformat(run.created) < end)
            ]
            found = await every_page(views, wanted, chance.choice((1, 2, 50)))
            assert [summary(run) for run in found] == fitting, wanted


async def check_open_work(views: Views, runs: Sequence[ToldRun]) -> None:
    expected = sorted(
        (datetime.fromisoformat(since), run.run_id, kind, node, attempt, executor, run.workflow)
        for run in runs
        for kind, since, node, attempt, executor in run.waits()
    )
    found = [
        (work.since, work.run_id, work.waits_for.value, work.node_id, work.attempt, work.executor, work.workflow_id)
        for work in await views.list_open_work(limit=1_000)
    ]
    assert found == expected
    for workflow in {run.workflow for run in runs}:
        some = [(work.since, work.run_id) for work in await views.list_open_work(workflow=workflow, limit=3)]
        assert some == [each[:2] for each in expected if each[-1] == workflow][:3]


async def check_run(world: World, views: Views, expected: ToldRun) -> None:
    history = await read_history(world.log.client(), expected.run_id)
    assert views.get_history(expected.run_id) == history
    assert await views.get_run(expected.run_id) == run_in(history)
    traces = await views.get_traces(expected.run_id)
    assert traces == traces_in(history)
    found = [
        (
            trace.number, trace.node_id, trace.title, trace.attempt, trace.trace_status.value,
            same(trace.input_context), same(trace.output_context), trace.started, trace.stopped,
        )
        for trace in traces
    ]  # fmt: skip
    assert found == [
        (
            number, trace.node, trace.title, trace.attempt, trace.status,
            trace.input, trace.output, datetime.fromisoformat(trace.started),
            None if trace.stopped is None else datetime.fromisoformat(trace.stopped),
        )
        for number, trace in sorted(expected.traces.items())
    ]  # fmt: skip


def same(context: str | None) -> str | None:
    return None if context is None else json.dumps(json.loads(context), sort_keys=True)
