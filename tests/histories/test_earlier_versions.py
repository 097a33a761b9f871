"""Every reader reads events of earlier versions as those of today; without upcasters each stops, and says so."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from consumers.host import Delivery, LocalProgress, ServiceHost, Start, Wanted
from engine import EngineService, Run, RunStatus, Trace
from engine.core.evolve import UnknownEventError
from engine.errors import CommandRefusedError
from engine.history import read_history, run_in, traces_in
from engine.log.partitioner import partition_of
from engine.log.port import EVENTS, Log, Record
from projections import StopReason, Views
from projections.decisions import replay_decisions
from projections.replay.replay import Replay
from tests.histories.aging import EARLIER, aged
from tests.projections.folding import folded
from tests.projections.forging import forge, view_of
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock
from tests.support.workflows import END, chain, code, edit, registry

SECONDS = 30.0
PARTITIONS = 2
TURNS = 100
"""Turns of the event loop after which somebody waits."""


@pytest.fixture
def upcast(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let the product have upcasters; undone, it has none."""
    monkeypatch.setattr("engine.core.records.UPCASTERS", EARLIER)
    return monkeypatch


class Gate:
    """A node function that waits until it is let through."""

    def __init__(self) -> None:
        self.begun, self.open = asyncio.Event(), asyncio.Event()

    async def __call__(self, _context: object, _call: object) -> None:
        self.begun.set()
        await self.open.wait()


def engine(log: SimulatedLog, gate: Gate | None = None, *, executor: bool = True) -> EngineService:
    functions = registry()
    functions.node("gate")(gate or Gate())
    return EngineService.open(log.client(), functions, clock=QuickClock(), executor=executor)


async def written(*, shared: bool = True) -> tuple[SimulatedLog, list[str]]:
    """Return a log, and its runs: the last one has begun and waits at a gate."""
    log, gate = SimulatedLog(PARTITIONS, shared=shared), Gate()
    async with asyncio.timeout(SECONDS), engine(log, gate) as service:
        steps = [edit("x", set=[{"path": "x", "value": 1}]), code("a", "add"), code("b", "gate"), code("c", "add")]
        await service.publish_workflow(chain(*steps, END))
        await service.publish_workflow(chain(*steps[:2], END, workflow_id="quick"))
        await service.publish_workflow(chain(code("a", "fail"), END, workflow_id="failing"))
        names = ["quick", "failing", "quick", "quick", "quick", "failing"]
        runs = [(await service.run_workflow(name, {"given": name})).run_id for name in names]
        runs.append(await service.create_workflow_run("chain"))
        await service.start_workflow_run_and_notify(runs[-1], {"given": "chain"})
        await gate.begun.wait()
    return log, runs


def told(subject: Run | Trace) -> Run | Trace:
    """Return all that a run or a trace says but the commit, which has another id when its bytes are others."""
    return replace(subject, commit_id="")


async def heard(log: Log, directory: Path, wanted: Wanted | None = None) -> list[tuple[str, Run | Trace]]:
    """Return what a progress service hears, run by run."""
    found: list[tuple[str, Run | Trace]] = []

    class Service:
        async def run_progress(self, run: Run, delivery: Delivery) -> None:
            found.append((delivery.event_type, told(run)))

        async def trace_progress(self, trace: Trace, delivery: Delivery) -> None:
            found.append((delivery.event_type, told(trace)))

    progress = LocalProgress.open(directory, log.partitions)
    service = {"service": Service()}
    async with (
        asyncio.timeout(SECONDS),
        ServiceHost(
            log, service, progress, start=Start.beginning(), wanted=wanted or Wanted(), clock=QuickClock()
        ) as host,
    ):
        await host.caught_up()
    return sorted(found, key=lambda each: each[1].run_id)


