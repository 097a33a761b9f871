"""What happens between commands, outcomes, takeovers and closing: one engine or two, on a simulated log."""

import asyncio
from collections.abc import Sequence

import pytest

from engine import Call, ContextObject, EngineService, Registry, Run, RunStatus, Trace
from engine.core.commands import CancelRun, CreateRun, StartRun, encode
from engine.core.view import View
from engine.errors import ClosedError, LogError, RunEndedError, WaitTimeoutError
from engine.executor.term import Term
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, WORKFLOWS, Record
from engine.ports import SystemIds
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock, executor_of, until
from tests.support.workflows import END, chain, code, edit

SECONDS = 60


class Gate:
    """A node function that waits until it is let through, and remembers who came."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.calls: list[Call] = []
        self.open = asyncio.Event()
        self._stubborn = stubborn

    async def __call__(self, context: ContextObject, call: Call) -> None:
        self.calls.append(call)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            if not self._stubborn:
                raise
        context.set("done_by", call.attempt)


def gated(gate: Gate) -> Registry:
    made = Registry()
    made.node("gate")(gate)
    return made


def engine(log: SimulatedLog, registry: Registry | None = None) -> EngineService:
    return EngineService.open(log, Registry() if registry is None else registry, clock=QuickClock())


def folded(log: SimulatedLog) -> View:
    view = View()
    for record in log.partition(EVENTS, 0).records:
        view.fold(record)
    return view


def events_of(log: SimulatedLog, run_id: str) -> list[str]:
    """Return the types of a run's events that count."""
    view = View()
    accepted = [view.fold(record) for record in log.partition(EVENTS, 0).records]
    commits = [commit for commit in accepted if commit is not None and commit.after.run_id == run_id]
    return [event["type"] for commit in commits for event in commit.value["events"]]


def new_run_id() -> str:
    return SystemIds(QuickClock()).run_id()


def command(log: SimulatedLog, asked: CreateRun | StartRun | CancelRun) -> None:
    log.land(COMMANDS, 0, Record(asked.run, encode(asked), {}))


def term_of(service: EngineService) -> Term:
    term = executor_of(service)._partitions[0]._term
    assert term is not None
    return term


def idle(service: EngineService) -> bool:
    """Return whether the engine holds nothing for anybody."""
    term = term_of(service)
    held = (term._inbox, term._pending, term._intake)
    return not any(held) and len(executor_of(service)._attempts) == 0 and len(service._waiters) == 0


async def started(service: EngineService, gate: Gate, count: int = 1) -> list[str]:
    await service.publish_workflow(chain(code("a", "gate"), END))
    runs = []
    for _ in range(count):
        run_id = await service.create_workflow_run("chain")
        await service.start_workflow_run_and_notify(run_id, {"x": 1})
        runs.append(run_id)
    await until(lambda: len(gate.calls) >= count)
    return runs


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# Cancelling.


async def test_an_outcome_that_comes_before_a_cancellation_wins_and_the_cancellation_is_refused() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        (run_id,) = await started(service, gate)
        cancel = asyncio.create_task(service.cancel_workflow_run(run_id))
        await asyncio.sleep(0)
        log.hold()
        gate.open.set()
        await until(lambda: any(flight.topic == EVENTS for flight in log.in_flight))
        log.release()
        with pytest.raises(RunEndedError, match="has ended"):
            await asyncio.wait_for(cancel, SECONDS)
        assert (await service.get_run(run_id)).run_status is RunStatus.SUCCESS
        assert [record.headers["code"] for record in log.partition(REJECTIONS, 0).records] == ["run_ended"]
        assert idle(service)


async def test_what_a_function_returns_after_its_run_was_cancelled_is_ignored() -> None:
    log, gate = SimulatedLog(), Gate(stubborn=True)
    async with engine(log, gated(gate)) as service:
        (run_id,) = await started(service, gate)
        await service.cancel_workflow_run(run_id, "enough")
        await turns(50)
        assert gate.calls[0].cancelled
        assert events_of(log, run_id)[-2:] == ["trace.cancelled", "run.cancelled"]
        assert idle(service)


async def test_a_created_run_can_be_cancelled_and_then_never_runs() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        await service.publish_workflow(chain(code("a", "gate"), END))
        run_id = await service.create_workflow_run("chain")
        await service.cancel_workflow_run(run_id)
        run = await service.wait_for_workflow_run(run_id, timeout=SECONDS)
        assert (run.run_status, run.started, run.output_context) == (RunStatus.CANCELLED, None, "{}")
        assert gate.calls == []


