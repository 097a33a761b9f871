"""Calling a service until it deals with a change, or is given up on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, NamedTuple, TypeVar

from consumers.host.calls import Call
from consumers.host.care import Care
from consumers.host.delivery import Delivery, HostedService, text_of
from consumers.host.persistence import persist
from consumers.host.store import ProgressStore
from engine import crash_points
from engine.crash_points import CrashPoint
from engine.limits import FOLLOW_ERROR_CHARACTERS_MAX, FOLLOW_RETRY_SECONDS_MAX
from engine.ports import Clock
from engine.run import Run, Trace

_LOGGER = logging.getLogger("runline.follow")

# Looking a member of an enumeration up costs more than the call in which nothing happens.
_BEFORE: Final = CrashPoint.SERVICE_BEFORE
_AFTER: Final = CrashPoint.SERVICE_AFTER

A = TypeVar("A")
R = TypeVar("R")


class Failed(NamedTuple):
    """A change was not dealt with.

    Attributes:
        error: Why the last call failed.
        attempts: Calls.
        given_up: Whether the host lets go, so that somebody else, or a later start, delivers it again.
    """

    error: str
    attempts: int
    given_up: bool


class Retry(NamedTuple):
    """What is done about calls that fail.

    Attributes:
        attempts: Calls for one change before it is parked.
        first_seconds: The first delay; it doubles each time.
        hold: Whether later changes of the run then wait behind it.
    """

    attempts: int
    first_seconds: float
    hold: bool


class Attempts:
    """Calls one service.

    Args:
        service: The service.
        store: Where parked changes are kept.
        retry: What is done about calls that fail.
        clock: Waits.
    """

    def __init__(self, service: HostedService, store: ProgressStore, retry: Retry, clock: Clock) -> None:
        self.service = service
        self.store = store
        self._retry = retry
        self._clock = clock

    @property
    def hold(self) -> bool:
        """Whether later changes of a run wait behind a parked one."""
        return self._retry.hold

    def now(self) -> str:
        """Return the time as RFC 3339 text in UTC."""
        return self._clock.now()

    async def deliver(
        self, subject: Run | Trace, delivery: Delivery, leaving: Callable[[], bool], care: Care | None
    ) -> Failed | None:
        """Call the service with one change; while it fails, again after a growing delay, so many times.

        Args:
            subject: The run or trace after the change.
            delivery: The change.
            leaving: Whether the host lets go of the partition; then no call is made or repeated.
            care: Writes each call down before it is made; or None.
        """
        if care is not None and (deaths := care.fatal(self.call(delivery))):
            return Failed(f"the process ended {deaths} times in this call", deaths, given_up=False)
        if leaving():
            return Failed("the host lets go", 0, given_up=True)
        delay = self._retry.first_seconds
        for attempt in range(1, self._retry.attempts + 1):
            error = await self._call(subject, replace(delivery, attempt=attempt), leaving, care)
            if error is None:
                return None
            if leaving():
                return Failed(error, attempt, given_up=True)
            if attempt < self._retry.attempts:
                _LOGGER.warning(
                    "Progress service %s failed on event %s (%s), attempt %d of %d: %s",
                    self.service.name, delivery.event_id, delivery.event_type, attempt, self._retry.attempts, error,
                )  # fmt: skip
                await self._clock.sleep(delay)
                delay = min(2 * delay, FOLLOW_RETRY_SECONDS_MAX)
            else:
                return Failed(error, attempt, given_up=False)
        raise AssertionError("there is at least one attempt")

    def call(self, delivery: Delivery) -> Call:
        """Return what the call with a change is written down as."""
        return Call(self.service.name, (delivery.offset, delivery.index))

    async def _call(
        self, subject: Run | Trace, delivery: Delivery, leaving: Callable[[], bool], care: Care | None
    ) -> str | None:
        async with self.service.slots:
            if care is None:
                return await self._try(subject, delivery, leaving)
            return await care.made(self.call(delivery), lambda: self._try(subject, delivery, leaving))

    async def _try(self, subject: Run | Trace, delivery: Delivery, leaving: Callable[[], bool]) -> str | None:
        crash_points.reached(_BEFORE)
        try:
            try:
                await self.service.call(subject, delivery)
            finally:
                if _cancels_itself(leaving):
                    await _take_back(leaving)
        except BaseException as error:  # whatever it is, it must end neither the loop nor the run's deliveries
            if _is_the_hosts(error):
                raise
            _LOGGER.debug("Progress service %s failed", self.service.name, exc_info=True)
            if isinstance(error, asyncio.CancelledError) and not error.args:
                return "CancelledError: the call was cancelled, but not by the host"
            return text_of(error)[:FOLLOW_ERROR_CHARACTERS_MAX]
        crash_points.reached(_AFTER)
        return None

    async def record(self, work: Callable[[A], Awaitable[R]], argument: A) -> R:
        """Do something with the log or the store; while that cannot be done, try again: nothing may be left out."""
        return await persist(f"Progress service {self.service.name}", self._clock, lambda: work(argument))


def _cancels_itself(leaving: Callable[[], bool]) -> bool:
    """Return whether this task is being cancelled although the host does not let go: then its call has done it."""
    task = _current_task()
    return task is not None and task.cancelling() > 0 and not leaving()


async def _take_back(leaving: Callable[[], bool]) -> None:
    """Take back what a call has done to its own task, which makes the calls after it, too."""
    try:
        # The cancellation may still be on its way, and would end whatever waits next.
        await asyncio.sleep(0)
    finally:
        task = asyncio.current_task()
        # The host may have begun to let go meanwhile.
        while task is not None and not leaving() and task.cancelling():
            task.uncancel()


def _is_the_hosts(error: BaseException) -> bool:
    """Return whether a call was ended from outside: its task is being cancelled still, or its loop is gone."""
    task = _current_task()
    return task is None or (isinstance(error, asyncio.CancelledError) and task.cancelling() > 0)


def _current_task() -> "asyncio.Task[object] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
