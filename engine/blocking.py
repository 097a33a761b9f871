"""Blocking calls: an event loop in a thread of its own, for programs that have none."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import TypeVar

from engine.errors import LoopRunningError
from engine.limits import DRAIN_SECONDS

T = TypeVar("T")


def refuse_inside_loop(what: str, hint: str) -> None:
    """Do nothing in a thread without a running event loop.

    Raises:
        LoopRunningError: The thread runs an event loop, which must not be blocked.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise LoopRunningError(f"{what} would block the event loop that runs in this thread.", hint=hint)


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="runline-engine", daemon=True)
        self._thread.start()

    def call(self, call: Coroutine[None, None, T]) -> T:
        """Run a coroutine in the loop and block until it is done."""
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    def close(self) -> None:
        """End what is left in the loop, and stop it and its thread."""
        self.call(_end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end_tasks() -> None:
    """Cancel all other tasks and wait until they are over, bounded: a function may refuse to be cancelled."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
