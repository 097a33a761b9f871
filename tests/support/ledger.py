"""A ledger outside the engine, and functions that leave their effects in it, for processes that are killed."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from engine import Call, ContextObject, Registry


class Ledger:
    """A file that processes append to.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, *words: object) -> None:
        """Append a line in one write, so that a kill leaves it whole or out."""
        with self._path.open("ab", buffering=0) as file:
            file.write((" ".join(map(str, words)) + "\n").encode())

    def effect(self, call: Call) -> None:
        """Leave a trace of a call in the outside world: `effect RUN TRACE ATTEMPT PROCESS`."""
        run, trace = call.trace_id.rsplit(".", 1)
        self.note("effect", run, trace, call.attempt, os.getpid())


def working(effect: Callable[[Call], None], slow_seconds: float) -> Registry:
    """Return functions that leave an effect: `quick`, `slow`, and `blocking` in a thread.

    Args:
        effect: Leaves it.
        slow_seconds: How long the slow one takes, so that many runs are open when the end comes.
    """
    registry = Registry()

    @registry.node("quick")
    async def quick(context: ContextObject, call: Call) -> None:
        effect(call)
        context.set(call.node_id, call.attempt)

    @registry.node("slow")
    async def slow(context: ContextObject, call: Call) -> None:
        effect(call)
        await asyncio.sleep(slow_seconds)
        context.set(call.node_id, call.attempt)

    @registry.node("blocking")
    def blocking(context: ContextObject, call: Call) -> None:
        effect(call)
        context.set(call.node_id, call.attempt)

    return registry
