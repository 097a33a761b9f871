"""The engine as a program uses it: publish workflows, create and start runs, wait for them, ask about them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar, cast

from pydantic import ValidationError

from engine.arguments import (
    check_context,
    check_durability,
    check_location,
    check_progress_services,
    check_registry,
    check_running_max,
    check_tags,
    check_timeout,
)
from engine.blocking import LoopThread, refuse_inside_loop
from engine.catalogue import Catalogue, WorkflowVersion
from engine.context import ContextObject
from engine.context.check import check_limits
from engine.core.commands import CancelRun, Command, CreateRun, StartRun, command_record
from engine.core.identity import is_run_id
from engine.core.state import RunState, RunStatus
from engine.errors import (
    ClosedError,
    CommandRefusedError,
    RunEndedError,
    RunIdInvalidError,
    RunlineError,
    RunNotCreatedError,
    RunNotFoundError,
    WaitTimeoutError,
)
from engine.executor.executor import Executor
from engine.executor.listener import Listener
from engine.history import read_history, traces_in
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX, NODES_RUNNING_MAX
from engine.log.opening import open_log
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, EVENTS, Log
from engine.ports import Clock, Ids, SystemClock, SystemIds
from engine.progress import ProgressHost, ProgressService
from engine.registry import Registry
from engine.run import Run, Trace, run_of
from engine.runs import LocalRuns, Runs, RunViews, SharedRuns
from engine.waiters import Waiter, Waiters
from engine.workflow.definition import WorkflowDefinition
from engine.workflow.loader import load
from engine.workflow.validation import require_valid

_LOGGER = logging.getLogger("runline.service")

T = TypeVar("T")

SOURCE = "/runline"
"""The `ce_source` of what this program writes."""

ContextLike = ContextObject | Mapping[str, object]


class EngineService:
    """One process's engine: an executor, and the calls a program makes.

    Made by `EngineService.open`. Use it with `async with` inside an event loop, or with `with` in a program that has
    none: then the engine runs in a thread of its own, and `synchronously` calls it.

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

    @classmethod
    def open(
        cls,
        location: str | Path | Log | None = None,
        registry: Registry | None = None,
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
    ) -> Self:
        """Return an engine on the log at this place; it begins to work when it is entered.

        Args:
            location: The directory of an embedded log, made if it is not there; `kafka://HOST:PORT,.../PREFIX` for a
                log on Kafka, whose topics must be there; or a log that is open already. None takes the settings `data`
                and `kafka` from the environment (`RUNLINE_DATA`, `RUNLINE_KAFKA_...`) and the file `runline.toml`.
            registry: Functions, predicates, node types and converters of this process.
            progress_services: Called with every change of a run or a trace, in this order.
            executor: Whether this process executes runs. By default it does, unless the log is on Kafka and there is
                no registry: then others execute what this process starts. An embedded log has no others.
            views: Views of runs, such as `projections.Views.folded(path)`: kept fresh by this process, and asked by
                `get_run` and `get_traces`, which otherwise read the log.
            kafka_properties: Properties of librdkafka for all Kafka clients, such as `security.protocol`; where the
                location comes from the settings, over those of the settings.
            durability: `fsync` keeps what was acknowledged through a loss of power. `process` keeps it only through
                the death of the process, and is faster.
            nodes_running_max: Nodes that run at once.
            nodes_running_per_workflow_max: Nodes of one workflow that run at once; None for no such limit.
            clock: Time; the machine's unless given.
            ids: New identities; random unless given.

        Raises:
            ArgumentError: One of these is something else.
            SettingsError: The location comes from the settings, and one of them is not what was expected.
        """
        return cls(
            location,
            registry,
            progress_services=progress_services,
            executor=executor,
            views=views,
            kafka_properties=kafka_properties,
            durability=durability,
            nodes_running_max=nodes_running_max,
            nodes_running_per_workflow_max=nodes_running_per_workflow_max,
            clock=clock,
            ids=ids,
        )

    # Beginning and end.

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

    # Workflows.

    async def publish_workflow(self, workflow: str | Path | WorkflowDefinition) -> WorkflowVersion:
        """Publish a workflow, from a YAML or JSON file or as a definition.

        Raises:
            DefinitionError: It cannot run: all its problems are listed.
        """
        definition = workflow if isinstance(workflow, WorkflowDefinition) else load(workflow, self._validated_with)
        require_valid(definition, self._validated_with, source="" if workflow is definition else str(workflow))
        self._require_open()
        return await self._catalogue.publish(definition)

    async def get_workflow_id(self, name: str) -> str:
        """Return the id of the workflow with this name, exactly.

        Raises:
            WorkflowNotFoundError: There is none.
            WorkflowAmbiguousError: There are several.
        """
        self._require_open()
        await self._catalogue.refresh()
        return self._catalogue.find_id(name)

    # Runs.

    async def create_workflow_run(self, workflow_id: str, *, tags: Sequence[str] = ()) -> str:
        """Create a run of the newest version of a workflow and return its id. It is `Created` and does not run yet.

        Args:
            workflow_id: The workflow.
            tags: What the run is found by: at most `RUN_TAGS_MAX` different texts.

        Raises:
            WorkflowNotFoundError: No workflow has this id.
            DefinitionError: The workflow cannot run with what is registered in this process.
            ArgumentError: The tags are too many or too long, or one stands twice.
        """
        check_tags(tags)
        version = await self._runnable(workflow_id)
        command = CreateRun(
            id=self._ids.command_id(),
            run=self._ids.run_id(),
            workflow=workflow_id,
            version=version,
            tags=list(tags) or None,
        )
        await self._decided(command, None, until_end=False)
        return command.run

    async def start_workflow_run_and_wait(
        self, run_id: str, context: ContextLike | None = None, timeout: float | None = None
    ) -> Run:
        """Start a created run and wait until it has ended.

        A failed or cancelled run is a status of what is returned, never an exception.

        Args:
            run_id: The run.
            context: The initial context; empty unless given.
            timeout: Seconds to wait; None waits as long as it takes.

        Raises:
            RunNotFoundError: No run has this id.
            RunNotCreatedError: The run was started before.
            ContextError: The context cannot be stored.
            WaitTimeoutError: The run did not end in time; it goes on.
        """
        check_timeout(timeout)
        return run_of(await self._decided(self._start(run_id, context), _created, until_end=True, timeout=timeout))

    async def start_workflow_run_and_notify(self, run_id: str, context: ContextLike | None = None) -> None:
        """Start a created run and return as soon as its start is on the log; progress services hear of its end.

        Raises:
            RunNotFoundError: No run has this id.
            RunNotCreatedError: The run was started before.
            ContextError: The context cannot be stored.
        """
        await self._decided(self._start(run_id, context), _created, until_end=False)

    def start_workflow_run_synchronously(
        self, run_id: str, context: ContextLike | None = None, timeout: float | None = None
    ) -> Run:
        """Start a created run and block the calling thread until it has ended; see `start_workflow_run_and_wait`.

        Raises:
            LoopRunningError: The calling thread runs an event loop, which must not be blocked.
        """
        return self.synchronously(self.start_workflow_run_and_wait(run_id, context, timeout))

    async def run_workflow(
        self,
        workflow_id: str,
        context: ContextLike | None = None,
        timeout: float | None = None,
        *,
        tags: Sequence[str] = (),
    ) -> Run:
        """Create a run of the newest version of a workflow, start it and wait until it has ended: one command.

        Args:
            workflow_id: The workflow.
            context: The initial context; empty unless given.
            timeout: Seconds to wait; None waits as long as it takes.
            tags: What the run is found by: at most `RUN_TAGS_MAX` different texts.

        Raises:
            WorkflowNotFoundError: No workflow has this id.
            DefinitionError: The workflow cannot run with what is registered in this process.
            ArgumentError: The tags are too many or too long, or one stands twice.
            ContextError: The context cannot be stored.
            WaitTimeoutError: The run did not end in time; it goes on.
        """
        check_timeout(timeout)
        check_tags(tags)
        version = await self._runnable(workflow_id)
        command = StartRun(
            id=self._ids.command_id(),
            run=self._ids.run_id(),
            workflow=workflow_id,
            version=version,
            context=self._wire(context),
            tags=list(tags) or None,
        )
        return run_of(await self._decided(command, None, until_end=True, timeout=timeout))

    async def wait_for_workflow_run(self, run_id: str, timeout: float | None = None) -> Run:
        """Wait until a run has ended, whoever started it; a run that has ended is returned at once.

        Raises:
            RunNotFoundError: No run has this id.
            WaitTimeoutError: The run did not end in time; it goes on.
        """
        check_timeout(timeout)
        self._require_open()
        waiter = Waiter(None, until_end=True)

        def look(state: RunState | None) -> None:
            if _known(run_id, state).status.terminal:
                waiter.conclude(_known(run_id, state))

        return run_of(await self._wait(waiter, _checked(run_id), look, timeout=timeout, new=False))

    async def cancel_workflow_run(self, run_id: str, reason: str = "") -> None:
        """Cancel a run. Its functions are told; what they return afterwards is ignored.

        Raises:
            RunNotFoundError: No run has this id.
            RunEndedError: The run has ended.
            CommandRefusedError: The reason is too long, or no text.
        """
        try:
            command = CancelRun(id=self._ids.command_id(), run=_checked(run_id), reason=reason)
        except ValidationError as error:
            raise CommandRefusedError(
                f"Expected a reason of at most {ERROR_MESSAGE_CHARACTERS_MAX} characters of text, "
                f"but found {reason[:80]!r} with {len(reason)}."
            ) from error
        await self._decided(command, _open, until_end=False)

    async def get_run(self, run_id: str) -> Run:
        """Return a run as it stands now.

        Raises:
            RunIdInvalidError: The text is no run id.
            RunNotFoundError: No run has this id.
        """
        self._require_open()
        if self._views is not None and (run := await self._viewed(_checked(run_id), self._views, self._views.get_run)):
            return run
        return run_of(_known(run_id, await self._runs.state(_checked(run_id))))

    async def get_traces(self, run_id: str) -> list[Trace]:
        """Return a run's traces as they stand now, in the order in which they began.

        Raises:
            RunIdInvalidError: The text is no run id.
            RunNotFoundError: No run has this id.
        """
        self._require_open()
        if self._views is not None and (
            traces := await self._viewed(_checked(run_id), self._views, self._views.get_traces)
        ):
            return traces
        history = await read_history(self._log, _checked(run_id))
        if not history:
            raise RunNotFoundError(f"Expected the id of a run, but no run has the id {run_id}.")
        return traces_in(history)

    # Inside.

    async def _viewed(self, run_id: str, views: RunViews, ask: Callable[[str], Awaitable[T]]) -> T | None:
        """Ask views that are as fresh as the log is now, or return None where only the log can tell."""
        try:
            end = (await self._log.ends(EVENTS, partition_of(run_id, self._log.partitions))).end
            await views.reach_offset(run_id, end)
            return await ask(run_id)
        except RunNotFoundError:
            raise
        except RunlineError as error:
            _LOGGER.warning("The views cannot be asked: %s; reading the log", error)
            return None

    def _require_open(self) -> None:
        if self._resources is None:
            raise ClosedError("The engine is not open.", hint="Use it inside 'async with EngineService.open(...)'.")

    async def _runnable(self, workflow_id: str) -> str:
        """Return the newest version of a workflow, if all its nodes can run here."""
        self._require_open()
        plan = self._catalogue.plan(workflow_id, None)
        if plan is None:
            await self._catalogue.refresh()
            plan = self._catalogue.plan(workflow_id, None)
        if plan is None or (plan.missing and plan.version not in self._valid):
            definition = self._catalogue.newest(workflow_id)
            require_valid(definition, self._validated_with, source=workflow_id)
            self._valid.add(definition.version)
            return definition.version
        return plan.version

    def _start(self, run_id: str, context: ContextLike | None) -> StartRun:
        self._require_open()
        return StartRun(id=self._ids.command_id(), run=_checked(run_id), context=self._wire(context))

    def _wire(self, context: ContextLike | None) -> dict[str, object]:
        check_context(context)
        if context is None:
            return {}
        if not isinstance(context, ContextObject):
            context = ContextObject(context, converters=self.registry.converters)
        wire = context.to_wire()
        check_limits(wire)
        return cast("dict[str, object]", wire)

    async def _decided(
        self,
        command: Command,
        require: Callable[[str, RunState | None], None] | None,
        *,
        until_end: bool,
        timeout: float | None = None,
    ) -> RunState:
        """Append a command and wait for what becomes of it, or of the run it starts.

        Args:
            command: The command.
            require: Refuses what the run has come to; None when the command makes the run.
            until_end: Whether to wait until the run has ended.
            timeout: Seconds, or None.
        """
        waiter = Waiter(command.id, starts=isinstance(command, StartRun), until_end=until_end)

        def send(state: RunState | None) -> None:
            if require is not None:
                require(command.run, state)
            partition = partition_of(command.run, self._log.partitions)
            record = command_record(command, SOURCE)
            self._log.send(COMMANDS, partition, record, waiter.fail, patient=self._waiters.many)

        return await self._wait(waiter, command.run, send, timeout=timeout, new=require is None)

    async def _wait(
        self,
        waiter: Waiter,
        run_id: str,
        begun: Callable[[RunState | None], None],
        *,
        timeout: float | None,
        new: bool,
    ) -> RunState:
        """Follow a run on behalf of a waiter, do what is to be done then, and return the waiter's answer."""
        if timeout is None:
            return await self._followed(waiter, run_id, begun, new=new)
        try:
            async with asyncio.timeout(timeout):
                return await self._followed(waiter, run_id, begun, new=new)
        except TimeoutError:
            raise WaitTimeoutError(
                f"Run {run_id} did not end within {timeout} s; it goes on.",
                hint="Wait for it again with wait_for_workflow_run.",
            ) from None

    async def _followed(
        self, waiter: Waiter, run_id: str, begun: Callable[[RunState | None], None], *, new: bool
    ) -> RunState:
        # Registered before anything is looked at or sent, so that nothing in between is missed.
        self._waiters.add(run_id, waiter)
        try:
            state = await self._runs.follow(run_id, new=new)
            try:
                begun(state)
                return await waiter.future
            finally:
                self._runs.unfollow(run_id)
        finally:
            self._waiters.remove(run_id, waiter)
            waiter.give_up()


