"""Twenty thousand callers of one process wait at once."""

import asyncio
from pathlib import Path

from engine import EngineService, Run, RunStatus
from engine.errors import WaitTimeoutError
from tests.support.engines import until
from tests.support.workflows import END, chain, code, registry

WAITS = 20_000
AT_ONCE = 500
"""Runs that are created, or started, at once."""
GIVES_UP = 3
"""Every third caller gives up."""


async def in_turns(engine: EngineService, count: int) -> list[str]:
    """Create so many runs."""
    made: list[str] = []
    while len(made) < count:
        made += await asyncio.gather(*(engine.create_workflow_run("chain") for _ in range(AT_ONCE)))
    return made


async def wait_for_all(engine: EngineService) -> None:
    """Wait for many created runs, let some callers give up, and start the runs."""
    run_ids = await in_turns(engine, WAITS)
    calls = [asyncio.create_task(engine.wait_for_workflow_run(run_id)) for run_id in run_ids]
    await until(lambda: len(engine._waiters) == WAITS)
    for call in calls[::GIVES_UP]:
        call.cancel()
    given_up = await asyncio.gather(*calls[::GIVES_UP], return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in given_up)
    assert len(engine._waiters) == WAITS - len(given_up)
    for first in range(0, WAITS, AT_ONCE):
        ids = run_ids[first : first + AT_ONCE]
        await asyncio.gather(*(engine.start_workflow_run_and_notify(run_id, {"total": first}) for run_id in ids))
    kept = [(run_id, call) for run_id, call in zip(run_ids, calls, strict=True) if not call.cancelled()]
    ended: list[Run] = await asyncio.gather(*(call for _, call in kept))
    assert [run.run_id for run in ended] == [run_id for run_id, _ in kept]
    assert all(run.run_status is RunStatus.SUCCESS for run in ended)
    assert len(engine._waiters) == 0


async def test_twenty_thousand_wait_in_the_process_that_executes(tmp_path: Path) -> None:
    async with EngineService.open(tmp_path, registry(), durability="process") as engine:
        await engine.publish_workflow(chain(code("a", "add"), END))
        await wait_for_all(engine)


async def test_callers_whose_time_is_up_leave_nothing_behind(tmp_path: Path) -> None:
    async with EngineService.open(tmp_path, registry(), durability="process") as engine:
        await engine.publish_workflow(chain(code("a", "add"), END))
        run_ids = await in_turns(engine, AT_ONCE)
        calls = (engine.wait_for_workflow_run(run_id, timeout=0.001) for run_id in run_ids for _ in range(4))
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(each, WaitTimeoutError) for each in found)
        assert len(engine._waiters) == 0
