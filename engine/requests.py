"""Requests: commands that this process appends, and runs that it waits for."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from engine.core.commands import Command, StartRun, command_record
from engine.core.state import RunState, RunStatus
from engine.errors import RunEndedError, RunNotCreatedError, RunNotFoundError, WaitTimeoutError
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, Log
from engine.runs import Runs
from engine.waiters import Waiter, Waiters

_AGAIN: Final = "Wait for it again with wait_for_workflow_run."
_GOES_ON: Final = ("it goes on", _AGAIN)
_NOT_STARTED: Final = (
    "it was created, and not started when the wait began",
    "Start it with start_workflow_run_and_wait or start_workflow_run_and_notify.",
)
_UNSEEN: Final = ("what has become of it was not found out in that time", _AGAIN)
_UNHEARD: Final = (
    "it was asked for, and nothing was heard of that in the time",
    "It may still be done: wait for the run with wait_for_workflow_run.",
)
_UNASKED: Final = ("nothing was asked of it in that time", "Ask again, and give it more time.")
"""What a wait that took too long leaves behind, and what to do then."""


class Requests:
    """Appends commands and follows runs, each call until it has its answer.

    Args:
        log: Where commands go.
        runs: What this process sees of runs.
        waiters: Hear of what becomes of commands and runs.
        source: The `ce_source` of commands.
    """

    def __init__(self, log: Log, runs: Runs, waiters: Waiters, source: str) -> None:
        self._log = log
        self._runs = runs
        self._waiters = waiters
        self._source = source

    async def ask(
        self,
        command: Command,
        require: Callable[[str, RunState | None], None] | None,
        *,
        until_end: bool,
        timeout: float | None = None,
    ) -> RunState:
        """Append a command and wait for what becomes of it, or of the run it starts.

        Args:
            command: The command.
            require: Refuses what the run has come to; None when the command makes the run.
            until_end: Whether to wait until the run has ended.
            timeout: Seconds, or None.

        Raises:
            RunlineError: The run is not as required, the command was refused, or the log failed.
            WaitTimeoutError: It did not come to that in time.
        """
        waiter = Waiter(command.id, starts=isinstance(command, StartRun), until_end=until_end)

        def send(state: RunState | None) -> None:
            if require is not None:
                require(command.run, state)
            partition = partition_of(command.run, self._log.partitions)
            record = command_record(command, self._source)
            self._log.send(COMMANDS, partition, record, waiter.fail, patient=self._waiters.many)

        follow = partial(self._runs.follow, command.run, new=require is None)
        return await self._wait(waiter, command.run, follow, send, timeout, asks=True)

    async def until_end(self, run_id: str, timeout: float | None) -> RunState:
        """Wait until a run has ended, whoever started it, and however long the brokers are away.

        Raises:
            RunNotFoundError: No run has this id.
            WaitTimeoutError: The run did not end in time; what became of it is not changed by that.
        """
        waiter = Waiter(None, until_end=True)

        def look(state: RunState | None) -> None:
            if known(run_id, state).status.terminal:
                waiter.conclude(known(run_id, state))

        follow = partial(self._runs.follow, run_id, new=False, patient=True)
        return await self._wait(waiter, run_id, follow, look, timeout, asks=False)

    async def _wait(
        self,
        waiter: Waiter,
        run_id: str,
        follow: Callable[[], Awaitable[RunState | None]],
        begun: Callable[[RunState | None], None],
        timeout: float | None,
        *,
        asks: bool,
    ) -> RunState:
        """Follow a run on behalf of a waiter, do what is to be done then, and return the waiter's answer."""
        if timeout is None:
            return await self._followed(waiter, run_id, follow, begun)
        left = _UNASKED if asks else _UNSEEN

        def begin(state: RunState | None) -> None:
            nonlocal left
            begun(state)
            created = state is not None and state.status is RunStatus.CREATED
            left = _NOT_STARTED if created and not asks else _GOES_ON

        try:
            async with asyncio.timeout(timeout):
                return await self._followed(waiter, run_id, follow, begin)
        except TimeoutError:
            if left is _GOES_ON and waiter.undecided:
                left = _UNHEARD
            raise WaitTimeoutError(f"Run {run_id} did not end within {timeout} s; {left[0]}.", hint=left[1]) from None

    async def _followed(
        self,
        waiter: Waiter,
        run_id: str,
        follow: Callable[[], Awaitable[RunState | None]],
        begun: Callable[[RunState | None], None],
    ) -> RunState:
        # Registered before anything is looked at or sent, so that nothing in between is missed.
        self._waiters.add(run_id, waiter)
        try:
            state = await follow()
            try:
                begun(state)
                return await waiter.future
            finally:
                self._runs.unfollow(run_id)
        finally:
            self._waiters.remove(run_id, waiter)
            waiter.give_up()


def known(run_id: str, state: RunState | None) -> RunState:
    """Return the state of a run that there is.

    Raises:
        RunNotFoundError: There is none.
    """
    if state is None:
        raise RunNotFoundError(f"Expected the id of a run, but no run has the id {run_id}.")
    return state


def require_created(run_id: str, state: RunState | None) -> None:
    """Refuse a run that cannot be started.

    Raises:
        RunNotFoundError: There is none.
        RunNotCreatedError: It was started before.
    """
    status = known(run_id, state).status
    if status is not RunStatus.CREATED:
        raise RunNotCreatedError(
            f"Expected a run in Created, but {run_id} is in {status.value}.",
            hint="A run is started once: create a new one.",
        )


def require_going_on(run_id: str, state: RunState | None) -> None:
    """Refuse a run that nothing can be asked of any more.

    Raises:
        RunNotFoundError: There is none.
        RunEndedError: It has ended.
    """
    status = known(run_id, state).status
    if status.terminal:
        raise RunEndedError(f"Expected a run that goes on, but {run_id} is in {status.value}.")