def _located(kafka_properties: Mapping[str, str]) -> tuple[str | Path, Mapping[str, str]]:
    """Return the location that the settings name, and the properties for it."""
    # Only here: a program that names its log itself need not wait for the settings to load.
    from engine.settings import load_settings  # noqa: PLC0415

    settings = load_settings({}).settings
    return settings.data, {**settings.kafka, **kafka_properties}


def _known(run_id: str, state: RunState | None) -> RunState:
    if state is None:
        raise RunNotFoundError(f"Expected the id of a run, but no run has the id {run_id}.")
    return state


def _created(run_id: str, state: RunState | None) -> None:
    status = _known(run_id, state).status
    if status is not RunStatus.CREATED:
        raise RunNotCreatedError(
            f"Expected a run in Created, but {run_id} is in {status.value}.",
            hint="A run is started once: create a new one.",
        )


def _open(run_id: str, state: RunState | None) -> None:
    status = _known(run_id, state).status
    if status.terminal:
        raise RunEndedError(f"Expected a run that goes on, but {run_id} is in {status.value}.")


def _nothing() -> None:
    """Stand for whoever need not hear of a takeover: the tails read on whoever owns a partition."""


def _checked(run_id: object) -> str:
    if not isinstance(run_id, str) or not is_run_id(run_id):
        raise RunIdInvalidError(f"Expected a run id, a UUID of version 7 in lower case, but found {run_id!r:.80}.")
    return run_id
