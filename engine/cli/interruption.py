"""Running a command's asynchronous work so that Ctrl-C stops it well, and a second Ctrl-C at once."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Final, NoReturn

from engine.cli.exit_codes import SIGNALLED
from engine.errors import RunlineError

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR: Final = b"\x1b[?25h"
_STDERR: Final = 2
_CANCELLED_SECONDS: Final = 2.0
"""How long tasks that are left over get to end when they are cancelled."""


class StoppedError(RunlineError):
    """A signal stopped the command; what the log has is safe.

    Attributes:
        signal: The signal's number.
    """

    code = "interrupted"

    def __init__(self, message: str, *, signal: int, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.signal = signal

    def __str__(self) -> str:
        return str(self.args[0])


class Interruptible:
    """One command's asynchronous work.

    Attributes:
        resume: The command line that goes on with what was begun; empty while nothing was begun.
        begun: What an interruption leaves behind when there is nothing to go on with, for people.
    """

    def __init__(self) -> None:
        self.resume = ""
        self.begun = "no run was begun"
        self._signal = 0

    def run(self, work: Coroutine[None, None, int]) -> int:
        """Run the work in a new event loop and return its exit code.

        The first SIGINT or SIGTERM cancels it, so that it lets go of everything in order; the second one ends the
        process where it is, which loses nothing that the log has acknowledged.

        Raises:
            StoppedError: A signal stopped it; an error on the way out stands beside the way to go on.
        """
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(work)
        try:
            before = self._handle_signals()
            try:
                return self._loop.run_until_complete(self._task)
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
        except asyncio.CancelledError:
            if not self._signal:
                raise
            raise self._stopped() from None
        except RunlineError as error:
            # Such as a full disk: what was begun is safe nevertheless, and the way to go on is what counts.
            if not (self._signal and self.resume):
                raise
            raise self._stopped(error) from error
        finally:
            _close(self._loop)

    def _handle_signals(self) -> "dict[signal.Signals, signal._HANDLER]":
        if threading.current_thread() is not threading.main_thread():
            return {}
        # Not the loop's own handlers: those wait for the loop, which a function may be blocking.
        return {number: signal.signal(number, self._hear) for number in _SIGNALS}

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self._signal:
            self._end(number)
        self._signal = number
        os.write(_STDERR, b"\nStopping; press Ctrl-C again to end at once.\n")
        self._loop.call_soon_threadsafe(self._task.cancel)

    def _end(self, number: int) -> NoReturn:
        for stream in (sys.stdout, sys.stderr):
            if stream.isatty():
                os.write(stream.fileno(), _SHOW_CURSOR)
        if self.resume:
            os.write(_STDERR, f"Go on with: {self.resume}\n".encode(errors="backslashreplace"))
        os._exit(SIGNALLED + number)

    def _stopped(self, error: RunlineError | None = None) -> StoppedError:
        if not self.resume:
            return StoppedError(f"Interrupted; {self.begun}.", signal=self._signal, hint="")
        beside = "" if error is None else f" On the way out: {error}"
        return StoppedError(
            f"Interrupted; everything that happened so far is on the log.{beside}",
            signal=self._signal,
            hint=f"Go on with: {self.resume}",
        )


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop without waiting for its threads, nor beyond a bound for its tasks: any of them may hang for ever."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        # What user code has made may take no notice of being cancelled.
        ended = asyncio.gather(*tasks, return_exceptions=True)
        loop.run_until_complete(asyncio.wait([ended], timeout=_CANCELLED_SECONDS))
        if not ended.done():
            # Each would tell of itself when it is thrown away, and the process ends.
            loop.set_exception_handler(lambda _loop, _context: None)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
