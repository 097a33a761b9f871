"""Waiters: futures of callers who wait for what becomes of a command or a run."""

import asyncio

from engine.core.commands import Command
from engine.core.rejection import OUTSIDE_WINDOW, RUN_ENDED, RUN_NOT_CREATED, RUN_UNKNOWN, WORKFLOW_UNKNOWN, Rejection
from engine.core.state import RunState
from engine.core.view import Accepted
from engine.errors import (
    ClosedError,
    CommandRefusedError,
    RunEndedError,
    RunlineError,
    RunNotCreatedError,
    RunNotFoundError,
    WorkflowNotFoundError,
)
from engine.executor.listener import Listener
from engine.limits import PATIENT_FROM

_ERRORS: dict[str, type[RunlineError]] = {
    RUN_UNKNOWN: RunNotFoundError,
    RUN_ENDED: RunEndedError,
    RUN_NOT_CREATED: RunNotCreatedError,
    WORKFLOW_UNKNOWN: WorkflowNotFoundError,
    OUTSIDE_WINDOW: CommandRefusedError,
}


class Waiter:
    """Waits for one run: for a command to be decided, or on until the run has ended.

    Args:
        command: The id of the command to wait for first, or None to wait for the run alone.
        starts: Whether the command starts the run: then somebody else's start is an answer too.
        until_end: Whether to go on waiting until the run has ended.

    Attributes:
        future: Gives the run's state; raises when the command is refused or somebody else started the run.
    """

    __slots__ = ("_command", "_starts", "_until_end", "future")

    def __init__(self, command: str | None, *, starts: bool = False, until_end: bool) -> None:
        self._command = command
        self._starts = starts
        self._until_end = until_end
        self.future: asyncio.Future[RunState] = asyncio.get_running_loop().create_future()

    @property
    def undecided(self) -> bool:
        """Whether nothing was heard of the command yet that is to be waited for first."""
        return self._command is not None

    def accepted(self, accepted: Accepted) -> None:
        """Look at a commit of the run; looking at one again changes nothing."""
        if self.future.done():
            return
        state = accepted.after
        if self._command is not None:
            self._look_for_command(self._command, accepted)
        if self._command is None:
            if state.status.terminal or not self._until_end:
                self.future.set_result(state)
        elif self._starts and state.status.terminal and state.started is None:
            # It ended before it was started, so a start of it is passed over in silence.
            self.fail(_started_before(state.run_id))

    def rejected(self, command: str, rejection: Rejection) -> None:
        """Look at a refusal."""
        if command == self._command:
            self.fail(_error(rejection.code, rejection.reason))

    def recognised(self, command: Command) -> None:
        """Hear that a command changes nothing, because what it asks for was done before."""
        if command.id == self._command:
            self.fail(_started_before(command.run))

    def conclude(self, state: RunState) -> None:
        """Hear what the run has come to, from whoever looked."""
        if not self.future.done():
            self.future.set_result(state)

    def fail(self, error: RunlineError) -> None:
        """Hear that there will be no answer; also when the command was not written, or may not have been."""
        if not self.future.done():
            self.future.set_exception(error)

    def give_up(self) -> None:
        """Want no answer any more."""
        if not self.future.cancel() and not self.future.cancelled():
            # An error that came while nobody asked is no error of the program.
            self.future.exception()

    def _look_for_command(self, command: str, accepted: Accepted) -> None:
        for event in accepted.value["events"]:
            if event.get("command") == command:
                self._command = None
                if event["type"] == "command.refused":
                    self._command = command
                    self.fail(_error(event["code"], event["reason"]))
                return
            if self._starts and event["type"] == "run.started":
                self.fail(_started_before(accepted.after.run_id))
                return


class Waiters(Listener):
    """All waiters of this process."""

    def __init__(self) -> None:
        self._by_run: dict[str, list[Waiter]] = {}
        self._closed = False

    def __len__(self) -> int:
        """Return how many callers wait."""
        return sum(map(len, self._by_run.values()))

    @property
    def many(self) -> bool:
        """Whether so many runs are waited for that a command may wait a moment for others to go with it."""
        return len(self._by_run) >= PATIENT_FROM

    def add(self, run_id: str, waiter: Waiter) -> None:
        """Begin to look at a run's commits on behalf of a waiter.

        Raises:
            ClosedError: The engine was closed: there is nothing to see any more.
        """
        if self._closed:
            raise _closed()
        self._by_run.setdefault(run_id, []).append(waiter)

    def remove(self, run_id: str, waiter: Waiter) -> None:
        """Stop looking; a waiter that gave up leaves nothing behind."""
        waiters = self._by_run[run_id]
        waiters.remove(waiter)
        if not waiters:
            del self._by_run[run_id]

    def accepted(self, accepted: Accepted) -> None:
        """Tell the run's waiters of a commit."""
        for waiter in self._by_run.get(accepted.after.run_id, ()):
            waiter.accepted(accepted)

    def rejected(self, command: Command, rejection: Rejection) -> None:
        """Tell the run's waiters of a refusal."""
        self.refused(command.run, command.id, rejection)

    def refused(self, run_id: str, command: str, rejection: Rejection) -> None:
        """Tell the run's waiters that the command with this id was refused."""
        for waiter in self._by_run.get(run_id, ()):
            waiter.rejected(command, rejection)

    def recognised(self, command: Command) -> None:
        """Tell the run's waiters of a command that changes nothing."""
        for waiter in self._by_run.get(command.run, ()):
            waiter.recognised(command)

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that somebody waits for."""
        return tuple(self._by_run)

    def close(self) -> None:
        """Let every waiter raise ClosedError, and whoever wants to wait later too."""
        self._closed = True
        for waiters in self._by_run.values():
            for waiter in waiters:
                waiter.fail(_closed())


def _error(code: str, reason: str) -> RunlineError:
    return _ERRORS.get(code, CommandRefusedError)(f"{reason[:1].upper()}{reason[1:]}.")


def _started_before(run_id: str) -> RunNotCreatedError:
    return RunNotCreatedError(
        f"Expected run {run_id} to be in Created, but it was started or ended before.",
        hint="Wait for it with wait_for_workflow_run.",
    )


def _closed() -> ClosedError:
    return ClosedError("The engine was closed while this call waited.", hint="The run goes on at the next start.")
