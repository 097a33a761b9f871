"""The watchdog: a thread that notices when an event loop stands still, and says whose call keeps it from going on."""

import asyncio
import logging
import sys
import sysconfig
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from engine.limits import FOLLOW_BLOCKED_SECONDS, FOLLOW_WATCH_SECONDS

_LOGGER = logging.getLogger("runline.follow")

_GRACE_SECONDS: Final = 0.1
"""A process that was stopped as a whole goes on with all its threads; its loop answers within this time."""
_OURS: Final = Path(__file__).parent
_LIBRARIES: Final = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))


class Called(NamedTuple):
    """A call of a service.

    Attributes:
        service: The service's name.
        partition: The partition of `events`.
        run_id: The run.
        event_id: The change.
    """

    service: str
    partition: int
    run_id: str
    event_id: str


class Watchdog:
    """Asks an event loop now and then whether it goes on. It can do no more than tell: nobody can stop the call.

    Args:
        loop: The loop.
        what: What stands still with it, for people.

    Attributes:
        calls: The calls under way, by the tasks that make them; whoever makes one notes it here.
        blocked: For how many seconds calls kept the loop from going on, by service and partition.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, what: str) -> None:
        self.calls: dict[asyncio.Task[object] | None, Called] = {}
        self.blocked: dict[tuple[str, int], float] = {}
        self._loop = loop
        self._what = what
        self._thread_id = 0
        self._answered = threading.Event()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Watch, from a thread of its own; called in the loop."""
        self._thread_id = threading.get_ident()
        threading.Thread(target=self._run, name="runline watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()
        self._answered.set()

    # In the watchdog's thread.

    def _run(self) -> None:
        # A loop that is closed has nobody left who would wait for it.
        with suppress(RuntimeError):
            while not self._stopped.wait(FOLLOW_WATCH_SECONDS):
                self._answered.clear()
                self._loop.call_soon_threadsafe(self._answered.set)
                if not self._answered.wait(FOLLOW_BLOCKED_SECONDS) and not self._answered.wait(_GRACE_SECONDS):
                    self._stands_still()

    def _stands_still(self) -> None:
        """Say so until the loop goes on, ever more rarely."""
        began = time.monotonic() - FOLLOW_BLOCKED_SECONDS - _GRACE_SECONDS
        called = self.calls.get(asyncio.current_task(self._loop))
        pause = FOLLOW_BLOCKED_SECONDS
        while True:
            _LOGGER.log(
                # What is no service's doing concerns nobody but those who look for it.
                logging.DEBUG if called is None else logging.ERROR,
                "%s blocks the event loop of %s for %.1f s now%s",
                _name(called), self._what, time.monotonic() - began, self._where(),
            )  # fmt: skip
            if self._answered.wait(pause):
                break
            pause *= 2
        seconds = time.monotonic() - began
        if called is not None:
            key = called.service, called.partition
            self.blocked[key] = self.blocked.get(key, 0.0) + seconds
            _LOGGER.warning("%s blocked the event loop of %s for %.1f s", _name(called), self._what, seconds)

    def _where(self) -> str:
        """Return where the service is: the line of its method, the last that is no library's, and the last of all."""
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 - there is no other way to look at a thread
        if frame is None:
            return ""
        stack = traceback.extract_stack(frame)
        ours = max((number for number, each in enumerate(stack) if Path(each.filename).parent == _OURS), default=-1)
        inner = stack[ours + 1 :] or stack[-1:]
        own = [each for each in inner if not each.filename.startswith(_LIBRARIES)] or inner
        places = dict.fromkeys(
            f"{each.filename}:{each.lineno} in {each.name}" for each in (inner[0], own[-1], inner[-1])
        )
        return ", at " + ", at ".join(places)


def _name(called: Called | None) -> str:
    if called is None:
        return "What is no call of a service"
    return f"{called.service} in run {called.run_id}, event {called.event_id},"
