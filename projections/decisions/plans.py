"""Plans to decide by once more: nothing of them is executed, so functions need not be registered.

A node type that is not registered, or that cannot take a node's configuration any more, cannot be asked what it would
do now: in its place stands one that does what was recorded.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from engine.catalogue import plan_of
from engine.context.values import WireObject
from engine.core.events import Event, TraceStarted, TraceSucceeded
from engine.core.plan import Plan
from engine.core.state import RunState
from engine.errors import RegistryError
from engine.nodes.node_type import Configuration, Done, Ended, Failed, NodeType, Step, Work
from engine.registry import Registry
from engine.workflow.definition import WorkflowDefinition
from projections.decisions.comparison import Given

LEFT: Final = "that a node's work was left to another process"

Definitions = Callable[[str], WorkflowDefinition | None]
"""Gives the definition of a version, or None when it was not published."""


class ReplayPlan(NamedTuple):
    """A plan to decide by once more.

    Attributes:
        plan: The version, as if everything it needs were there.
        absent: Ids of nodes whose type cannot be asked here, and why.
    """

    plan: Plan
    absent: Mapping[str, str]


class ReplayPlans:
    """The plans of all versions that were asked for.

    Args:
        definitions: Where definitions are looked up.
        registry: The node types that can be asked.
    """

    def __init__(self, definitions: Definitions, registry: Registry) -> None:
        self._definitions = definitions
        self._registry = registry
        self._found: dict[str, ReplayPlan] = {}

    def find(self, version: str) -> ReplayPlan | None:
        """Return the plan of a version, or None when it was not published."""
        found = self._found.get(version)
        if found is None:
            definition = self._definitions(version)
            if definition is None:
                return None
            found = self._found[version] = self._make(definition)
        return found

    def _make(self, definition: WorkflowDefinition) -> ReplayPlan:
        plan = plan_of(definition, self._registry)
        nodes = dict(plan.nodes)
        absent: dict[str, str] = {}
        for entry in definition.nodes:
            node = nodes[entry.id]
            if why := self._absence(entry.type, node.node_type):
                absent[entry.id] = why
            nodes[entry.id] = node._replace(missing="")
        return ReplayPlan(plan._replace(nodes=nodes, missing=False), absent)

    def _absence(self, name: str, planned: NodeType[Configuration]) -> str:
        try:
            found = self._registry.find_node_type(name)
        except RegistryError:
            return f"what a node of type '{name}' did: the type is not registered"
        return "" if found is planned else f"what a node of type '{name}' did: the type takes its configuration no more"


def without(plan: Plan, nodes: Iterable[str]) -> Plan:
    """Return the plan of a process that could not do the work of these nodes."""
    changed = {node: plan.nodes[node]._replace(missing=LEFT) for node in nodes if node in plan.nodes}
    return plan._replace(nodes={**plan.nodes, **changed})


class RecordedSteps:
    """What one commit says about nodes that cannot be asked.

    Args:
        found: The plan of the run's version.
        before: The run's state before the commit.
        events: What the commit records.

    Attributes:
        given: What of the events in which such a node ends is taken over, by their index.
        taken: Why, as often as it is.

    Raises:
        KeyError: An event lacks what it should have.
    """

    def __init__(self, found: ReplayPlan, before: RunState | None, events: Sequence[Event]) -> None:
        self.given: dict[int, Given] = {}
        self.taken: list[str] = []
        self._found = found
        self._events = events
        self._steps: dict[str, list[Step]] = defaultdict(list)
        self._outputs: dict[str, list[str]] = defaultdict(list)
        self._worked: set[str] = set()
        self._nodes = {} if before is None else {trace.number: trace.node for trace in before.open}
        self._inside: set[int] = set()
        for index, event in enumerate(events if found.absent else ()):
            self._read(index, event)

    def plan(self) -> Plan:
        """Return the plan with nodes that do what was recorded, once."""
        plan, absent = self._found
        if not absent:
            return plan
        nodes = dict(plan.nodes)
        for node_id in absent:
            node = nodes[node_id]
            nodes[node_id] = node._replace(
                node_type=_StandIn(node.node_type.name, self._steps[node_id]),
                outputs=(*node.targets, *self._outputs[node_id]),
                # Where the record shows no work of it, nobody knows that the process could have done any.
                missing="" if node_id in self._worked else LEFT,
            )
        return plan._replace(nodes=nodes)

    def _read(self, index: int, event: Event) -> None:
        match event["type"]:
            case "trace.started":
                if event["node"] in self._found.absent:
                    self._started(event)
            case "trace.succeeded":
                if event["output"] is not None and (node := self._nodes.get(event["trace"])) is not None:
                    self._outputs[node].append(event["output"])
                if event["trace"] in self._inside:
                    self.given[index] = Given(event["message"], event["changes"])
                    self._give(event["trace"], _step(event, self._events[index + 1 : index + 2]))
            case "trace.failed":
                if event["trace"] in self._inside:
                    given = Given(event["error"]["message"])
                    # The run fails with the same words, in the event behind this one.
                    self.given |= {index: given, index + 1: given}
                    self._give(event["trace"], Failed(event["error"]["type"], given.decidable))
            case _:
                pass

    def _started(self, event: TraceStarted) -> None:
        number, node = event["trace"], event["node"]
        self._nodes[number] = node
        if "executor" not in event:
            self._inside.add(number)
            return
        self._worked.add(node)
        if event["attempt"] == 1:
            self._give(number, Work())

    def _give(self, number: int, step: Step) -> None:
        node = self._nodes[number]
        self.taken.append(self._found.absent[node])
        self._steps[node].append(step)


def _step(event: TraceSucceeded, following: Sequence[Event]) -> Step:
    """Return the step that a trace without work outside is recorded with."""
    message = Given(event["message"]).decidable
    if event["output"] is None and not event["changes"] and following and following[0]["type"] == "run.succeeded":
        return Ended(following[0]["output"], message)
    return Done(event["changes"], event["output"], message)


class _StandIn(NodeType[Configuration]):
    """Does what was recorded, step by step, and behind that waits for somebody who can do it."""

    configuration = Configuration

    def __init__(self, name: str, steps: Iterable[Step]) -> None:
        self.name = name  # type: ignore[misc]  # one class stands for every type that is not there
        self._steps = iter(steps)

    def decide(self, configuration: Configuration, context: WireObject) -> Step:  # noqa: ARG002 - whatever comes
        return next(self._steps, Work())
