"""Waiting and asking in a process that executes nothing, on a log that many processes share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from engine import EngineService, Registry, RunStatus
from engine.errors import (
    ClosedError,
    CommandRefusedError,
    LogError,
    RunEndedError,
    RunNotCreatedError,
    RunNotFoundError,
    WaitTimeoutError,
)
from engine.log.port import COMMANDS, EVENTS, REJECTIONS
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock, until
from tests.support.workflows import END, chain, code, registry

SECONDS = 60
NEVER = "01939d5c-0000-7000-8000-000000000001"


class Gate:
    """A node function that waits until it is let through."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.count = 0

    async def __call__(self, _context: object, _call: object) -> None:
        self.count += 1
        await self.open.wait()


@asynccontextmanager
async def processes(clients: int = 1) -> AsyncIterator[tuple[SimulatedLog, Gate, EngineService, list[EngineService]]]:
    """An executor and clients, each with a client of one log of its own; and the gate of the workflow `gated`."""
    log, gate = SimulatedLog(partitions=2, shared=True), Gate()
    functions = registry()
    functions.node("gate")(gate)
    async with AsyncExitStack() as stack:
        executor = await stack.enter_async_context(EngineService.open(log.client(), functions, clock=QuickClock()))
        await executor.publish_workflow(chain(code("a", "add"), END))
        await executor.publish_workflow(chain(code("a", "gate"), END, workflow_id="gated"))
        opened = [
            await stack.enter_async_context(EngineService.open(log.client(), executor=False, clock=QuickClock()))
            for _ in range(clients)
        ]
        async with asyncio.timeout(SECONDS):
            yield log, gate, executor, opened


async def test_the_three_ways_of_starting_work_from_a_process_that_executes_nothing() -> None:
    async with processes() as (_, _, _, (client,)):
        run = await client.run_workflow("chain", {"x": 1})
        assert (run.run_status, run.output_context) == (RunStatus.SUCCESS, '{"x":1,"total":1}')
        run_id = await client.create_workflow_run("chain")
        assert (await client.get_run(run_id)).run_status is RunStatus.CREATED
        waited = await client.start_workflow_run_and_wait(run_id, {"x": 2})
        assert waited.output_context == '{"x":2,"total":1}'
        notified = await client.create_workflow_run("chain")
        await client.start_workflow_run_and_notify(notified)
        assert (await client.wait_for_workflow_run(notified)).run_status is RunStatus.SUCCESS
        assert [trace.node_id for trace in await client.get_traces(notified)] == ["start", "a", "end"]


async def test_a_run_that_had_ended_before_is_found_at_once_by_every_process() -> None:
    async with processes(clients=2) as (_, _, executor, (one, other)):
        run = await one.run_workflow("chain")
        for service in (one, other, executor):
            assert await service.wait_for_workflow_run(run.run_id) == run
            assert await service.get_run(run.run_id) == run


async def test_all_who_wait_for_a_run_hear_of_its_end_wherever_it_was_started() -> None:
    async with processes(clients=3) as (_, gate, executor, clients):
        run_id = await clients[0].create_workflow_run("gated")
        waiting = [asyncio.create_task(client.wait_for_workflow_run(run_id)) for client in (*clients, executor)]
        await clients[1].start_workflow_run_and_notify(run_id)
        await until(lambda: gate.count == 1)
        assert (await clients[2].get_run(run_id)).message == "running a"
        assert not any(task.done() for task in waiting)
        gate.open.set()
        assert {run.run_status for run in await asyncio.gather(*waiting)} == {RunStatus.SUCCESS}
        assert [len(client._waiters) for client in clients] == [0, 0, 0]


async def test_a_run_is_started_once_whoever_starts_it() -> None:
    async with processes(clients=2) as (_, _, _, clients):
        run_id = await clients[0].create_workflow_run("chain")
        started = await asyncio.gather(
            *(client.start_workflow_run_and_wait(run_id, {"by": number}) for number, client in enumerate(clients)),
            return_exceptions=True,
        )
        assert sorted(type(each).__name__ for each in started) == ["Run", "RunNotCreatedError"]
        with pytest.raises(RunNotCreatedError):
            await clients[1].start_workflow_run_and_wait(run_id)


async def test_a_start_that_comes_behind_a_cancellation_is_told_so() -> None:
    async with processes(clients=2) as (log, _, _, (one, other)):
        run_id = await one.create_workflow_run("chain")
        # Both look before either asks: the cancellation is decided first, and passes the start over in silence.
        cancelling = asyncio.create_task(other.cancel_workflow_run(run_id))
        one._log.hold()  # type: ignore[attr-defined]  # a simulated log's hook
        starting = asyncio.create_task(one.start_workflow_run_and_wait(run_id))
        await cancelling
        one._log.release()  # type: ignore[attr-defined]  # the same
        with pytest.raises(RunNotCreatedError):
            await starting
        assert len(log.partition(REJECTIONS, 0).records) == 0


