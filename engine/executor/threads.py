"""Threads for blocking functions: daemons, because a function that hangs must not keep the process from ending."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ParamSpec, TypeVar

from engine.core.soundness import class_name, text_of

P = ParamSpec("P")
R = TypeVar("R")

_Job = Callable[[], None]


class Threads:
    """A pool that grows to as many threads as there are calls at once; idle threads are used again.

    The standard library's pool joins its threads when the interpreter ends, which a hanging function would prevent.
    The caller bounds how many calls there are at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._idle = 0
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Call the function in a thread; the future gives its result or raises its exception."""
        future: asyncio.Future[R] = self._loop.create_future()

        def job() -> None:
            try:
                result = function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the waiting coroutine has to hear of it
                self._finish(future, partial(future.set_exception, _safe(error)))
            else:
                self._finish(future, partial(future.set_result, result))

        with self._lock:
            grow = self._idle == 0
            if grow:
                self._count += 1
            else:
                self._idle -= 1
        if grow:
            threading.Thread(target=self._work, name="runline-node", daemon=True).start()
        self._jobs.put(job)
        return future

    def close(self) -> None:
        """Let idle threads end; one in a hanging function ends with the process."""
        for _ in range(self._count):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            with self._lock:
                self._idle += 1

    def _finish(self, future: "asyncio.Future[R]", settle: Callable[[], None]) -> None:
        def finish() -> None:
            if not future.done():
                settle()

        # A loop that was closed meanwhile raises RuntimeError: nobody waits for the outcome any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(finish)


def _safe(error: BaseException) -> BaseException:
    """Return an exception that a future can carry: StopIteration would end a generator somewhere else."""
    kind = type(error)
    return RuntimeError(f"{class_name(kind)}: {text_of(error)}") if issubclass(kind, StopIteration) else error
