from pathlib import Path

import pytest

from engine.errors import DefinitionError
from engine.workflow.builder import WorkflowBuilder
from engine.workflow.loader import load

EXAMPLE = Path(__file__).parents[2] / "examples" / "example.yaml"


def test_the_builder_and_the_file_give_the_same_version() -> None:
    example = load(EXAMPLE)
    assert example.description is not None
    built = (
        WorkflowBuilder("example", "Example Workflow", description=example.description)
        .start(
            title="Take the question",
            inputs=[
                {"path": "input.prompt", "type": "string"},
                {"path": "input.user_id", "type": "integer"},
                {"path": "input.now", "type": "datetime", "required": False},
            ],
        )
        .code("answer", function="answer", title="Answer it")
        .end()
        .build()
    )
    assert built.version == example.version


def test_branches_go_on_from_named_outputs() -> None:
    built = (
        WorkflowBuilder("w", "W")
        .start()
        .switch("which", cases=[{"output": "high", "when": "n > `1`"}])
        .after("which", "high")
        .edit("big", set=[{"path": "size", "value": "big"}])
        .end("big-end")
        .after("which", "default")
        .end("small-end")
        .build()
    )
    assert [(arrow.source, arrow.output, arrow.to) for arrow in built.connections] == [
        ("start", "next", "which"),
        ("which", "high", "big"),
        ("big", "next", "big-end"),
        ("which", "default", "small-end"),
    ]


def test_a_loop_is_a_connection_back() -> None:
    built = (
        WorkflowBuilder("w", "W", node_execution_limit=50)
        .start()
        .code("step", function="step")
        .switch("again", cases=[{"output": "more", "when": "n < `3`"}])
        .connect("again", "step", "more")
        .build()
    )
    assert built.node_execution_limit == 50
    assert built.connections[-1].to == "step"


def test_all_problems_of_a_built_definition_are_listed() -> None:
    builder = WorkflowBuilder("w", "W").node("a", "strat").code("b", function="f x").connect("b", "c")
    with pytest.raises(DefinitionError) as caught:
        builder.build()
    assert all(part in str(caught.value) for part in ("did you mean 'start'?", "function", "'c'", "exactly one node"))


def test_going_on_from_a_node_that_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(DefinitionError, match="did you mean 'start'"):
        WorkflowBuilder("w", "W").start().after("strat")