async def test_refusals_come_back_to_who_asked_wherever_they_are_written() -> None:
    async with processes() as (log, gate, _, (client,)):
        with pytest.raises(RunNotFoundError):
            await client.get_run(NEVER)
        with pytest.raises(RunNotFoundError):
            await client.wait_for_workflow_run(NEVER)
        run = await client.run_workflow("chain")
        with pytest.raises(RunEndedError):
            await client.cancel_workflow_run(run.run_id)
        client._ids = type("Old", (), {"command_id": lambda _: "c", "run_id": lambda _: NEVER})()
        with pytest.raises(CommandRefusedError, match="within 3600 s"):
            await client.run_workflow("chain")
        assert log.partition(REJECTIONS, 0).records[-1].headers["causationid"] == "c"
        assert gate.count == 0


async def test_a_wait_never_outlasts_its_timeout_and_leaves_nothing_behind() -> None:
    async with processes() as (_, gate, _, (client,)):
        with pytest.raises(WaitTimeoutError, match="goes on"):
            await client.run_workflow("gated", timeout=0.01)
        run_id = await client.create_workflow_run("gated")
        await client.start_workflow_run_and_notify(run_id)
        with pytest.raises(WaitTimeoutError):
            await client.wait_for_workflow_run(run_id, timeout=0)
        assert len(client._waiters) == 0
        tails = client._runs._tails.values()  # type: ignore[attr-defined]  # the shared ones have tails
        assert not any(tail._followed for tail in tails)
        gate.open.set()
        assert (await client.wait_for_workflow_run(run_id)).run_status is RunStatus.SUCCESS


async def test_who_asks_for_something_while_refusals_cannot_be_heard_is_told_and_who_only_waits_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with processes() as (_, _, executor, (client,)):
        ended = await executor.run_workflow("chain")
        failures = [LogError("no broker answers")]
        read = SimulatedLog.ends

        async def ends(log: SimulatedLog, topic: str, partition: int) -> object:
            if log is client._log and topic == REJECTIONS and failures:
                raise failures.pop()
            return await read(log, topic, partition)

        monkeypatch.setattr(SimulatedLog, "ends", ends)
        assert await client.wait_for_workflow_run(ended.run_id) == ended
        assert failures, "who only waits asks for no refusals"
        with pytest.raises(LogError, match="no broker answers"):
            await client.create_workflow_run("chain")
        assert (await client.run_workflow("chain")).run_status is RunStatus.SUCCESS


async def test_waits_survive_that_the_tail_loses_the_log_and_finds_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with processes() as (_, gate, _, (client,)):
        run_id = await client.create_workflow_run("gated")
        await client.start_workflow_run_and_notify(run_id)
        waiting = asyncio.create_task(client.wait_for_workflow_run(run_id))
        tails = client._runs._tails.values()  # type: ignore[attr-defined]  # the shared ones have tails
        await until(lambda: gate.count == 1 and any(f.sure for t in tails for f in t._followed.values()))
        failures = [LogError("no broker answers"), LogError("nor now")]
        read = type(client._log).ends

        async def ends(log: SimulatedLog, topic: str, partition: int) -> object:
            if log is client._log and topic == EVENTS and failures:
                raise failures.pop()
            return await read(log, topic, partition)

        monkeypatch.setattr(SimulatedLog, "ends", ends)
        for tail in tails:
            tail._reader._position = 10**9  # as when the log was truncated
            tail._reader.wake()
        gate.open.set()
        assert (await waiting).run_status is RunStatus.SUCCESS
        assert not failures


async def test_whoever_begins_to_wait_while_the_engine_closes_is_told() -> None:
    log = SimulatedLog(shared=True)
    async with EngineService.open(log.client(), Registry(), clock=QuickClock()) as executor:
        await executor.publish_workflow(chain(END))
        client = EngineService.open(log.client(), executor=False, clock=QuickClock())
        async with client:
            calls = [asyncio.create_task(client.run_workflow("chain")) for _ in range(3)]
            await asyncio.sleep(0)
            late = client._runs
        for call in calls:
            with pytest.raises(ClosedError):
                await asyncio.wait_for(call, SECONDS)
        with pytest.raises(ClosedError):
            await late.follow(NEVER, new=True)
        assert len(log.partition(COMMANDS, 0).records) == 0
