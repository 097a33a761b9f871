"""The port through which a process sees runs: their states, and for its waiters every commit as it is accepted."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from engine.core.state import RunState
from engine.log.port import Log
from engine.run import Run, Trace


class Runs(Protocol):
    """What this process sees of runs."""

    async def state(self, run_id: str) -> RunState | None:
        """Return the state of a run as it stands now, or None when the log knows no such run.

        Raises:
            LogError: The log cannot be read.
        """
        ...

    async def follow(self, run_id: str, *, new: bool, patient: bool = False) -> RunState | None:
        """Let the waiters hear of every commit of a run from now on, until as many calls of `unfollow`.

        Args:
            run_id: The run.
            new: Whether the id was made just now: nothing about it can be on the log yet.
            patient: Whether nothing is asked of the run: then brokers that are away or coming back are waited for,
                which otherwise is an error, and refusals are of no interest.

        Returns:
            What has become of the run so far, if need be without where it is; None when the log knows no such run.

        Raises:
            LogError: The log cannot be read.
        """
        ...

    def unfollow(self, run_id: str) -> None:
        """Follow a run no longer, after a call of `follow` that returned."""
        ...

    async def close(self) -> None:
        """Stop."""
        ...


class RunViews(Protocol):
    """Views of runs, folded from the log, that an engine asks instead of reading the log. See `projections.Views`."""

    def fold(self, log: Log) -> AbstractAsyncContextManager[None]:
        """Keep the views as fresh as this log for as long as the context is entered.

        Raises:
            RunlineError: They cannot be used.
        """
        ...

    async def reach_offset(self, run_id: str, offset: int) -> None:
        """Wait until the partition of a run is folded up to an offset of `events`.

        Raises:
            RunlineError: It was not in time, or cannot be.
        """
        ...

    async def get_run(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            RunNotFoundError: The views have no such run.
            RunlineError: They cannot be asked.
        """
        ...

    async def get_traces(self, run_id: str) -> list[Trace]:
        """Return a run's traces, in the order in which they began.

        Raises:
            RunNotFoundError: The views have no such run.
            RunlineError: They cannot be asked.
        """
        ...
