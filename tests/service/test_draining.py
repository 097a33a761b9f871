"""An engine that is told to drain lets nodes end and begins no more; what is next is for the next one."""

import asyncio

import pytest

from engine import Call, ContextObject, EngineService, Registry, RunStatus, Trace
from engine.errors import ArgumentError, ClosedError
from engine.log.port import COMMANDS
from tests.simulation.log import SimulatedLog
from tests.support.workflows import END, chain, code

SECONDS = 60


class Nodes:
    """The functions of one process: the first one ends when it is told to."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.ran: list[str] = []
        self.registry.node("slow")(self._slow)
        self.registry.node("quick")(self._quick)

    async def _slow(self, context: ContextObject, call: Call) -> None:  # noqa: ARG002 - a node function's signature
        self.begun.set()
        await self.may_end.wait()
        self.ran.append(f"{call.node_id} {call.attempt}")

    async def _quick(self, context: ContextObject, call: Call) -> None:  # noqa: ARG002 - the same
        self.ran.append(f"{call.node_id} {call.attempt}")


def stands(traces: list[Trace]) -> list[str]:
    return [f"{trace.node_id} {trace.attempt} {trace.trace_status}" for trace in traces]


async def test_what_is_under_way_ends_and_what_comes_next_is_the_next_ones() -> None:
    log, nodes = SimulatedLog(), Nodes()
    async with EngineService.open(log, nodes.registry) as engine:
        await engine.publish_workflow(chain(code("a", "slow"), code("b", "quick"), END))
        run_id = await engine.create_workflow_run("chain")
        await engine.start_workflow_run_and_notify(run_id)
        await nodes.begun.wait()
        draining = asyncio.create_task(engine.drain(SECONDS))
        await asyncio.sleep(0)
        # A command that comes now is nobody's yet.
        late = asyncio.create_task(engine.run_workflow("chain"))
        while not log.partition(COMMANDS, 0).end > 2:  # noqa: ASYNC110 - the log has no event
            await asyncio.sleep(0)
        nodes.may_end.set()
        await draining
        assert stands(await engine.get_traces(run_id)) == ["start 1 Success", "a 1 Success"]
        assert not late.done()
    with pytest.raises(ClosedError):
        await late
    following = Nodes()
    following.may_end.set()
    async with EngineService.open(log, following.registry) as engine:
        run = await engine.wait_for_workflow_run(run_id, timeout=SECONDS)
        assert run.run_status is RunStatus.SUCCESS
        assert stands(await engine.get_traces(run_id))[1:3] == ["a 1 Success", "b 1 Success"]
    assert nodes.ran == ["a 1"]
    assert sorted(following.ran) == ["a 1", "b 1", "b 1"]


async def test_what_does_not_end_in_time_is_begun_again_by_the_next_one(caplog: pytest.LogCaptureFixture) -> None:
    log, nodes = SimulatedLog(), Nodes()
    async with EngineService.open(log, nodes.registry) as engine:
        await engine.publish_workflow(chain(code("a", "slow"), END))
        run_id = await engine.create_workflow_run("chain")
        await engine.start_workflow_run_and_notify(run_id)
        await nodes.begun.wait()
        await engine.drain(0.05)
    assert "1 nodes have not ended within 0.05 s; they are begun again" in caplog.text
    following = Nodes()
    following.may_end.set()
    async with EngineService.open(log, following.registry) as engine:
        assert (await engine.wait_for_workflow_run(run_id, timeout=SECONDS)).run_status is RunStatus.SUCCESS
    assert following.ran == ["a 2"]


async def test_an_engine_with_nothing_under_way_is_drained_at_once_and_one_that_is_closed_cannot_be() -> None:
    engine = EngineService.open(SimulatedLog(), Registry())
    with pytest.raises(ClosedError):
        await engine.drain(1)
    async with engine:
        with pytest.raises(ArgumentError, match="Expected seconds"):
            await engine.drain(-1)
        await asyncio.wait_for(engine.drain(3600), SECONDS)
