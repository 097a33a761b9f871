"""The tasks that run attempts: how many there are, and what one attempt leaves to the next one."""

import asyncio
from contextvars import ContextVar

from engine import Call, ContextObject, EngineService, Registry, RunStatus
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock, until
from tests.support.workflows import END, chain, code

MARK: ContextVar[str] = ContextVar("MARK", default="unmarked")


async def test_an_attempt_does_not_see_the_context_variables_of_the_one_before() -> None:
    seen: list[str] = []
    registry = Registry()

    @registry.node("mark")
    async def mark(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        seen.append(MARK.get())
        MARK.set(call.run_id)

    async with EngineService.open(SimulatedLog(), registry, clock=QuickClock()) as service:
        await service.publish_workflow(chain(code("a", "mark"), code("b", "mark"), END))
        runs = await asyncio.gather(*(service.run_workflow("chain") for _ in range(5)))
    assert {run.run_status for run in runs} == {RunStatus.SUCCESS}
    assert seen == ["unmarked"] * 10


async def test_attempts_that_wait_for_nothing_share_a_task_and_one_that_waits_holds_up_no_other() -> None:
    gate = asyncio.Event()
    tasks: set[object] = set()
    waiting: list[str] = []
    registry = Registry()

    @registry.node("step")
    async def step(context: ContextObject, call: Call) -> None:
        tasks.add(asyncio.current_task())
        if context.get("wait", bool):
            waiting.append(call.run_id)
            await gate.wait()

    async with EngineService.open(SimulatedLog(), registry, clock=QuickClock()) as service:
        await service.publish_workflow(chain(code("a", "step"), END))
        slow = [asyncio.create_task(service.run_workflow("chain", {"wait": True})) for _ in range(3)]
        await until(lambda: len(waiting) == 3)
        tasks.clear()
        quick = await asyncio.gather(*(service.run_workflow("chain", {"wait": False}) for _ in range(50)))
        assert {run.run_status for run in quick} == {RunStatus.SUCCESS}
        assert len(tasks) < 50
        gate.set()
        assert {(await run).run_status for run in slow} == {RunStatus.SUCCESS}


async def test_no_more_attempts_run_at_once_than_allowed_and_all_of_them_run() -> None:
    running = most = 0
    registry = Registry()

    @registry.node("step")
    async def step(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(3):
            await asyncio.sleep(0)
        running -= 1

    async with EngineService.open(SimulatedLog(), registry, clock=QuickClock(), nodes_running_max=4) as service:
        await service.publish_workflow(chain(code("a", "step"), END))
        runs = await asyncio.gather(*(service.run_workflow("chain") for _ in range(40)))
    assert {run.run_status for run in runs} == {RunStatus.SUCCESS}
    assert most == 4


async def test_a_function_that_swallows_its_cancellation_ends_its_task_and_the_next_attempts_run() -> None:
    begun: list[str] = []
    registry = Registry()

    @registry.node("stubborn")
    async def stubborn(context: ContextObject, call: Call) -> None:
        begun.append(call.run_id)
        if len(begun) == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                context.set("swallowed", True)

    async with EngineService.open(SimulatedLog(), registry, clock=QuickClock(), nodes_running_max=1) as service:
        await service.publish_workflow(chain(code("a", "stubborn"), END))
        first = asyncio.create_task(service.run_workflow("chain"))
        await until(lambda: len(begun) == 1)
        others = [asyncio.create_task(service.run_workflow("chain")) for _ in range(5)]
        await service.cancel_workflow_run(begun[0])
        assert (await first).run_status is RunStatus.CANCELLED
        assert {(await run).run_status for run in others} == {RunStatus.SUCCESS}
