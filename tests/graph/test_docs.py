from pathlib import Path

import pytest

from engine import WorkflowDefinition
from engine.workflow.loader import load
from projections.graph import draw_workflow
from tests.docs.pages import ROOT, write_files
from tests.graph.pictures import SVG, Picture, texts

DOCS = ROOT / "docs"


@pytest.fixture
def order(tmp_path: Path) -> WorkflowDefinition:
    """Return the workflow on the pages."""
    write_files(tmp_path)
    return load(tmp_path / "order.yaml")


def test_the_picture_of_the_workflow_is_the_one_that_is_drawn(order: WorkflowDefinition) -> None:
    shown = (DOCS / "order.svg").read_text(encoding="ascii")
    assert shown == draw_workflow(order), "draw it anew: runline graph order --output docs/order.svg"


def test_the_picture_of_the_run_shows_that_workflow_as_it_is_drawn_now(order: WorkflowDefinition) -> None:
    drawn, shown = Picture(draw_workflow(order)), Picture((DOCS / "order-run.svg").read_text(encoding="ascii"))
    assert shown.heading()[:2] == drawn.heading()
    assert shown.root.findtext(f"{SVG}style") == drawn.root.findtext(f"{SVG}style")
    for node in order.nodes:
        assert texts(shown.node(node.id))[0] == texts(drawn.node(node.id))[0]
