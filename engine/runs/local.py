"""Runs as the only process of a log sees them: its executor folds every commit there is."""

import asyncio
from collections.abc import Callable

from engine.core.state import RunState
from engine.history import read_history
from engine.log.port import Log
from engine.waiters import Waiters


class LocalRuns:
    """What the executor of this process knows; ended runs are read from the log.

    Args:
        log: The log.
        waiters: Hear of every commit from the executor itself.
        open_state: Returns the state of an open run, or None.
    """

    def __init__(self, log: Log, waiters: Waiters, open_state: Callable[[str], RunState | None]) -> None:
        self._log = log
        self._waiters = waiters
        self._open_state = open_state
        self._looking: asyncio.Task[None] | None = None

    async def state(self, run_id: str) -> RunState | None:
        """Return the state of a run as it stands now, or None when the log knows no such run."""
        state = self._open_state(run_id)
        if state is None and (history := await read_history(self._log, run_id)):
            state = history[-1].after
        return state

    async def follow(self, run_id: str, *, new: bool, patient: bool = False) -> RunState | None:  # noqa: ARG002 - an embedded log is never away
        """Return the state of a run; the waiters hear of every commit anyway."""
        return None if new else await self.state(run_id)

    def unfollow(self, run_id: str) -> None:
        """Nothing was begun."""

    def look_again(self) -> None:
        """After a takeover, look at what waiters may have missed: it lies before the checkpoint that was begun from."""
        if self._waiters.runs:
            self._looking = asyncio.create_task(self._look_at_histories())

    async def close(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()

    async def _look_at_histories(self) -> None:
        for run_id in self._waiters.runs:
            if self._open_state(run_id) is None:
                for accepted in await read_history(self._log, run_id):
                    self._waiters.accepted(accepted)
