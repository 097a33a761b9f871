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
from engine.arguments import is_generator
from engine.core.soundness import text
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
        ServiceInvalidError: It is a class, or a method is missing, would never run, or takes neither one argument nor
            two.
    """
    if isinstance(service, type):
        raise ServiceInvalidError(
            f"expected the progress service {name} to be an object, but it is the class {service.__name__}.",
            hint=f"Make one with {service.__name__}().",
        )
    for method in METHODS:
        _check_method(name, service, method)


def _check_method(name: str, service: object, method: str) -> None:
    try:
        function = getattr(service, method, None)
    except (Exception, SystemExit) as error:  # whatever the user's property raises
        raise ServiceInvalidError(
            f"expected the progress service {name} to have a method {method}, but asking {type(service).__name__} for "
            f"it raises {text_of(error)}."
        ) from error
    if not callable(function):
        raise ServiceInvalidError(
            f"expected the progress service {name} to have a method {method}, but {type(service).__name__} has none."
        )
    if is_generator(function):
        raise ServiceInvalidError(
            f"expected {method} of the progress service {name} to be a method that runs when it is called, but it is a "
            "generator, which would not.",
            hint="Leave out 'yield'.",
        )
    expected = f"expected {method} of the progress service {name} to take a {method.partition('_')[0]}, or that and a "
    try:
        signature = inspect.signature(function)
    except (Exception, SystemExit) as error:  # it is asked of the user's code, too
        raise ServiceInvalidError(
            f"{expected}delivery, but it tells no signature: {text_of(error)}.", hint="Write it with 'def'."
        ) from error
    if not (_fits(signature, 1) or _fits(signature, 2)):
        raise ServiceInvalidError(f"{expected}delivery, but it is {method}{signature}.")


def _fits(signature: inspect.Signature, arguments: int) -> bool:
    try:
        signature.bind(*[None] * arguments)
    except TypeError:
        return False
    return True


def text_of(error: BaseException) -> str:
    """Return an exception's type and text as a log can carry them, whatever the text is made of."""
    kind = type(error).__name__
    try:
        return text(f"{kind}: {error}")
    except BaseException:  # noqa: BLE001 - an exception of user code may fail to say anything, in any way
        return text(f"{kind} without a text")


def is_asynchronous(service: object) -> bool:
    """Return whether a method of a service is written with `async def`."""
    return any(inspect.iscoroutinefunction(getattr(service, method, None)) for method in METHODS)


def _hearing(
    name: str, function: Callable[..., object], threads: Threads, awaiting: Awaiting
) -> Callable[[Run | Trace, Delivery], Awaitable[None]]:
    """Return a service's method as one to await that takes the delivery, whether or not the method wants it."""
    # Like a parameter without a default, one that has one asks for the delivery.
    alone = not _fits(inspect.signature(function), 2)
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
    except BaseException as error:  # user code may raise anything, and most of it passes on as it is
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            raise
        # An exit in a thread would end nothing, and reach nobody; a future cannot carry StopIteration.
        raise RuntimeError(text_of(error)) from error
