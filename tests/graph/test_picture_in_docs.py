from pathlib import Path

from engine.workflow.loader import load
from projections.graph import draw_workflow
from tests.docs.pages import ROOT, write_files


def test_the_picture_on_the_page_is_the_one_that_is_drawn(tmp_path: Path) -> None:
    write_files(tmp_path)
    drawn = draw_workflow(load(tmp_path / "order.yaml"))
    shown = ROOT / "docs" / "order.svg"
    assert shown.read_text(encoding="ascii") == drawn, "draw it anew: runline graph order --output docs/order.svg"
