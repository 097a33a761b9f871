"""A delivery: one change handed to a progress service, with all that tells it from any other."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from consumers.host.errors import ServiceInvalidError
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
        concurrent: Calls at once, all for different runs.
        timeout: Seconds after which an asynchronous call is cancelled, or None; a thread cannot be stopped.

    Raises:
        ServiceInvalidError: It is no progress service.
    """

    def __init__(
        self, name: str, service: Service, threads: Threads, *, concurrent: int, timeout: float | None
    ) -> None:
        self.name = name
        self.slots = asyncio.Semaphore(concurrent)
        check_service(name, service)
        self._run_progress: _Hearing[Run] = _hearing(service.run_progress, threads, timeout)
        self._trace_progress: _Hearing[Trace] = _hearing(service.trace_progress, threads, timeout)

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


def _hearing(
    function: Callable[..., object], threads: Threads, timeout: float | None
) -> Callable[[object, Delivery], Awaitable[None]]:
    """Return a service's method as one to await that takes the delivery, whether or not the method wants it."""
    alone = _fits(function, 1)
    awaited = inspect.iscoroutinefunction(function)

    async def hear(subject: object, delivery: Delivery) -> None:
        arguments = (subject,) if alone else (subject, delivery)
        result = function(*arguments) if awaited else await threads(_guarded, function, arguments)
        if inspect.isawaitable(result):
            async with asyncio.timeout(timeout):
                await result

    return hear


def _guarded(function: Callable[..., object], arguments: tuple[object, ...]) -> object:
    """Call a function in a thread; what would end the thread or a coroutine is an error of the call and no more."""
    try:
        return function(*arguments)
    except Exception:
        raise
    except BaseException as error:  # an exit in a thread would end nothing, and reach nobody
        raise RuntimeError(f"{type(error).__name__}: {error}") from error
