"""The tasks of a term, which stand and fall together."""

import asyncio
from collections.abc import Coroutine


class Tasks:
    """Runs tasks until one of them fails.

    Attributes:
        broken: Raises the first failure.
    """

    def __init__(self) -> None:
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # In the order in which they began, so that they also end in the same order each time.
        self._running: dict[asyncio.Task[None], None] = {}

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Begin a task."""
        task = asyncio.create_task(work)
        self._running[task] = None
        task.add_done_callback(self._done)
        return task

    def fail(self, error: BaseException) -> None:
        """Hear of a failure, from a task or from elsewhere; the first one counts."""
        if not self.broken.done():
            self.broken.set_exception(error)

    def cancel(self) -> None:
        """End all tasks; nobody need hear of failures any more."""
        if self.broken.done():
            self.broken.exception()
        else:
            self.broken.cancel()
        for task in self._running:
            task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)
