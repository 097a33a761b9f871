"""Engines on a simulated log, with a clock that never makes anyone wait."""

import asyncio
from collections.abc import Callable

from engine import EngineService
from engine.executor.executor import Executor
from engine.ports import SystemClock


class QuickClock(SystemClock):
    """The machine's time, but nobody waits: a pause is one turn of the event loop."""

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002 - however long, it is over at once
        await asyncio.sleep(0)


def executor_of(service: EngineService) -> Executor:
    """Return the executor of an engine that executes."""
    assert service._executor is not None
    return service._executor


async def until(condition: Callable[[], bool], turns: int = 100_000) -> None:
    """Let the event loop turn until something has happened."""
    for _ in range(turns):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")
