import asyncio
from collections.abc import Callable, Iterable

from engine.call import Call
from engine.context import ContextObject
from engine.context.values import WireObject
from engine.nodes.node_type import Configuration, Done, NodeType, Problem, Step, Work
from engine.registry import Registry
from engine.workflow.validation import require_valid, validate


class RouteConfiguration(Configuration):
    key: str


class Route(NodeType[RouteConfiguration]):
    """A pure node type with outputs of its own."""

    name = "route"
    configuration = RouteConfiguration

    def outputs(self, configuration: RouteConfiguration) -> tuple[str, ...]:
        return (f"{configuration.key}-yes", f"{configuration.key}-no")

    def check(self, configuration: RouteConfiguration, registry: Registry | None) -> Iterable[Problem]:
        if configuration.key == "forbidden" and registry is not None:
            yield Problem("key", "expected another key, found 'forbidden'")

    def decide(self, configuration: RouteConfiguration, context: WireObject) -> Step:
        answer = "yes" if configuration.key in context else "no"
        return Done(output=f"{configuration.key}-{answer}")


class PauseConfiguration(Configuration):
    turns: int


class Pause(NodeType[PauseConfiguration]):
    """A node type with work outside the core."""

    name = "pause"
    configuration = PauseConfiguration

    def decide(self, configuration: PauseConfiguration, context: WireObject) -> Step:
        return Work() if configuration.turns > len(context) - len(context) else Done()

    async def execute(self, configuration: PauseConfiguration, context: ContextObject, call: Call) -> str:
        for _ in range(configuration.turns):
            await asyncio.sleep(0)
        context.set("paused", call.node_id)
        return "next"


def flow(key: str = "k", output: str = "k-yes") -> dict[str, object]:
    return {
        "id": "w",
        "name": "W",
        "nodes": [
            {"id": "start", "type": "start"},
            {"id": "r", "type": "route", "configuration": {"key": key}},
            {"id": "p", "type": "pause", "configuration": {"turns": 2}},
        ],
        "connections": [{"from": "start", "to": "r"}, {"from": "r", "output": output, "to": "p"}],
    }


async def test_node_types_from_outside_work_like_built_in_ones(make_call: Callable[[], Call]) -> None:
    registry = Registry()
    registry.node_type(Route)
    registry.node_type(Pause())
    definition = require_valid(flow(), registry)
    route, pause = (registry.find_node_type(node.type) for node in definition.nodes[1:])
    configuration = route.configure(definition.nodes[1].configuration)
    assert route.decide(configuration, {"k": 1}) == Done(output="k-yes")
    assert route.decide(configuration, {}) == Done(output="k-no")
    configuration = pause.configure(definition.nodes[2].configuration)
    assert pause.decide(configuration, {}) == Work()
    context = ContextObject()
    assert await pause.execute(configuration, context, make_call()) == "next"
    assert context.to_wire() == {"paused": "ask"}


def test_their_configurations_outputs_and_checks_are_validated() -> None:
    registry = Registry()
    registry.node_type(Route)
    registry.node_type(Pause)
    assert [finding.field for finding in validate(flow(output="yes"), registry)] == ["connections[1].output"]
    findings = validate(flow("forbidden", "forbidden-no"), registry)
    assert [str(finding) for finding in findings] == [
        "node 'r', configuration.key: expected another key, found 'forbidden'"
    ]
    wrong = flow()
    wrong["nodes"] = [{"id": "start", "type": "start"}, {"id": "r", "type": "route", "configuration": {"kee": "k"}}]
    assert {finding.field for finding in validate(wrong, registry)} == {
        "configuration.key", "configuration.kee", "connections[1].to",
    }  # fmt: skip


def test_outputs_that_no_configuration_changes_are_known_whatever_is_wrong_in_it() -> None:
    registry = Registry()
    registry.node_type(Route)
    registry.node_type(Pause)
    data = flow()
    data["nodes"] = [
        {"id": "start", "type": "start"},
        {"id": "r", "type": "route", "configuration": {"kee": "k"}},
        {"id": "p", "type": "pause", "configuration": {"turns": "2"}},
    ]
    data["connections"] = [
        {"from": "start", "to": "r"},
        {"from": "r", "output": "any", "to": "p"},
        {"from": "p", "output": "nxt", "to": "r"},
    ]
    assert [finding.field for finding in validate(data, registry)] == [
        "configuration.key", "configuration.kee", "configuration.turns", "connections[2].output",
    ]  # fmt: skip


def test_without_their_registry_they_are_unknown() -> None:
    assert [finding.field for finding in validate(flow())] == ["type", "type"]
