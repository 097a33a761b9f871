"""Threads of a simulation: a blocking function is called all at once, a little later; its result comes later still."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import pytest

from consumers.host.watchdog import Watchdog
from engine.executor.threads import Threads

P = ParamSpec("P")
R = TypeVar("R")


def simulate_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing of the engine run in a real thread."""
    monkeypatch.setattr(Threads, "__call__", _call)
    # It asks a loop from a thread by the machine's clock.
    monkeypatch.setattr(Watchdog, "start", lambda _: None)


def _call(self: Threads, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
    del self
    return asyncio.get_running_loop().run_in_executor(None, lambda: function(*args, **kwargs))
