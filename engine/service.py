"""The engine as a program uses it: publish workflows, create and start runs, wait for them, ask about them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self, TypeVar, cast

from pydantic import ValidationError

from engine.arguments import check_context, check_run_id, check_tags, check_timeout, check_workflow, check_workflow_id
from engine.catalogue import WorkflowVersion
from engine.context import ContextObject
from engine.context.check import check_limits, check_wire
from engine.core.commands import CancelRun, CreateRun, StartRun
from engine.errors import CommandRefusedError, RunlineError, RunNotFoundError, WaitTimeoutError
from engine.history import read_history, traces_in
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX, NODES_RUNNING_MAX
from engine.log.partitioner import partition_of
from engine.log.port import EVENTS, Log
from engine.ports import Clock, Ids
from engine.process import EngineProcess
from engine.progress import ProgressService
from engine.registry import Registry
from engine.requests import known, require_created, require_going_on
from engine.run import Run, Trace, run_of
from engine.runs import RunViews
from engine.workflow.definition import WorkflowDefinition
from engine.workflow.loader import load
from engine.workflow.validation import require_valid

_LOGGER = logging.getLogger("runline.service")

T = TypeVar("T")

ContextLike = ContextObject | Mapping[str, object]


class EngineService(EngineProcess):
    """One process's engine: an executor, and the calls a program makes.

    Made by `EngineService.open`. Use it with `async with` inside an event loop, or with `with` in a program that has
    none: then the engine runs in a thread of its own, and `synchronously` calls it.

    Attributes:
        registry: The functions and node types of this process.
    """

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

    # Workflows.

    async def publish_workflow(self, workflow: str | Path | WorkflowDefinition) -> WorkflowVersion:
        """Publish a workflow, from a YAML or JSON file or as a definition.

        Raises:
            ArgumentError: It is neither a file nor a definition.
            DefinitionError: It cannot run: all its problems are listed.
        """
        check_workflow(workflow)
        definition = workflow if isinstance(workflow, WorkflowDefinition) else load(workflow, self._validated_with)
        source = "" if workflow is definition else str(workflow)
        definition = require_valid(definition, self._validated_with, source=source)
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
        await self._requests.ask(command, None, until_end=False)
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
            WaitTimeoutError: The run did not end in time; the text says what is known of it.
        """
        check_timeout(timeout)
        return run_of(
            await self._requests.ask(self._start(run_id, context), require_created, until_end=True, timeout=timeout)
        )

    async def start_workflow_run_and_notify(self, run_id: str, context: ContextLike | None = None) -> None:
        """Start a created run and return as soon as its start is on the log; progress services hear of its end.

        Raises:
            RunNotFoundError: No run has this id.
            RunNotCreatedError: The run was started before.
            ContextError: The context cannot be stored.
        """
        await self._requests.ask(self._start(run_id, context), require_created, until_end=False)

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
            WaitTimeoutError: The run did not end in time; the text says what is known of it.
        """
        check_timeout(timeout)
        check_tags(tags)
        if timeout is None:
            version = await self._runnable(workflow_id)
        else:
            begun = self._loop.time()
            version = await self._runnable_within(workflow_id, timeout)
            timeout = max(0.0, timeout - (self._loop.time() - begun))
        command = StartRun(
            id=self._ids.command_id(),
            run=self._ids.run_id(),
            workflow=workflow_id,
            version=version,
            context=self._wire(context),
            tags=list(tags) or None,
        )
        return run_of(await self._requests.ask(command, None, until_end=True, timeout=timeout))

    async def wait_for_workflow_run(self, run_id: str, timeout: float | None = None) -> Run:
        """Wait until a run has ended, whoever started it; a run that has ended is returned at once.

        Raises:
            RunNotFoundError: No run has this id.
            WaitTimeoutError: The run did not end in time; the text says what is known of it.
        """
        check_timeout(timeout)
        self._require_open()
        return run_of(await self._requests.until_end(_checked(run_id), timeout))

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
                f"but found {reason!r:.80} of type {type(reason).__name__}: {error.errors()[0]['msg']}."
            ) from error
        await self._requests.ask(command, require_going_on, until_end=False)

    async def get_run(self, run_id: str) -> Run:
        """Return a run as it stands now.

        Raises:
            RunIdInvalidError: The text is no run id.
            RunNotFoundError: No run has this id.
        """
        self._require_open()
        if self._views is not None and (run := await self._viewed(_checked(run_id), self._views, self._views.get_run)):
            return run
        return run_of(known(run_id, await self._runs.state(_checked(run_id))))

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

    async def _runnable(self, workflow_id: str) -> str:
        """Return the newest version of a workflow, if all its nodes can run here."""
        check_workflow_id(workflow_id)
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

    async def _runnable_within(self, workflow_id: str, timeout: float) -> str:
        try:
            async with asyncio.timeout(timeout):
                return await self._runnable(workflow_id)
        except TimeoutError:
            raise WaitTimeoutError(
                f"Workflow {workflow_id} was not found out about within {timeout} s; nothing was started."
            ) from None

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
        if self._validated_with is not None and context.converters not in {None, self.registry.converters}:
            # It was made with the types of another registry.
            check_wire(wire, converters=self.registry.converters)
        else:
            check_limits(wire)
        return cast("dict[str, object]", wire)


def _checked(run_id: str) -> str:
    check_run_id(run_id)
    return run_id
