"""One process's part in the engine, between its beginning and its end."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, NoReturn, Self, TypeVar

from engine.arguments import (
    check_durability,
    check_location,
    check_progress_services,
    check_registry,
    check_running_max,
    check_timeout,
)
from engine.blocking import LoopThread, refuse_inside_loop
from engine.catalogue import Catalogue
from engine.errors import ClosedError
from engine.executor.executor import Executor
from engine.executor.listener import Listener
from engine.limits import NODES_RUNNING_MAX
from engine.log.opening import open_log
from engine.log.port import Log
from engine.ports import Clock, Ids, SystemClock, SystemIds
from engine.progress import ProgressHost, ProgressService
from engine.registry import Registry
from engine.requests import Requests
from engine.runs import LocalRuns, Runs, RunViews, SharedRuns
from engine.waiters import Waiters

T = TypeVar("T")

SOURCE: Final = "/runline"
"""The `ce_source` of what this program writes."""


class EngineProcess:
    """What an engine consists of in one process, from entering it to leaving it; `EngineService` adds what it can do.

    Attributes:
        registry: The functions and node types of this process.
    """

    def __init__(
        self,
        location: str | Path | Log | None,
        registry: Registry | None,
        *,
        progress_services: Sequence[ProgressService] = (),
        executor: bool | None = None,
        views: RunViews | None = None,
        kafka_properties: Mapping[str, str] | None = None,
        durability: Literal["fsync", "process"] = "fsync",
        nodes_running_max: int = NODES_RUNNING_MAX,
        nodes_running_per_workflow_max: int | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
    ) -> None:
        if location is None:
            location, kafka_properties = _located(kafka_properties or {})
        check_location(location)
        check_registry(registry)
        check_progress_services(progress_services)
        check_durability(durability)
        check_running_max("nodes_running_max", nodes_running_max)
        if nodes_running_per_workflow_max is not None:
            check_running_max("nodes_running_per_workflow_max", nodes_running_per_workflow_max)
        self.registry = Registry() if registry is None else registry
        # Without a registry this process only passes commands on: functions are then for others to have.
        self._validated_with = registry
        self._location = location
        self._executes = executor
        self._views = views
        self._kafka_properties = dict(kafka_properties or {})
        self._progress_services = tuple(progress_services)
        self._durability: Literal["fsync", "process"] = durability
        self._nodes_running_max = nodes_running_max
        self._nodes_running_per_workflow_max = nodes_running_per_workflow_max
        self._clock = SystemClock() if clock is None else clock
        self._ids = SystemIds(self._clock) if ids is None else ids
        self._waiters = Waiters()
        self._resources: AsyncExitStack | None = None
        self._thread: LoopThread | None = None
        self._executor: Executor | None = None
        self._valid: set[str] = set()

    async def __aenter__(self) -> Self:
        """Open the log, take over its runs and go on with them.

        Raises:
            LogLockedError: Another process has the directory open.
            LogError: The log cannot be opened, read or written.
        """
        async with AsyncExitStack() as stack:
            if isinstance(self._location, str | Path):
                self._log: Log = await open_log(self._location, self._durability, self._kafka_properties)
                stack.push_async_callback(self._log.close)
            else:
                self._log = self._location
            if self._views is not None:
                await stack.enter_async_context(self._views.fold(self._log))
            self._catalogue = Catalogue(self._log, self.registry, source=SOURCE, now=self._clock.now)
            self._progress = ProgressHost(self._log, self._progress_services)
            await self._progress.start()
            stack.push_async_callback(self._progress.close)
            if self._log.shared:
                await self._share(stack)
            else:
                await self._own(stack)
            self._requests = Requests(self._log, self._runs, self._waiters, SOURCE)
            self._loop = asyncio.get_running_loop()
            self._resources = stack.pop_all()
        return self

    async def _own(self, stack: AsyncExitStack) -> None:
        """Execute all runs: nobody else can."""
        executor = self._executor = self._make_executor(self._waiters)
        stack.push_async_callback(executor.close)
        stack.callback(self._waiters.close)
        local = LocalRuns(self._log, self._waiters, executor.state)
        self._runs: Runs = local
        stack.push_async_callback(local.close)
        await executor.start(owned=local.look_again)

    async def _share(self, stack: AsyncExitStack) -> None:
        """Follow the log for the waiters, and execute runs if this process is to."""
        await self._catalogue.refresh()
        following = asyncio.create_task(self._catalogue.follow())
        stack.callback(following.cancel)
        self._runs = SharedRuns(self._log, self._waiters)
        stack.push_async_callback(self._runs.close)
        executes = self._validated_with is not None if self._executes is None else self._executes
        if executes:
            self._executor = self._make_executor(Listener())
            stack.push_async_callback(self._executor.close)
            await self._executor.start(owned=_nothing)
        stack.callback(self._waiters.close)

    def _make_executor(self, listener: Listener) -> Executor:
        return Executor(
            self._log,
            self._catalogue,
            self.registry,
            clock=self._clock,
            ids=self._ids,
            listener=listener,
            source=SOURCE,
            nodes_running_max=self._nodes_running_max,
            nodes_running_per_workflow_max=self._nodes_running_per_workflow_max,
        )

    async def drain(self, seconds: float) -> None:
        """Begin no more nodes in this process, and wait at most so long until those under way have ended.

        To be called before the engine is closed, which would cancel them. Runs go on where other processes execute
        them, or at the next start.

        Args:
            seconds: How long to wait, at least 0.

        Raises:
            ArgumentError: It is no number of seconds.
            ClosedError: The engine is not open.
        """
        check_timeout(seconds)
        self._require_open()
        if self._executor is not None:
            await self._executor.drain(seconds)

    async def executing(self) -> NoReturn:
        """Wait for as long as this process can execute runs, which is for ever as a rule.

        Raises:
            MemberReplacedError: It never will again: another process has its `group.instance.id`.
            ClosedError: The engine is not open, or does not execute.
        """
        self._require_open()
        if self._executor is None:
            raise ClosedError("This engine does not execute runs.", hint="Open it with a registry, or executor=True.")
        raise await self._executor.shut_out()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop. Runs that have not ended go on at the next start."""
        resources, self._resources = self._resources, None
        if resources is not None:
            await resources.aclose()

    def __enter__(self) -> Self:
        """Start the engine in a thread of its own, for a program without an event loop."""
        refuse_inside_loop("with EngineService.open(...)", "Use 'async with'.")
        self._thread = LoopThread()
        try:
            self._thread.call(self.__aenter__())
        except BaseException:
            self._thread.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the engine and its thread."""
        assert self._thread is not None
        try:
            self._thread.call(self.__aexit__(kind, error, trace))
        finally:
            self._thread.close()
            self._thread = None

    def synchronously(self, call: Coroutine[None, None, T]) -> T:
        """Block until a call of this engine is done, such as `engine.synchronously(engine.get_run(run_id))`.

        Raises:
            LoopRunningError: The calling thread runs an event loop, which must not be blocked.
        """
        try:
            refuse_inside_loop("A blocking call", "Await the asynchronous one instead.")
            self._require_open()
            loop = self._loop
        except BaseException:
            call.close()
            raise
        return asyncio.run_coroutine_threadsafe(call, loop).result()

    @property
    def trouble(self) -> str:
        """What keeps the engine from working now, such as a full disk; an empty text when nothing does."""
        troubles = (self._log.trouble, "" if self._executor is None else self._executor.trouble)
        return "; ".join(filter(None, troubles))

    def _require_open(self) -> None:
        if self._resources is None:
            raise ClosedError("The engine is not open.", hint="Use it inside 'async with EngineService.open(...)'.")


def _located(kafka_properties: Mapping[str, str]) -> tuple[str | Path, Mapping[str, str]]:
    """Return the location that the settings name, and the properties for it."""
    # Only here: a program that names its log itself need not wait for the settings to load.
    from engine.settings import load_settings  # noqa: PLC0415

    settings = load_settings({}).settings
    return settings.data, {**settings.kafka, **kafka_properties}


def _nothing() -> None:
    """Stand for whoever need not hear of a takeover: the tails read on whoever owns a partition."""
