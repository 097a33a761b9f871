"""The workflows of every simulation."""

from pydantic import JsonValue

from engine import WorkflowBuilder, WorkflowDefinition
from tests.support.workflows import END, chain, code, edit


def definitions() -> list[WorkflowDefinition]:
    """Return workflows that end on their own: without work outside, with it, with loops of both kinds, and failures."""
    pure = WorkflowBuilder("pure-loop", "pure loop").start()
    work = WorkflowBuilder("work-loop", "work loop").start().code("step", function="step")
    return [
        chain(edit("mark", set=[{"path": "mark", "value": True}]), END, workflow_id="pure"),
        chain(code("a", "step"), code("b", "step"), END, workflow_id="steps"),
        chain(code("a", "step"), code("b", "fragile"), END, workflow_id="fragile"),
        chain(code("a", "patient"), code("b", "step"), END, workflow_id="patient"),
        chain(edit("a", set=[{"path": "x.y", "value": [1]}]), code("b", "step"), workflow_id="open-end"),
        _counting(pure, 20, back_to="count"),
        _counting(work, 3, back_to="step"),
    ]


def _counting(builder: WorkflowBuilder, times: int, *, back_to: str) -> WorkflowDefinition:
    more: dict[str, JsonValue] = {"output": "again", "when": f"n < `{times}`"}
    builder.edit("count", set=[{"path": "n", "expression": "sum([n || `0`, `1`])"}])
    builder.switch("more", cases=[more]).after("more", "default").end()
    return builder.connect("more", back_to, "again").build()