async def test_views_show_the_same_of_runs_that_an_earlier_version_wrote(
    tmp_path: Path, upcast: pytest.MonkeyPatch
) -> None:
    log, runs = await written()
    older = aged(log)
    async with folded(log, tmp_path / "today") as one, folded(older, tmp_path / "older") as other:
        today, views = Views.of(one), Views.of(other)
        for run_id in runs:
            assert told(await views.get_run(run_id)) == told(await today.get_run(run_id))
            traces = [list(map(told, await each.get_traces(run_id))) for each in (views, today)]
            assert traces[0] == traces[1] != []
        assert [(each.run_id, each.node_id) for each in await views.list_open_work()] == [(runs[-1], "b")]
    report = await Replay(older, tmp_path / "older", tmp_path / "work").whole()
    assert report.same, (report.views.rows.differences, report.decisions.differences)
    assert report.decisions.runs == len(runs)
    # What is written down is what the log has: whoever knows no upcasters any more cannot read it.
    upcast.undo()
    async with Views.open(tmp_path / "older") as views:
        with pytest.raises(UnknownEventError, match=r"run\.finished|trace\.finished"):
            await views.get_run(runs[0])


async def test_progress_services_hear_the_same_of_runs_that_an_earlier_version_wrote(
    tmp_path: Path, upcast: pytest.MonkeyPatch
) -> None:
    log, _ = await written()
    older = aged(log)
    whole = await heard(log, tmp_path / "today")
    assert await heard(older, tmp_path / "older") == whole
    assert {event_type for event_type, _ in whole} >= {"trace.succeeded", "run.succeeded", "run.failed"}
    # Filters go by the types in the headers, which an earlier version wrote too.
    only = Wanted(types=frozenset({"run.succeeded", "trace.succeeded"}), workflows=frozenset({"quick"}))
    expected = await heard(log, tmp_path / "today only", only)
    assert await heard(older, tmp_path / "older only", only) == expected
    assert {event_type for event_type, _ in expected} == only.types
    upcast.undo()
    assert not any(event_type == "run.succeeded" for event_type, _ in await heard(older, tmp_path / "none"))


@pytest.mark.parametrize("shared", [False, True], ids=["indexed", "not indexed"])
async def test_histories_and_decisions_of_an_earlier_version_are_those_of_today(
    upcast: pytest.MonkeyPatch, *, shared: bool
) -> None:
    log, runs = await written(shared=shared)
    older = aged(log)
    for run_id in runs:
        one, other = await read_history(log, run_id), await read_history(older, run_id)
        assert [commit.value for commit in other] == [commit.value for commit in one]
        assert [commit.id for commit in other] != [commit.id for commit in one]
        assert list(map(told, traces_in(other))) == list(map(told, traces_in(one)))
    today, report = await replay_decisions(log), await replay_decisions(older)
    assert report == today
    assert (report.same, report.runs) == (True, len(runs))
    upcast.undo()
    assert (await replay_decisions(older)).unreadable_runs.keys() == set(runs) - failed(log)


def failed(log: SimulatedLog) -> set[str]:
    """Return the runs in which no node succeeded: there is nothing of an earlier version in them."""
    found: dict[str, set[str]] = {}
    for number in range(PARTITIONS):
        for record in log.partition(EVENTS, number).records:
            found.setdefault(record.key, set()).update(record.headers.get("types", "").split(","))
    return {run_id for run_id, types in found.items() if not types & {"trace.succeeded", "run.succeeded"}}


async def test_an_executor_goes_on_with_runs_that_an_earlier_version_wrote_and_waiters_elsewhere_hear_of_it(
    upcast: pytest.MonkeyPatch,  # noqa: ARG001 - wanted for what it does
) -> None:
    log, runs = await written()
    older, gate = aged(log), Gate()
    async with asyncio.timeout(SECONDS), engine(older, executor=False) as client:
        for run_id in runs[:-1]:
            expected = run_in(await read_history(log, run_id))
            assert expected is not None
            assert told(await client.wait_for_workflow_run(run_id)) == told(expected)
        async with engine(older, gate) as service:
            waiting = asyncio.create_task(client.wait_for_workflow_run(runs[-1]))
            await gate.begun.wait()
            gate.open.set()
            run = await waiting
            assert run.run_status is RunStatus.SUCCESS
            assert json.loads(run.output_context or "") == {"given": "chain", "x": 1, "total": 2}
            numbers = [(trace.node_id, trace.attempt) for trace in await service.get_traces(run.run_id)]
            assert numbers == [("start", 1), ("x", 1), ("a", 1), ("b", 2), ("c", 1), ("end", 1)]
    assert (await replay_decisions(older)).same


