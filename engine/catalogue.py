"""The catalogue: every published workflow version, read from the log, and made ready to run."""

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from pydantic import JsonValue, ValidationError

from engine.context.values import WireObject
from engine.core.plan import Plan, PlannedNode
from engine.errors import ClosedError, LogError, RegistryError, WorkflowAmbiguousError, WorkflowNotFoundError
from engine.limits import FENCE_RETRY_SECONDS_MAX, FENCE_RETRY_SECONDS_MIN
from engine.log.port import WORKFLOWS, Log, Record
from engine.nodes.node_type import Configuration, NodeType, Step, Work
from engine.registry import Registry
from engine.workflow.definition import WorkflowDefinition

_LOGGER = logging.getLogger("runline.catalogue")

_READ_AT_ONCE = 500


class WorkflowVersion(NamedTuple):
    """A published workflow: its id, and the version that was published."""

    workflow_id: str
    version: str


class Catalogue:
    """The published workflows. Versions never change, so what was read stays true; `refresh` adds what is new."""

    def __init__(self, log: Log, registry: Registry, *, source: str, now: Callable[[], str]) -> None:
        self._log = log
        self._registry = registry
        self._source = source
        self._now = now
        self._position = 0
        self._definitions: dict[str, WorkflowDefinition] = {}
        self._newest: dict[str, str] = {}
        self._plans: dict[str, Plan] = {}
        self._refreshing = asyncio.Lock()

    async def refresh(self) -> None:
        """Read what was published since the last time; what is no definition is passed over, loudly."""
        async with self._refreshing:
            while True:
                records = await self._log.read(WORKFLOWS, 0, self._position, _READ_AT_ONCE)
                for record in records:
                    self._position = record.offset + 1
                    try:
                        definition = WorkflowDefinition.from_canonical(record.value)
                        problem = _graph_problem(definition)
                    except ValidationError as error:
                        problem = str(error)
                    else:
                        if not problem:
                            self._add(definition)
                            continue
                    # It did not come through `publish`; the other workflows have nothing to do with it.
                    _LOGGER.error("No workflow definition at offset %d of %s: %s", record.offset, WORKFLOWS, problem)
                if not records:
                    return

    async def follow(self) -> None:
        """Read what is published as soon as it is, for ever: on a shared log others publish."""
        delay = FENCE_RETRY_SECONDS_MIN
        while True:
            reader = self._log.reader(WORKFLOWS, 0, self._position)
            try:
                while True:
                    await reader.next()
                    await self.refresh()
                    delay = FENCE_RETRY_SECONDS_MIN
            except ClosedError:
                return
            except LogError as error:
                _LOGGER.error("The workflows cannot be followed: %s; reading again", error)  # noqa: TRY400 - the text says it all
            finally:
                reader.close()
            await asyncio.sleep(delay)
            delay = min(2 * delay, FENCE_RETRY_SECONDS_MAX)

    async def publish(self, definition: WorkflowDefinition) -> WorkflowVersion:
        """Append a version to the log, unless it is already the newest of its id."""
        await self.refresh()
        version = definition.version
        if self._newest.get(definition.id) != version:
            headers = {
                "ce_specversion": "1.0",
                "ce_id": f"{definition.id}/{version}",
                "ce_type": "runline.workflow",
                "ce_source": self._source,
                "ce_subject": definition.id,
                "ce_time": self._now(),
                "content-type": "application/json",
                "version": version,
                # A run lives in the partition that this number gives it: whoever opens the log compares.
                "partitions": str(self._log.partitions),
            }
            record = Record(f"{definition.id}/{version}", definition.canonical(), headers)
            await self._log.append(WORKFLOWS, 0, record)
            await self.refresh()
        return WorkflowVersion(definition.id, version)

    def find_id(self, name: str) -> str:
        """Return the id of the only workflow whose newest version has this name, exactly.

        Raises:
            WorkflowNotFoundError: There is none.
            WorkflowAmbiguousError: There are several.
        """
        found = [workflow for workflow, version in self._newest.items() if self._definitions[version].name == name]
        if not found:
            raise WorkflowNotFoundError(
                f"Expected a published workflow with the name {name!r}, but there is none.",
                hint="Publish it first, or look at its exact name.",
            )
        if len(found) > 1:
            raise WorkflowAmbiguousError(
                f"Expected one workflow with the name {name!r}, but {len(found)} have it: {', '.join(found)}.",
                hint="Use the id.",
            )
        return found[0]

    def newest(self, workflow_id: str) -> WorkflowDefinition:
        """Return the newest version of a workflow.

        Raises:
            WorkflowNotFoundError: No workflow has this id.
        """
        version = self._newest.get(workflow_id)
        if version is None:
            known = ", ".join(sorted(self._newest)) or "none"
            raise WorkflowNotFoundError(
                f"Expected the id of a published workflow, but found {workflow_id!r}; published are: {known}."
            )
        return self._definitions[version]

    def definition(self, version: str) -> WorkflowDefinition | None:
        """Return the definition of a version, or None."""
        return self._definitions.get(version)

    @property
    def workflows(self) -> tuple[WorkflowDefinition, ...]:
        """The newest version of every workflow, in the order in which they were first published."""
        return tuple(self._definitions[version] for version in self._newest.values())

    def plan(self, workflow_id: str | None, version: str | None) -> Plan | None:
        """Return the plan of a version, or of a workflow's newest one; None when it was not published."""
        if version is None:
            version = self._newest.get(workflow_id or "")
        plan = self._plans.get(version or "")
        if plan is not None and workflow_id in (None, plan.workflow):
            return plan
        definition = self._definitions.get(version or "")
        if definition is None or version is None or workflow_id not in (None, definition.id):
            return None
        plan = self._plans[version] = plan_of(definition, self._registry)
        return plan

    def _add(self, definition: WorkflowDefinition) -> None:
        version = definition.version
        self._definitions[version] = definition
        self._newest[definition.id] = version


