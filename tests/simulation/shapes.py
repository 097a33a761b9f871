"""Workflows of any shape, drawn from a seed: all node types, loops, paths that end anywhere."""

from random import Random
from typing import Final

from engine import WorkflowDefinition
from tests.simulation.ledger import FUNCTIONS, PREDICATES, USER_TYPES

_NODES_MAX: Final = 7
_EXECUTIONS: Final = (6, 15, 40)
"""Limits of node executions, so that no loop is endless."""
_EDITS: Final[tuple[dict[str, object], ...]] = (
    {"set": [{"path": "mark", "value": [1, {"deep": None}]}]},
    {"set": [{"path": "n", "expression": "sum([n || `0`, `1`])"}]},
    {"set": [{"path": "seen.last", "expression": "given"}]},
    {"copy": [{"from": "given", "to": "copies.given"}]},
    {"move": [{"from": "mark", "to": "moved.mark"}]},
    {"delete": ["mark"]},
)
_CONDITIONS: Final = ("n < `3`", "given != null", "steps > `2`", "contains(keys(@), 'mark')")
_STARTS: Final[tuple[dict[str, object], ...]] = (
    {},
    {"inputs": [{"path": "given", "type": "number", "default": 7}]},
    {"inputs": [{"path": "given", "type": "number"}]},
)
_ENDS: Final[tuple[dict[str, object], ...]] = (
    {},
    {"mappings": [{"from": "given", "to": "result.given"}, {"from": "n", "to": "result.n"}]},
)


def random_definitions(random: Random, count: int) -> list[WorkflowDefinition]:
    """Return workflows that end on their own, whatever happens in them."""
    return [_definition(random, f"shape-{number}") for number in range(count)]


def _definition(random: Random, workflow_id: str) -> WorkflowDefinition:
    inner = [f"n{number}" for number in range(random.randint(1, _NODES_MAX))]
    nodes: list[dict[str, object]] = [{"id": "start", "type": "start", "configuration": random.choice(_STARTS)}]
    nodes += [_node(random, node_id) for node_id in inner]
    order = ["start", *inner]
    if random.random() < 0.7:
        nodes.append({"id": "end", "type": "end", "configuration": random.choice(_ENDS)})
        order.append("end")
    connections: list[dict[str, object]] = []
    for node, following in zip(nodes, order[1:], strict=False):
        connections += _ways_on(random, node, following, inner)
    return WorkflowDefinition.model_validate(
        {
            "id": workflow_id,
            "name": workflow_id,
            "nodes": nodes,
            "connections": connections,
            "node_execution_limit": random.choice(_EXECUTIONS),
        }
    )


def _node(random: Random, node_id: str) -> dict[str, object]:
    kind = random.choice(("code", "code", "code", "edit", "switch", "switch", *USER_TYPES))
    if kind == "code":
        configuration: dict[str, object] = {"function": random.choice(FUNCTIONS)}
    elif kind == "edit":
        configuration = random.choice(_EDITS)
    elif kind == "switch":
        configuration = {"cases": [_case(random, number) for number in range(random.randint(1, 2))]}
    else:
        configuration = {}
    return {"id": node_id, "type": kind, "configuration": configuration}


def _case(random: Random, number: int) -> dict[str, object]:
    if random.random() < 0.3:
        return {"output": f"case-{number}", "predicate": random.choice(PREDICATES)}
    return {"output": f"case-{number}", "when": random.choice(_CONDITIONS)}


def _ways_on(random: Random, node: dict[str, object], following: str, inner: list[str]) -> list[dict[str, object]]:
    """Lead on to the following node, and by a switch's cases anywhere, back too, or nowhere."""
    if node["type"] != "switch":
        return [{"from": node["id"], "to": following}]
    ways: list[dict[str, object]] = [{"from": node["id"], "output": "default", "to": following}]
    configuration = node["configuration"]
    assert isinstance(configuration, dict)
    ways += [
        {"from": node["id"], "output": case["output"], "to": random.choice(inner)}
        for case in configuration["cases"]
        if random.random() < 0.8
    ]
    return ways