async def test_who_waits_while_an_earlier_version_still_writes_is_given_what_it_wrote(
    upcast: pytest.MonkeyPatch,  # noqa: ARG001 - wanted for what it does
) -> None:
    log, runs = await written()
    older, growing = aged(log), SimulatedLog(PARTITIONS, shared=True)
    async with asyncio.timeout(SECONDS), engine(growing, executor=False) as client:
        waiting: dict[str, asyncio.Task[Run]] = {}
        for (topic, number), partition in older._places.items():
            for record in partition.records:
                growing.land(topic, number, Record(*record[2:]))
                if record.key in runs and record.key not in waiting and topic == EVENTS:
                    waiting[record.key] = asyncio.create_task(client.wait_for_workflow_run(record.key))
                    for _ in range(TURNS):
                        await asyncio.sleep(0)
                    assert not waiting[record.key].done()
        for run_id in runs[:-1]:
            expected = run_in(await read_history(log, run_id))
            assert expected is not None
            assert told(await waiting[run_id]) == told(expected)
        waiting[runs[-1]].cancel()


async def test_a_version_that_comes_after_those_that_are_known_is_an_event_from_the_future_for_every_reader(
    tmp_path: Path,
    upcast: pytest.MonkeyPatch,  # noqa: ARG001 - wanted for what it does
    caplog: pytest.LogCaptureFixture,
) -> None:
    log, runs = await written()
    older = aged(log)
    partition = partition_of(runs[-1], PARTITIONS)
    finished = {"type": "trace.finished.v4", "trace": 3, "changes": [], "output": "next", "next": "c", "message": ""}
    forge(older, runs[-1], [finished])
    view = view_of(older, partition)
    assert view.from_future == {runs[-1]}
    assert "trace.finished.v4" in view.unreadable[runs[-1]]
    async with folded(older, tmp_path) as projector:
        stopped = {(each.topic, each.partition): each.stopped for each in projector.positions if each.stopped}
        assert stopped == {(EVENTS, partition): StopReason.EVENT_FROM_FUTURE}
    assert list((await replay_decisions(older)).unreadable_runs) == [runs[-1]]
    async with asyncio.timeout(SECONDS), engine(older) as service:
        with pytest.raises(CommandRefusedError, match=r"trace\.finished\.v4"):
            await service.cancel_workflow_run(runs[-1])
    await heard(older, tmp_path / "service")
    assert "trace.finished.v4" in caplog.text


async def test_an_event_that_its_upcaster_cannot_read_harms_its_run_alone(
    upcast: pytest.MonkeyPatch,  # noqa: ARG001 - wanted for what it does
) -> None:
    log, runs = await written()
    older = aged(log)
    forge(older, runs[-1], [{"type": "trace.finished", "trace": 3, "way": "next"}])
    view = view_of(older, partition_of(runs[-1], PARTITIONS))
    assert (view.from_future, list(view.unreadable)) == (set(), [runs[-1]])
    assert "expected an event trace.finished that can be read" in view.unreadable[runs[-1]]
    async with asyncio.timeout(SECONDS), engine(older) as service:
        assert (await service.run_workflow("quick", {})).run_status is RunStatus.SUCCESS


def test_the_aged_log_has_every_version_and_no_commit_of_it_is_as_it_was() -> None:
    log, _ = asyncio.run(written())
    older = aged(log)
    types = {
        event_type
        for number in range(PARTITIONS)
        for record in older.partition(EVENTS, number).records
        for event_type in record.headers.get("types", "").split(",")
    }
    assert types >= {"trace.finished", "trace.finished.v2", "trace.finished.v3", "trace.succeeded", "run.finished"}
    assert "run.succeeded" not in types