async def test_of_two_cancellations_one_is_done_and_the_other_is_told_that_the_run_has_ended() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        (run_id,) = await started(service, gate)
        both = (service.cancel_workflow_run(run_id), service.cancel_workflow_run(run_id))
        answers = await asyncio.wait_for(asyncio.gather(*both, return_exceptions=True), SECONDS)
        assert [type(answer) for answer in answers] == [type(None), RunEndedError]
        assert idle(service)


async def test_a_run_that_waits_for_its_turn_can_be_cancelled_and_the_next_one_gets_it() -> None:
    log, gate = SimulatedLog(), Gate()
    service = EngineService.open(
        log, gated(gate), clock=QuickClock(), nodes_running_max=8, nodes_running_per_workflow_max=1
    )
    async with service:
        await service.publish_workflow(chain(code("a", "gate"), END))
        runs = [await service.create_workflow_run("chain") for _ in range(4)]
        for run_id in runs:
            await service.start_workflow_run_and_notify(run_id)
        await turns(20)
        assert [call.run_id for call in gate.calls] == runs[:1]
        await service.cancel_workflow_run(runs[1])
        await service.cancel_workflow_run(runs[0])
        await until(lambda: len(gate.calls) == 2)
        gate.open.set()
        for run_id in runs[2:]:
            assert (await service.wait_for_workflow_run(run_id, timeout=SECONDS)).run_status is RunStatus.SUCCESS
        assert [call.run_id for call in gate.calls] == [runs[0], *runs[2:]]
        assert idle(service)


# Commands.


async def test_commands_sent_twice_by_a_producer_are_done_once() -> None:
    log, gate, run_id = SimulatedLog(), Gate(), new_run_id()
    gate.open.set()
    async with engine(log, gated(gate)) as service:
        await service.publish_workflow(chain(code("a", "gate"), END))
        start = StartRun(id="start", run=run_id, workflow="chain", context={"n": 1})
        for _ in range(3):
            command(log, start)
        await until(lambda: run_id in folded(log).ended)
        command(log, start)
        await turns(50)
        assert events_of(log, run_id).count("run.started") == 1
        assert len(gate.calls) == 1
        assert log.partition(REJECTIONS, 0).records == []
        assert idle(service)


async def test_commands_about_an_unknown_run_are_decided_one_after_the_other_in_their_order() -> None:
    log, run_id = SimulatedLog(), new_run_id()
    async with engine(log) as service:
        await service.publish_workflow(chain(END))
        command(log, CancelRun(id="too early", run=run_id))
        command(log, StartRun(id="too early too", run=run_id))
        command(log, CreateRun(id="of nothing", run=run_id, workflow="unknown"))
        command(log, CreateRun(id="create", run=run_id, workflow="chain"))
        command(log, StartRun(id="start", run=run_id))
        await until(lambda: run_id in folded(log).ended)
        await until(lambda: idle(service))
    rejected = [(r.headers["causationid"], r.headers["code"]) for r in log.partition(REJECTIONS, 0).records]
    assert rejected == [
        ("too early", "run_unknown"),
        ("too early too", "run_unknown"),
        ("of nothing", "workflow_unknown"),
    ]
    assert events_of(log, run_id) == [
        "run.created",
        "run.started",
        *("trace.started", "trace.succeeded") * 2,
        "run.succeeded",
    ]


async def test_a_run_id_from_another_time_is_refused_by_name() -> None:
    log = SimulatedLog()
    old = "00000000-0000-7000-8000-000000000000"
    async with engine(log) as service:
        await service.publish_workflow(chain(END))
        command(log, StartRun(id="old", run=old, workflow="chain"))
        await until(lambda: bool(log.partition(REJECTIONS, 0).records))
    assert log.partition(REJECTIONS, 0).records[0].headers["code"] == "outside_window"
    assert folded(log).runs == {}


async def test_a_command_that_could_not_be_written_is_an_error_of_its_caller_and_nobody_else() -> None:
    log = SimulatedLog()
    async with engine(log) as service:
        await service.publish_workflow(chain(END))
        log.fail_next(COMMANDS)
        with pytest.raises(LogError, match="planted"):
            await service.create_workflow_run("chain")
        assert (await service.run_workflow("chain", timeout=SECONDS)).run_status is RunStatus.SUCCESS
        assert idle(service)


