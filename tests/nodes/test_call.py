import asyncio
import logging
import threading
from collections.abc import Callable

import pytest

from engine.call import Call, CallCancelledError

MakeCall = Callable[[], Call]


def test_a_call_is_cancelled_once_and_for_ever(make_call: MakeCall) -> None:
    call = make_call()
    seen = [call.cancelled]
    call.raise_if_cancelled()
    call.cancel()
    call.cancel()
    assert [*seen, call.cancelled] == [False, True]
    with pytest.raises(CallCancelledError, match="Attempt 2 of node 'ask' in run run-1"):
        call.raise_if_cancelled()


async def test_all_waiters_in_all_loops_hear_of_a_cancellation(make_call: MakeCall) -> None:
    call = make_call()
    other_loop_waits = threading.Event()
    heard: list[str] = []

    async def elsewhere() -> None:
        asyncio.get_running_loop().call_soon(other_loop_waits.set)
        await call.wait_cancelled()
        heard.append("elsewhere")

    async def here() -> None:
        await call.wait_cancelled()
        heard.append("here")

    thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
    thread.start()
    async with asyncio.timeout(60):
        async with asyncio.TaskGroup() as group:
            group.create_task(here())
            group.create_task(here())
            await asyncio.to_thread(other_loop_waits.wait, 10)
            assert heard == []
            await asyncio.to_thread(call.cancel)
        await asyncio.to_thread(thread.join)
        await call.wait_cancelled()
    assert sorted(heard) == ["elsewhere", "here", "here"]


async def test_a_waiter_that_gave_up_is_forgotten(make_call: MakeCall) -> None:
    call = make_call()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await call.wait_cancelled()
    assert call._waiters == []


def test_cancelling_after_a_waiters_loop_was_closed_is_harmless(make_call: MakeCall) -> None:
    call = make_call()
    loop = asyncio.new_event_loop()
    call._waiters.append((loop, asyncio.Event()))
    loop.close()
    call.cancel()
    assert call.cancelled


async def test_a_blocking_function_runs_in_a_thread(make_call: MakeCall) -> None:
    def work(number: int, *, more: int) -> tuple[int, int]:
        return number + more, threading.get_ident()

    total, thread = await make_call().in_thread(work, 1, more=2)
    assert total == 3
    assert thread != threading.get_ident()


def test_log_records_carry_the_call(make_call: MakeCall, caplog: pytest.LogCaptureFixture) -> None:
    call = make_call()
    with caplog.at_level(logging.INFO):
        call.logger.info("asked %s", "twice", extra={"model": "m"})
    record = caplog.records[0]
    assert record.getMessage() == "asked twice"
    expected = {
        "run_id": "run-1", "workflow_id": "w", "node_id": "ask", "trace_id": "trace-1", "attempt": 2, "model": "m",
    }  # fmt: skip
    assert {name: getattr(record, name) for name in expected} == expected
    assert call.logger is call.logger
