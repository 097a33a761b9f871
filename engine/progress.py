"""Progress services in the engine's process: user code called with every change of a run or a trace.

Each service follows the log on its own, so one that throws or stalls harms neither a run nor another service. As long
as none does they are called in the order given: the second hears of a change after the first has dealt with it.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

from engine.change import Change, changes_of
from engine.core.view import View
from engine.errors import ClosedError, LogError, RunlineError
from engine.executor.beginning import begin
from engine.executor.threads import Threads
from engine.limits import (
    DRAIN_SECONDS,
    FENCE_RETRY_SECONDS_MAX,
    PROGRESS_ATTEMPTS_MAX,
    PROGRESS_CLOSE_SECONDS_MAX,
    PROGRESS_RETRY_SECONDS,
    PROGRESS_STALL_SECONDS,
)
from engine.log.port import EVENTS, Log
from engine.run import Run, Trace

_LOGGER = logging.getLogger("runline.progress")

_FOLD_AT_ONCE = 500
"""Records read at once while catching up without calling the service."""

Place = tuple[int, int]
"""Where a change stands: the commit's offset and the event's index in it."""


class ProgressService(Protocol):
    """User code that is called with every change of a run or a trace, in order for each run, at least once.

    Methods written with `async def` are awaited; others are called in a thread.
    """

    def run_progress(self, run: Run) -> Awaitable[None] | None:
        """Hear of a run that was created or changed."""
        ...

    def trace_progress(self, trace: Trace) -> Awaitable[None] | None:
        """Hear of a trace that was started or changed."""
        ...


class ProgressHost:
    """Calls progress services with what happens from `start` on.

    Args:
        log: The log.
        services: Called in this order.
    """

    def __init__(self, log: Log, services: Sequence[ProgressService]) -> None:
        self._log = log
        self._services = services
        self._followers: list[_Follower] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._threads: Threads | None = None

    async def start(self) -> None:
        """Follow all partitions, from their ends."""
        self._threads = Threads(asyncio.get_running_loop())
        for partition in range(self._log.partitions if self._services else 0):
            before: _Follower | None = None
            for service in self._services:
                before = _Follower(self._log, partition, service, before, self._threads)
                await before.begin()
                self._followers.append(before)
        self._tasks = [asyncio.create_task(follower.run()) for follower in self._followers]

    async def close(self) -> None:
        """Give the services time for what the log has already, as long as they get on with it, then stop."""
        if self._threads is None:
            return
        try:
            # The time is up then; who has not seen everything is said below.
            with suppress(TimeoutError):
                async with asyncio.timeout(PROGRESS_CLOSE_SECONDS_MAX):
                    await self._catch_up()
            for follower in self._followers:
                if not follower.caught_up:
                    _LOGGER.error("Progress service %s has not seen everything that is on the log", follower.name)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._threads.close()

    async def _catch_up(self) -> None:
        try:
            ends = [(await self._log.ends(EVENTS, follower.partition)).end for follower in self._followers]
        except LogError as error:
            _LOGGER.error("Progress services are closed without what is left on the log: %s", error)  # noqa: TRY400 - the text says it all
            return
        await asyncio.gather(*(follower.reach(end) for follower, end in zip(self._followers, ends, strict=True)))


class _Follower:
    """One service on one partition."""

    def __init__(
        self, log: Log, partition: int, service: ProgressService, before: "_Follower | None", threads: Threads
    ) -> None:
        self.partition = partition
        self.name = type(service).__name__
        self.position = 0
        self.caught_up = True
        self._view = View()
        self._log = log
        self._before = before
        self._run_progress = _awaitable(service.run_progress, threads)
        self._trace_progress = _awaitable(service.trace_progress, threads)
        self._place: Place = (-1, 0)
        self._moved = asyncio.Event()
        self._left_behind = False
        self._closing = asyncio.Event()

    async def begin(self) -> None:
        """Fold what is on the log now, without calling the service."""
        self.position = (await self._log.ends(EVENTS, self.partition)).end
        await self._fold_up_to(self.position)
        self._move((self.position, 0))

    async def run(self) -> None:
        """Call the service with one change after the other, for ever."""
        delay = PROGRESS_RETRY_SECONDS
        try:
            while True:
                before = self.position
                try:
                    await self._follow()
                except ClosedError:
                    return
                except RunlineError as error:
                    _LOGGER.error("Progress service %s cannot follow the log: %s", self.name, error)  # noqa: TRY400 - the text says it all
                delay = PROGRESS_RETRY_SECONDS if self.position > before else min(delay * 2, FENCE_RETRY_SECONDS_MAX)
                await asyncio.sleep(delay)
        finally:
            # Nobody waits for a service that has stopped.
            self._move((2**63, 0))

    async def _follow(self) -> None:
        if self._view.position != self.position:
            await self._fold_up_to(self.position)
        reader = self._log.reader(EVENTS, self.partition, self.position)
        try:
            while True:
                for record in await reader.next():
                    accepted = self._view.fold(record)
                    if accepted is not None:
                        for index, change in enumerate(changes_of(accepted)):
                            await self._deliver((record.offset, index), change)
                    self.position = record.offset + 1
                    self._move((self.position, 0))
        finally:
            reader.close()

    async def _fold_up_to(self, position: int) -> None:
        self._view = (await begin(self._log, self.partition, before=position)).view
        while self._view.position < position:
            count = min(_FOLD_AT_ONCE, position - self._view.position)
            records = await self._log.read(EVENTS, self.partition, self._view.position, count)
            if not records:
                # An unclean election has taken the rest away: go on with what comes there now.
                break
            for record in records:
                self._view.fold(record)
        self.position = self._view.position

    async def reach(self, position: int) -> None:
        """Wait until the service has dealt with everything below this offset, or deals with nothing any more."""
        self.caught_up = False
        self._closing.set()
        # At the end nobody should miss anything because others are slow.
        hurry = asyncio.get_running_loop().call_later(PROGRESS_STALL_SECONDS, self._leave_behind)
        with suppress(TimeoutError):
            while self.position < position and self._place[0] < 2**63:
                async with asyncio.timeout(DRAIN_SECONDS):
                    await self._next_move()
            self.caught_up = True
        hurry.cancel()

    async def _deliver(self, place: Place, change: Change) -> None:
        if self._before is not None:
            await self._before.pass_by(place)
        delay = PROGRESS_RETRY_SECONDS
        for attempt in range(1, PROGRESS_ATTEMPTS_MAX + 1):
            try:
                if isinstance(change.subject, Run):
                    await self._run_progress(change.subject)
                else:
                    await self._trace_progress(change.subject)
            except (Exception, SystemExit, asyncio.CancelledError):
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                # Nobody waits for another attempt before the end.
                last = attempt == PROGRESS_ATTEMPTS_MAX or self._closing.is_set()
                self._leave_behind()
                _LOGGER.exception(
                    "Progress service %s failed on event %s, attempt %d of %d%s",
                    self.name,
                    change.event_id,
                    attempt,
                    PROGRESS_ATTEMPTS_MAX,
                    "; it goes on with the next change" if last else "",
                )
                if last:
                    break
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), delay)
                delay *= 2
            else:
                break
        self._move((place[0], place[1] + 1))

    async def pass_by(self, place: Place) -> None:
        """Wait until this service has dealt with a change, or has stalled or failed: then it is left behind."""
        while self._place <= place:
            if self._left_behind:
                return
            try:
                async with asyncio.timeout(PROGRESS_STALL_SECONDS):
                    await self._next_move()
            except TimeoutError:
                _LOGGER.warning("Progress service %s stalls; the ones after it go on without it", self.name)
                self._leave_behind()
        self._left_behind = False

    def _leave_behind(self) -> None:
        """Let the services after this one go on without it until it has come as far as they have."""
        self._left_behind = True
        self._wake()

    async def _next_move(self) -> None:
        await self._moved.wait()

    def _move(self, place: Place) -> None:
        self._place = place
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


SubjectT = TypeVar("SubjectT", Run, Trace)


def _awaitable(
    function: Callable[[SubjectT], Awaitable[None] | None], threads: Threads
) -> Callable[[SubjectT], Awaitable[None]]:
    """Return a service's method as one to await; one written without async is called in a thread."""
    if inspect.iscoroutinefunction(function):
        return function

    async def call(subject: SubjectT) -> None:
        await threads(function, subject)

    return call
