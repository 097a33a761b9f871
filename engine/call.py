"""What user code is told about the node execution it belongs to, and how it hears of a cancellation."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, ClassVar, ParamSpec, Protocol, TypeVar

from engine.errors import RunlineError

if TYPE_CHECKING:
    from engine.registry import Registry

P = ParamSpec("P")
R = TypeVar("R")

_LOGGER = logging.getLogger("runline.call")


class CallCancelledError(RunlineError):
    """The run was cancelled while user code ran."""

    code = "call_cancelled"


class Threads(Protocol):
    """How a blocking function is run beside the event loop, such as `asyncio.to_thread`."""

    def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Call the function in a thread; the awaitable gives its result or raises its exception."""
        ...


class CallLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry the fields of the call, beside those given as `extra`."""

    def process(self, msg: object, kwargs: MutableMapping[str, object]) -> tuple[object, MutableMapping[str, object]]:
        """Add the call's fields."""
        given = kwargs.get("extra")
        kwargs["extra"] = {**(self.extra or {}), **(given if isinstance(given, Mapping) else {})}
        return msg, kwargs


class Call:
    """One attempt to execute one node, as user code sees it. Safe to use from any thread.

    Attributes:
        run_id: The run.
        workflow_id: The workflow the node stands in.
        node_id: The node.
        trace_id: The trace: this execution of the node.
        attempt: From 1; one more each time the same trace is executed again.
        idempotency_key: The same for all attempts of the trace and for no other trace: give it to outside systems, so
            that they can recognise a repetition.
        registry: Where node types find registered functions.
    """

    __slots__ = (
        "_cancelled", "_lock", "_logger", "_threads", "_waiters", "attempt", "idempotency_key", "node_id", "registry",
        "run_id", "trace_id", "workflow_id",
    )  # fmt: skip

    EXTRA: ClassVar = ("run_id", "workflow_id", "node_id", "trace_id", "attempt")
    """The fields that log records of `logger` carry."""

    def __init__(
        self,
        *,
        run_id: str,
        workflow_id: str,
        node_id: str,
        trace_id: str,
        attempt: int,
        idempotency_key: str,
        registry: "Registry",
        threads: Threads = asyncio.to_thread,
    ) -> None:
        self.run_id = run_id
        self.workflow_id = workflow_id
        self.node_id = node_id
        self.trace_id = trace_id
        self.attempt = attempt
        self.idempotency_key = idempotency_key
        self.registry = registry
        self._threads = threads
        self._cancelled = False
        self._lock = threading.Lock()
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._logger: CallLogger | None = None

    @property
    def logger(self) -> CallLogger:
        """A logger whose records carry the run, workflow, node, trace and attempt as `extra` fields."""
        if self._logger is None:
            self._logger = CallLogger(_LOGGER, {name: getattr(self, name) for name in self.EXTRA})
        return self._logger

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled or has ended, so that nobody waits for this call any more."""
        return self._cancelled

    def raise_if_cancelled(self) -> None:
        """Do nothing as long as the call is wanted.

        Raises:
            CallCancelledError: The call was cancelled.
        """
        if self._cancelled:
            raise CallCancelledError(
                f"Attempt {self.attempt} of node '{self.node_id}' in run {self.run_id} was cancelled."
            )

    async def wait_cancelled(self) -> None:
        """Return when the call is cancelled; may be awaited in any event loop."""
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if self._cancelled:
                return
            self._waiters.append(entry)
        try:
            await entry[1].wait()
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._waiters.remove(entry)

    def cancel(self) -> None:
        """Tell the user code to stop; called by the engine, from any thread, any number of times."""
        with self._lock:
            self._cancelled = True
            waiters, self._waiters = self._waiters, []
        for loop, event in waiters:
            # A loop closed in the meantime raises RuntimeError: nobody waits there any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)

    def in_thread(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Call a blocking function in one of the engine's threads; await the result."""
        return self._threads(function, *args, **kwargs)
