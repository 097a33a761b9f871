"""A delivery: one change handed to a progress service, with all that tells it from any other."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar, cast

from consumers.host.errors import ServiceInvalidError
from consumers.host.loops import Awaiting
from consumers.host.watchdog import Called
from engine.executor.threads import Threads
from engine.progress import ProgressService
from engine.run import Run, Trace

METHODS = ("run_progress", "trace_progress")
"""What a progress service has."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is known of a change besides the run or trace that it led to.

    Attributes:
        event_id: `<commit id>.<index>`: the same whenever, wherever and however often the change is delivered.
        event_type: The event's type, such as `run.succeeded`.
        partition: The partition of `events`.
        offset: The offset of the commit's record.
        index: The event's place in the commit.
        time: When the commit was decided, UTC.
        cause: The id of the command that caused it, or an empty text.
        correlation: The run's correlation id.
        attempt: From 1; a higher one follows calls that failed, in this process.
    """

    event_id: str
    event_type: str
    partition: int
    offset: int
    index: int
    time: datetime
    cause: str
    correlation: str
    attempt: int


class DeliveryService(Protocol):
    """A progress service whose methods ask for the delivery, too: each takes it as its second argument."""

    def run_progress(self, run: Run, delivery: Delivery, /) -> Awaitable[None] | None:
        """Hear of a run that was created or changed."""
        ...

    def trace_progress(self, trace: Trace, delivery: Delivery, /) -> Awaitable[None] | None:
        """Hear of a trace that was started or changed."""
        ...


Service = ProgressService | DeliveryService

SubjectT = TypeVar("SubjectT", Run, Trace)
_Hearing = Callable[[SubjectT, Delivery], Awaitable[None]]


class HostedService:
    """A progress service as its host calls it: methods written with `async def` are awaited, others run in a thread.

    Args:
        name: What its progress is recorded under.
        service: The user's.
        threads: For methods that block.
        awaiting: For asynchronous ones.
        concurrent: Calls at once, all for different runs.

    Raises:
        ServiceInvalidError: It is no progress service.
    """

    def __init__(self, name: str, service: Service, threads: Threads, awaiting: Awaiting, *, concurrent: int) -> None:
        self.name = name
        self.slots = asyncio.Semaphore(concurrent)
        check_service(name, service)
        self._run_progress: _Hearing[Run] = _hearing(name, service.run_progress, threads, awaiting)
        self._trace_progress: _Hearing[Trace] = _hearing(name, service.trace_progress, threads, awaiting)

    async def call(self, subject: Run | Trace, delivery: Delivery) -> None:
        """Call the service, once; raises whatever it raises."""
        if isinstance(subject, Run):
            await self._run_progress(subject, delivery)
        else:
            await self._trace_progress(subject, delivery)


def check_service(name: str, service: object) -> None:
    """Refuse what is no progress service.

    Raises:
        ServiceInvalidError: A method is missing, or takes neither one argument nor two.
    """
    for method in METHODS:
        function = getattr(service, method, None)
        if not callable(function):
            raise ServiceInvalidError(
                f"expected the progress service {name} to have a method {method}, but {type(service).__name__} has "
                "none."
            )
        if not (_fits(function, 1) or _fits(function, 2)):
            raise ServiceInvalidError(
                f"expected {method} of the progress service {name} to take a {method.partition('_')[0]}, or that and a "
                f"delivery, but it is {method}{inspect.signature(function)}."
            )


def _fits(function: Callable[..., object], arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError:
        return False
    return True


def is_asynchronous(service: object) -> bool:
    """Return whether a method of a service is written with `async def`."""
    return any(inspect.iscoroutinefunction(getattr(service, method, None)) for method in METHODS)


def _hearing(
    name: str, function: Callable[..., object], threads: Threads, awaiting: Awaiting
) -> Callable[[Run | Trace, Delivery], Awaitable[None]]:
    """Return a service's method as one to await that takes the delivery, whether or not the method wants it."""
    alone = _fits(function, 1)
    awaited = inspect.iscoroutinefunction(function)
    making = cast("Callable[..., Awaitable[object]]", function)

    async def hear(subject: Run | Trace, delivery: Delivery) -> None:
        arguments = (subject,) if alone else (subject, delivery)
        called = Called(name, delivery.partition, subject.run_id, delivery.event_id)
        if awaited:
            await awaiting(partial(making, *arguments), called)
            return
        result = await threads(_guarded, function, arguments)
        if inspect.isawaitable(result):
            await awaiting(lambda: result, called)

    return hear


def _guarded(function: Callable[..., object], arguments: tuple[object, ...]) -> object:
    """Call a function in a thread; what would end the thread or a coroutine is an error of the call and no more."""
    try:
        return function(*arguments)
    except Exception:
        raise
    except BaseException as error:  # an exit in a thread would end nothing, and reach nobody
        raise RuntimeError(f"{type(error).__name__}: {error}") from error
