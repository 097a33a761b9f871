"""Small workflows and the functions they call."""

from itertools import pairwise

from engine import Call, ContextObject, Registry, WorkflowDefinition
from engine.catalogue import plan_of
from engine.core.plan import Plan


def chain(*nodes: dict[str, object], workflow_id: str = "chain", limit: int = 1000) -> WorkflowDefinition:
    """Return a workflow that goes from one node to the next, with a start in front."""
    entries: list[dict[str, object]] = [{"id": "start", "type": "start"}, *nodes]
    connections = [{"from": before["id"], "to": after["id"]} for before, after in pairwise(entries)]
    return WorkflowDefinition.model_validate(
        {
            "id": workflow_id,
            "name": workflow_id,
            "nodes": entries,
            "connections": connections,
            "node_execution_limit": limit,
        }
    )


def code(node_id: str, function: str) -> dict[str, object]:
    """Return a code node."""
    return {"id": node_id, "type": "code", "configuration": {"function": function}}


def edit(node_id: str, **configuration: object) -> dict[str, object]:
    """Return an edit node."""
    return {"id": node_id, "type": "edit", "configuration": configuration}


END: dict[str, object] = {"id": "end", "type": "end"}


def registry() -> Registry:
    """Return a registry with a few functions."""
    made = Registry()

    @made.node("add")
    async def add(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        context.set("total", context.try_get("total", int, 0) + 1)

    @made.node("fail")
    async def fail(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
        raise ValueError("no")

    return made


def plan(definition: WorkflowDefinition) -> Plan:
    """Return a definition ready to run with these functions."""
    return plan_of(definition, registry())