# Trouble.


async def test_outcomes_that_come_between_two_terms_are_kept_for_the_next_one() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        runs = await started(service, gate, 5)
        log.fail_next(EVENTS, 3)
        command(log, CreateRun(id="x", run=new_run_id(), workflow="chain"))
        await until(lambda: executor_of(service)._partitions[0].view is None)
        gate.open.set()
        for run_id in runs:
            run = await service.wait_for_workflow_run(run_id, timeout=SECONDS)
            assert ContextObject.deserialize(run.output_context).get("done_by", int) == 1
        assert len(gate.calls) == 5
        await until(lambda: idle(service))


async def test_a_start_whose_acceptance_was_not_read_back_gets_another_attempt_and_runs_once() -> None:
    log, gate = SimulatedLog(), Gate()
    gate.open.set()
    async with engine(log, gated(gate)) as service:
        await service.publish_workflow(chain(code("a", "gate"), END))
        run_id = await service.create_workflow_run("chain")
        log.fail_next(EVENTS, 1, "unknown")
        run = await service.start_workflow_run_and_wait(run_id, timeout=SECONDS)
        assert run.run_status is RunStatus.SUCCESS
        assert len(gate.calls) == 1
        assert events_of(log, run_id).count("trace.succeeded") == 3


async def test_a_long_decision_goes_on_over_several_commits_even_when_one_of_them_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.core.decide.COMMIT_EVENTS_MAX", 10)
    log = SimulatedLog()
    async with engine(log) as service:
        steps = [edit(f"e{number}", set=[{"path": f"v{number}", "value": number}]) for number in range(40)]
        await service.publish_workflow(chain(*steps, END))
        run_id = await service.create_workflow_run("chain")
        log.fail_next(EVENTS, 1, "unknown")
        run = await service.start_workflow_run_and_wait(run_id, timeout=SECONDS)
    output = ContextObject.deserialize(run.output_context)
    assert [output.get(f"v{number}", int) for number in range(40)] == list(range(40))
    sizes = [len(r.headers["types"].split(",")) for r in log.partition(EVENTS, 0).records if r.key == run_id]
    assert max(sizes) <= 10
    assert sum(sizes) == 2 + 42 * 2 + 1


async def test_a_cancellation_stops_a_long_decision_between_two_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.core.decide.COMMIT_EVENTS_MAX", 10)
    log = SimulatedLog()
    async with engine(log) as service:
        steps = [edit(f"e{number}", set=[{"path": "v", "value": number}]) for number in range(200)]
        await service.publish_workflow(chain(*steps, END))
        run_id = await service.create_workflow_run("chain")
        await service.start_workflow_run_and_notify(run_id)
        await service.cancel_workflow_run(run_id)
        assert (await service.get_run(run_id)).run_status is RunStatus.CANCELLED
        assert idle(service)


async def test_many_foreign_fences_cost_terms_and_nothing_else() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        runs = await started(service, gate, 3)
        for number in range(10):
            headers = {"ce_type": "runline.fence", "nonce": f"foreign {number}", "checkpoint": "none"}
            log.land(EVENTS, 0, Record("fence", b"{}", headers))
            await turns(number)
        gate.open.set()
        for run_id in runs:
            assert (await service.wait_for_workflow_run(run_id, timeout=SECONDS)).run_status is RunStatus.SUCCESS
        assert len(gate.calls) == 3
        await until(lambda: idle(service))


# Waiting and closing.


async def test_a_caller_that_gave_up_leaves_nothing_and_can_wait_again() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        (run_id,) = await started(service, gate)
        with pytest.raises(WaitTimeoutError, match=run_id):
            await service.wait_for_workflow_run(run_id, timeout=0)
        assert len(service._waiters) == 0
        gate.open.set()
        assert (await service.wait_for_workflow_run(run_id, timeout=SECONDS)).run_status is RunStatus.SUCCESS


async def test_everybody_who_waits_gets_the_same_run_and_nobody_another_one() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        runs = await started(service, gate, 4)
        waits = [(run_id, service.wait_for_workflow_run(run_id, timeout=SECONDS)) for run_id in runs * 3]
        gate.open.set()
        results: Sequence[Run] = await asyncio.gather(*(wait for _, wait in waits))
        assert [run.run_id for run in results] == [run_id for run_id, _ in waits]
        assert idle(service)


