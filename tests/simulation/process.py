"""A process of the world: what runs in it stops when it is paused, and never runs again when it is killed."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from enum import Enum, auto
from typing import TypeVar

R = TypeVar("R")


class State(Enum):
    """What becomes of a process's callbacks."""

    RUNS = auto()
    PAUSED = auto()
    """They wait until it is woken, as after SIGSTOP."""
    DEAD = auto()
    """They never run, not even to tidy up, as after SIGKILL."""


class Process:
    """Tells what runs in one process: its tasks and callbacks carry it in their context.

    Args:
        name: What people call it.

    Attributes:
        state: What becomes of its callbacks; the event loop asks.
        frozen: The callbacks that came while it was paused.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = State.RUNS
        self.frozen: list[asyncio.Handle] = []
        self.context: Context = copy_context()
        self.context.run(PROCESS.set, self)

    def spawn(self, work: Coroutine[None, None, R]) -> "asyncio.Task[R]":
        """Begin a task of the process."""
        return self.context.copy().run(asyncio.get_running_loop().create_task, work)

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Let the process call a function soon."""
        asyncio.get_running_loop().call_soon(function, *arguments, context=self.context.copy())

    def pause(self) -> None:
        """Stop everything, where it stands."""
        if self.state is State.RUNS:
            self.state = State.PAUSED

    def wake(self) -> None:
        """Go on, with everything that came meanwhile, in its order."""
        if self.state is State.PAUSED:
            self.state = State.RUNS
            frozen, self.frozen = self.frozen, []
            loop = asyncio.get_running_loop()
            for handle in frozen:
                loop.call_soon(_thaw, self, handle)

    def kill(self) -> None:
        """End at once and for good."""
        self.state = State.DEAD
        self.frozen.clear()

    def takes(self, handle: asyncio.Handle) -> bool:
        """Return whether a callback may run; one that may not is kept or dropped here."""
        if self.state is State.PAUSED:
            self.frozen.append(handle)
        return self.state is State.RUNS


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)
"""The process that runs now; None for the world around."""


def _thaw(process: Process, handle: asyncio.Handle) -> None:
    if not handle.cancelled() and process.takes(handle):
        handle._run()