def plan_of(definition: WorkflowDefinition, registry: Registry) -> Plan:
    """Return a definition made ready to run with what is registered in this process.

    A node whose type or function is not registered here is planned as one that waits: another process may have it.
    """
    targets: dict[str, dict[str, str]] = {node.id: {} for node in definition.nodes}
    for connection in definition.connections:
        targets[connection.source][connection.output] = connection.to
    nodes: dict[str, PlannedNode] = {}
    start = ""
    for node in definition.nodes:
        if node.type == "start":
            start = node.id
        node_type, configuration, missing = _resolve(node.type, node.configuration, registry)
        outputs = tuple(node_type.outputs(configuration))
        nodes[node.id] = PlannedNode(node.id, node.title, node_type, configuration, outputs, targets[node.id], missing)
    return Plan(
        definition.id,
        definition.version,
        start,
        nodes,
        definition.node_execution_limit,
        any(node.missing for node in nodes.values()),
    )


def _resolve(
    name: str, given: dict[str, JsonValue], registry: Registry
) -> tuple[NodeType[Configuration], Configuration, str]:
    try:
        node_type = registry.find_node_type(name)
        configuration = node_type.configure(given)
        problems = [problem.message for problem in node_type.check(configuration, registry)]
        node_type.outputs(configuration)
    except (RegistryError, ValidationError) as error:
        return _Unregistered(name), Configuration(), str(error)
    except Exception as error:  # noqa: BLE001 - a node type may come from anywhere; its mistake concerns its own nodes
        return _Unregistered(name), Configuration(), f"node type {name} cannot be set up: {error!r}"
    return node_type, configuration, "; ".join(problems)


def _graph_problem(definition: WorkflowDefinition) -> str:
    """Return what keeps a definition from being planned at all, or an empty text."""
    nodes = {node.id for node in definition.nodes}
    starts = sum(node.type == "start" for node in definition.nodes)
    if starts != 1 or len(nodes) != len(definition.nodes):
        return f"expected one start and different node ids, but found {starts} and {len(definition.nodes)} nodes"
    loose = [each for each in definition.connections if each.source not in nodes or each.to not in nodes]
    return f"expected connections between nodes, but found {loose[0]!r}" if loose else ""


class _Unregistered(NodeType[Configuration]):
    """Stands for a node type that this process does not have: a run that reaches it waits."""

    configuration = Configuration

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]  # one class stands for every missing type

    def decide(self, configuration: Configuration, context: WireObject) -> Step:  # noqa: ARG002 - waits whatever comes
        return Work()