async def test_closing_tells_everybody_who_waits_and_the_run_goes_on_at_the_next_start() -> None:
    log, gate, again = SimulatedLog(), Gate(), Gate()
    async with engine(log, gated(gate)) as service:
        (run_id,) = await started(service, gate)
        wait = asyncio.create_task(service.wait_for_workflow_run(run_id))
        await turns(5)
    with pytest.raises(ClosedError):
        await wait
    again.open.set()
    async with engine(log.client(), gated(again)) as service:
        assert (await service.wait_for_workflow_run(run_id, timeout=SECONDS)).run_status is RunStatus.SUCCESS
    assert gate.calls[0].cancelled


async def test_a_function_that_this_process_does_not_have_is_waited_for_and_the_run_can_be_cancelled() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        runs = await started(service, gate, 2)
    async with engine(log.client()) as service:
        assert (await service.get_run(runs[0])).run_status is RunStatus.RUNNING
        await asyncio.wait_for(service.cancel_workflow_run(runs[0]), SECONDS)
        await service.publish_workflow(chain(END, workflow_id="other"))
        assert (await service.run_workflow("other", timeout=SECONDS)).run_status is RunStatus.SUCCESS
    again = Gate()
    again.open.set()
    async with engine(log.client(), gated(again)) as service:
        assert (await service.wait_for_workflow_run(runs[1], timeout=SECONDS)).run_status is RunStatus.SUCCESS
        assert (await service.get_run(runs[0])).run_status is RunStatus.CANCELLED
    assert [call.attempt for call in again.calls] == [2]


async def test_an_ended_run_cannot_be_started_by_anybody_with_another_context() -> None:
    log, run_id = SimulatedLog(), new_run_id()
    async with engine(log) as service:
        await service.publish_workflow(chain(END))
        command(log, StartRun(id="one", run=run_id, workflow="chain", context={"n": 1}))
        await until(lambda: run_id in folded(log).ended)
        before = len(log.partition(EVENTS, 0).records)
        command(log, StartRun(id="two", run=run_id, workflow="chain", context={"n": 2}))
        await turns(50)
        assert len(log.partition(EVENTS, 0).records) == before
        assert idle(service)


async def test_an_unknown_workflow_is_refused_although_a_version_of_this_name_stands_in_another_one() -> None:
    log, run_id = SimulatedLog(), new_run_id()
    async with engine(log) as service:
        published = await service.publish_workflow(chain(END))
        await service.publish_workflow(chain(END, workflow_id="other"))
        command(log, CreateRun(id="mixed", run=run_id, workflow="other", version=published.version))
        await until(lambda: bool(log.partition(REJECTIONS, 0).records))
    assert log.partition(REJECTIONS, 0).records[0].headers["code"] == "workflow_unknown"


async def test_a_progress_service_hears_every_change_once_and_in_order_over_trouble_and_foreign_fences() -> None:
    heard: list[str] = []

    class Notes:
        async def run_progress(self, run: Run) -> None:
            heard.append(run.run_status.value)

        async def trace_progress(self, trace: Trace) -> None:
            heard.append(f"{trace.node_id}.{trace.attempt} {trace.trace_status.value}")

    log, gate = SimulatedLog(), Gate()
    service = EngineService.open(log, gated(gate), clock=QuickClock(), progress_services=[Notes()])
    async with service:
        (run_id,) = await started(service, gate)
        log.land(EVENTS, 0, Record("fence", b"{}", {"ce_type": "runline.fence", "nonce": "f", "checkpoint": "none"}))
        log.fail_next(EVENTS, 1, "unknown")
        gate.open.set()
        await service.wait_for_workflow_run(run_id, timeout=SECONDS)
    assert heard == [
        "Created",
        "Running",
        *("start.1 Running", "start.1 Success"),
        *("a.1 Running", "a.1 Success"),
        *("end.1 Running", "end.1 Success"),
        "Success",
    ]


async def test_a_version_that_was_published_by_another_process_is_found_by_a_command() -> None:
    log, run_id = SimulatedLog(), new_run_id()
    async with engine(log) as service:
        other = chain(END, workflow_id="late")
        log.land(WORKFLOWS, 0, Record("late", other.canonical(), {}))
        command(log, StartRun(id="start", run=run_id, workflow="late", version=other.version))
        await until(lambda: run_id in folded(log).ended)
        assert (await service.run_workflow("late", timeout=SECONDS)).workflow_version == other.version
