"""The port through which a process sees runs: their states, and for its waiters every commit as it is accepted."""

from typing import Protocol

from engine.core.state import RunState


class Runs(Protocol):
    """What this process sees of runs."""

    async def state(self, run_id: str) -> RunState | None:
        """Return the state of a run as it stands now, or None when the log knows no such run.

        Raises:
            LogError: The log cannot be read.
        """
        ...

    async def follow(self, run_id: str, *, new: bool) -> RunState | None:
        """Let the waiters hear of every commit of a run from now on, until as many calls of `unfollow`.

        Args:
            run_id: The run.
            new: Whether the id was made just now: nothing about it can be on the log yet.

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
