"""Attempts whose task somebody else than the engine cancels: their own function, or whoever shuts the loop down."""

import asyncio
import inspect
import logging

import pytest

from engine import Call, ContextObject, EngineService, Registry, RunStatus
from engine.core.view import View
from engine.log.port import EVENTS
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock, executor_of, until
from tests.support.workflows import END, chain, code

TEXT = "the function was cancelled, but not by the engine"


def engine(
    log: SimulatedLog, registry: Registry, running_max: int = 64, per_workflow_max: int | None = None
) -> EngineService:
    return EngineService.open(
        log,
        registry,
        clock=QuickClock(),
        nodes_running_max=running_max,
        nodes_running_per_workflow_max=per_workflow_max,
    )


def cancel_myself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@pytest.mark.parametrize("per_workflow_max", [None, 1])
async def test_a_function_that_cancels_its_own_task_fails_its_run_and_gives_its_place_back(
    caplog: pytest.LogCaptureFixture, per_workflow_max: int | None
) -> None:
    registry = Registry()

    @registry.node("step")
    async def step(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        if context.get("cancels", bool):
            cancel_myself()
            await asyncio.sleep(0)

    async with engine(SimulatedLog(), registry, 2, per_workflow_max) as service:
        await service.publish_workflow(chain(code("a", "step"), END))
        bad = await asyncio.gather(*(service.run_workflow("chain", {"cancels": True}, 60) for _ in range(5)))
        good = await asyncio.gather(*(service.run_workflow("chain", {"cancels": False}, 60) for _ in range(5)))
    assert {(run.run_status, str(run.error)) for run in bad} == {
        (RunStatus.FAILED, f"CancelledError in node a: {TEXT}"),
    }
    assert {run.run_status for run in good} == {RunStatus.SUCCESS}
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 5
    assert all("in step" in line.getMessage() and line.getMessage().endswith(f": {TEXT}\n") for line in lines)


async def test_a_cancellation_that_never_arrives_is_none() -> None:
    registry = Registry()

    @registry.node("step")
    async def step(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
        cancel_myself()
        context.set("done", True)

    async with engine(SimulatedLog(), registry, running_max=1) as service:
        await service.publish_workflow(chain(code("a", "step"), code("b", "step"), END))
        runs = await asyncio.gather(*(service.run_workflow("chain", None, 60) for _ in range(5)))
    assert {(run.run_status, run.output_context) for run in runs} == {(RunStatus.SUCCESS, '{"done":true}')}


async def test_cancelling_the_tasks_of_other_attempts_leaves_no_run_open() -> None:
    registry = Registry()
    cancelled: list[int] = []

    @registry.node("step")
    async def step(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
        if context.get("cancels", bool):
            mine = asyncio.current_task()
            others = [task for task in asyncio.all_tasks() if "Attempts._work" in repr(task) and task is not mine]
            cancelled.append(len(others))
            for task in others:
                task.cancel()
        for _ in range(3):
            await asyncio.sleep(0)

    async with engine(SimulatedLog(), registry, running_max=3) as service:
        await service.publish_workflow(chain(code("a", "step"), END))
        # The second one stands in the middle: some of the tasks that it cancels have begun, one has not.
        started = [service.run_workflow("chain", {"cancels": n == 1}, 60) for n in range(9)]
        runs = await asyncio.gather(*started)
        later = await asyncio.gather(*(service.run_workflow("chain", {"cancels": False}, 60) for _ in range(9)))
    assert cancelled == [2]
    assert {run.run_status for run in runs} <= {RunStatus.SUCCESS, RunStatus.FAILED}
    assert {str(run.error) for run in runs if run.error is not None} == {f"CancelledError in node a: {TEXT}"}
    assert {run.run_status for run in later} == {RunStatus.SUCCESS}


class Waiting:
    """A function that waits until it is let through; what it is told meanwhile it turns into `raised`, if anything."""

    def __init__(self, raised: BaseException | None = None) -> None:
        self.attempts: list[int] = []
        self.open = False
        self._raised = raised

    async def __call__(self, context: ContextObject, call: Call) -> None:
        self.attempts.append(call.attempt)
        try:
            await until(lambda: self.open)
        except asyncio.CancelledError:
            # Its cleanup takes a while: whoever cancelled it waits for that.
            await asyncio.sleep(0)
            if self._raised is not None:
                raise self._raised from None
            raise
        context.set("by", call.attempt)


def events_of(log: SimulatedLog, run_id: str) -> list[str]:
    """Return the types of a run's events that count."""
    view = View()
    accepted = [view.fold(record) for record in log.partition(EVENTS, 0).records]
    commits = [commit for commit in accepted if commit is not None and commit.after.run_id == run_id]
    return [event["type"] for commit in commits for event in commit.value["events"]]


# The second is what awaiting a task of one's own raises: the attempt's own task is not being cancelled any more.
@pytest.mark.parametrize("raised", [None, asyncio.CancelledError("by a task of its own")])
def test_when_the_event_loop_is_shut_down_no_outcome_is_recorded_and_the_next_process_repeats_the_attempt(
    raised: BaseException | None,
) -> None:
    log = SimulatedLog()
    waiting = Waiting(raised)
    registry = Registry()
    registry.node("wait")(waiting)

    async def first() -> list[str]:
        # It is never closed: the program returns, and asyncio.run cancels all tasks that are left.
        service = await engine(log, registry, running_max=1).__aenter__()
        await service.publish_workflow(chain(code("a", "wait"), END))
        runs = [await service.create_workflow_run("chain") for _ in range(3)]
        for run_id in runs:
            await service.start_workflow_run_and_notify(run_id)
        await until(lambda: len(waiting.attempts) == 1)
        return runs

    runs = asyncio.run(first())
    # Those behind it did not begin in its place, either.
    assert waiting.attempts == [1]
    for run_id in runs:
        assert events_of(log, run_id)[-1] == "trace.started"

    async def second() -> list[tuple[RunStatus, str | None]]:
        waiting.open = True
        async with engine(log, registry) as service:
            ended = [await service.wait_for_workflow_run(run_id, 60) for run_id in runs]
        return [(run.run_status, run.output_context) for run in ended]

    assert asyncio.run(second()) == [(RunStatus.SUCCESS, '{"by":2}')] * 3
    assert waiting.attempts == [1, 2, 2, 2]


async def test_a_cancelled_run_is_cancelled_and_not_failed_by_it() -> None:
    waiting = Waiting()
    registry = Registry()
    registry.node("wait")(waiting)
    log = SimulatedLog()
    async with engine(log, registry) as service:
        await service.publish_workflow(chain(code("a", "wait"), END))
        run_id = await service.create_workflow_run("chain")
        await service.start_workflow_run_and_notify(run_id)
        await until(lambda: waiting.attempts == [1])
        await service.cancel_workflow_run(run_id)
        assert (await service.wait_for_workflow_run(run_id, 60)).run_status is RunStatus.CANCELLED
    assert events_of(log, run_id)[-2:] == ["trace.cancelled", "run.cancelled"]


async def test_closing_the_engine_records_no_outcome() -> None:
    waiting = Waiting()
    registry = Registry()
    registry.node("wait")(waiting)
    log = SimulatedLog()
    async with engine(log, registry) as service:
        await service.publish_workflow(chain(code("a", "wait"), END))
        run_id = await service.create_workflow_run("chain")
        await service.start_workflow_run_and_notify(run_id)
        await until(lambda: waiting.attempts == [1])
    assert events_of(log, run_id)[-1] == "trace.started"
    waiting.open = True
    async with engine(log, registry) as service:
        assert (await service.wait_for_workflow_run(run_id, 60)).output_context == '{"by":2}'


def test_when_the_event_loop_is_dropped_nothing_is_recorded_said_or_begun(caplog: pytest.LogCaptureFixture) -> None:
    log = SimulatedLog()
    waiting = Waiting()
    registry = Registry()
    registry.node("wait")(waiting)

    async def first() -> tuple[list[str], EngineService]:
        service = await engine(log, registry, running_max=1).__aenter__()
        await service.publish_workflow(chain(code("a", "wait"), END))
        runs = [await service.create_workflow_run("chain") for _ in range(2)]
        for run_id in runs:
            await service.start_workflow_run_and_notify(run_id)
        await until(lambda: len(executor_of(service)._attempts) == 2)
        return runs, service

    loop = asyncio.new_event_loop()
    runs, service = loop.run_until_complete(first())
    attempts = executor_of(service)._attempts
    (task,) = attempts._tasks
    work = task.get_coro()
    assert inspect.iscoroutine(work)
    # What the interpreter does to the coroutine of a task that nobody has any more.
    work.close()
    assert not [record for record in caplog.records if record.name == "runline.executor"]
    assert attempts._tasks == {task}
    assert [events_of(log, run_id)[-1] for run_id in runs] == ["trace.started"] * 2
    for left in asyncio.all_tasks(loop):
        left.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert waiting.attempts == [1]
