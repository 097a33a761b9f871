import os
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import WorkflowDefinition
from engine.limits import (
    GRAPH_FINE_CONNECTIONS_MAX,
    GRAPH_FINE_NODES_MAX,
    GRAPH_WAYPOINTS_MAX,
    ID_CHARACTERS_MAX,
    TITLE_CHARACTERS_MAX,
)
from projections.graph import GraphError, draw_workflow
from tests.graph.pictures import LOOP, SVG, Picture, classes, rectangle, texts, tooltip, workflow

ROOT = Path(__file__).parents[2]
HOSTILE = "</title><script>alert(1)</script><g onload='x'>&lt;\"]]>{{\u202e\x1b[2J\r\n\ufffe"


def chain_of(count: int) -> WorkflowDefinition:
    nodes = [f"n{number}" for number in range(count)]
    types = dict.fromkeys(nodes, "code") | {nodes[0]: "start", nodes[-1]: "end"}
    return workflow(types, *((before, "next", after) for before, after in pairwise(nodes)))


def test_a_picture_shows_every_node_with_its_title_and_its_type() -> None:
    picture = Picture(draw_workflow(workflow({"s": "start", "e": "end"}, ("s", "next", "e"), titles={"s": "Go on!"})))
    assert texts(picture.node("s")) == ["Go on!", "start"]
    assert texts(picture.node("e")) == ["e", "end"]
    assert tooltip(picture.node("s")) == "Go on!\nnode s, type start"
    assert picture.heading()[0] == "A workflow"
    assert picture.root.get("aria-label") == "Workflow A workflow"


def test_a_title_that_is_the_type_stands_once() -> None:
    assert texts(Picture(draw_workflow(workflow({"s": "start"}, titles={"s": "Start"}))).node("s")) == ["Start"]


def test_nodes_do_not_overlap_and_stand_in_the_picture() -> None:
    picture = Picture(draw_workflow(LOOP))
    boxes = [rectangle(picture.node(node.id)) for node in LOOP.nodes]
    for one, other in combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    width, height = float(picture.root.get("width", "")), float(picture.root.get("height", ""))
    for left, top, right, bottom in boxes:
        assert 0 < left < right < width
        assert 0 < top < bottom < height


def test_a_workflow_goes_from_top_to_bottom_and_a_way_back_is_marked() -> None:
    picture = Picture(draw_workflow(LOOP))
    tops = [rectangle(picture.node(node))[1] for node in ("start", "try", "ask", "end")]
    assert tops == sorted(set(tops))
    back = {tooltip(each): "back" in classes(each) for each in picture.connections}
    assert [told for told, is_back in back.items() if is_back] == ["ask, output again, to try"]
    assert len(back) == 5


def test_a_node_that_leads_to_itself_can_be_drawn() -> None:
    definition = workflow({"s": "start", "c": "code"}, ("s", "next", "c"), ("c", "again", "c"))
    assert "back" in classes(Picture(draw_workflow(definition)).connection("c", "again"))


def test_outputs_are_named_where_there_is_a_choice() -> None:
    picture = Picture(draw_workflow(LOOP))
    labels = {tooltip(each): texts(each) for each in picture.connections}
    assert labels == {
        "start, output next, to try": [],
        "try, output next, to ask": [],
        "ask, output again, to try": ["again"],
        "ask, output done, to end": ["done"],
        "ask, output other, to never": ["other"],
    }


def test_nodes_without_any_connection_are_drawn_too() -> None:
    picture = Picture(draw_workflow(workflow({"s": "start", "a": "code", "b": "code"})))
    assert picture.connections == []
    assert texts(picture.node("b")) == ["b", "code"]


def test_what_users_named_is_never_markup() -> None:
    definition = WorkflowDefinition.model_validate(
        {
            "id": "w",
            "name": HOSTILE,
            "nodes": [{"id": "s", "type": "start", "title": HOSTILE}, {"id": "e", "type": "end"}],
            "connections": [{"from": "s", "output": "-.-", "to": "e"}],
        }
    )
    svg = draw_workflow(definition)
    picture = Picture(svg)
    assert {each.tag.removeprefix(SVG) for each in picture.root.iter()} == {
        "svg", "title", "style", "rect", "g", "text", "path",
    }  # fmt: skip
    allowed = {
        "class", "aria-hidden", "d", "x", "y", "width", "height", "rx", "role", "aria-label", "data-node", "viewBox",
    }  # fmt: skip
    assert {name for each in picture.root.iter() for name in each.keys()} <= allowed  # noqa: SIM118 - an element's keys
    for character in ("\u202e", "\x1b", "\ufffe"):
        assert character not in svg
    assert "\\u202e\\x1b[2J" in tooltip(picture.node("s"))
    assert tooltip(picture.connections[0]).startswith("s, output -.-, to e")
    assert picture.root.findtext(f"{SVG}style") == Picture(draw_workflow(LOOP)).root.findtext(f"{SVG}style")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip))
def test_any_title_makes_a_document_in_ascii(title: str) -> None:
    svg = draw_workflow(workflow({"s": "start"}, titles={"s": title}))
    assert svg.isascii()
    assert Picture(svg).node("s") is not None


def test_long_texts_are_cut_and_the_tooltip_has_all_of_them() -> None:
    title, output, node = "A" * TITLE_CHARACTERS_MAX, "o" * ID_CHARACTERS_MAX, "n" * ID_CHARACTERS_MAX
    definition = workflow({"s": "start", node: "code"}, ("s", output, node), titles={node: title})
    picture = Picture(draw_workflow(definition))
    lines = texts(picture.node(node))
    assert len(lines) == 3
    assert lines[1].endswith("…")
    assert title in tooltip(picture.node(node))
    assert texts(picture.connections[0])[0].endswith("…")
    assert output in tooltip(picture.connections[0])
    assert float(picture.root.get("width", "")) < 700


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    svg = draw_workflow(LOOP)
    for word in ("<script", "href", "url(", "@import", "http:", "https:"):
        assert word not in svg.replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_it_can_be_read_on_dark_too() -> None:
    style = Picture(draw_workflow(LOOP)).root.findtext(f"{SVG}style") or ""
    light, _, dark = style.partition("@media (prefers-color-scheme:dark)")
    for css in (".paper", "text", ".box", ".line", ".Failed .stripe"):
        assert f".runline-graph {css}" in light
        assert f".runline-graph {css}" in dark


def test_its_rules_concern_nothing_else_in_a_page() -> None:
    root = Picture(draw_workflow(LOOP)).root
    assert root.get("class") == "runline-graph"
    for line in (root.findtext(f"{SVG}style") or "").split("\n"):
        selectors, brace, _ = line.partition("{")
        if brace and not line.startswith("@media"):
            assert all(selector.startswith(".runline-graph ") for selector in selectors.split(","))


def test_the_same_workflow_is_the_same_bytes_in_another_process() -> None:
    program = (
        "import sys\n"
        "from projections.graph import draw_workflow\n"
        "from tests.graph.pictures import LOOP\n"
        "sys.stdout.write(draw_workflow(LOOP))"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == draw_workflow(LOOP)


@pytest.mark.parametrize("count", [GRAPH_FINE_NODES_MAX, GRAPH_FINE_NODES_MAX + 1, 2_000])
def test_long_workflows_can_be_drawn(count: int) -> None:
    picture = Picture(draw_workflow(chain_of(count)))
    assert len(picture.connections) == count - 1
    tops = [rectangle(picture.node(f"n{number}"))[1] for number in (0, count // 2, count - 1)]
    assert tops == sorted(tops)


def test_wide_workflows_can_be_drawn() -> None:
    count = GRAPH_FINE_CONNECTIONS_MAX + 300
    nodes = {"s": "start"} | {f"n{number}": "code" for number in range(count)}
    picture = Picture(draw_workflow(workflow(nodes, *(("s", f"o{number}", f"n{number}") for number in range(count)))))
    assert len(picture.connections) == count
    assert len({rectangle(picture.node(f"n{number}"))[1] for number in range(count)}) == 1


def test_a_tangle_is_refused_with_its_limit() -> None:
    count = 100
    nodes = {f"n{number}": "code" for number in range(count)} | {"n0": "start"}
    all_to_all = [(f"n{one}", f"o{other}", f"n{other}") for one, other in combinations(range(count), 2)]
    with pytest.raises(GraphError, match=f"over {GRAPH_WAYPOINTS_MAX} waypoints at most") as refused:
        draw_workflow(workflow(nodes, *all_to_all))
    assert f"{count} nodes and {len(all_to_all)} connections" in str(refused.value)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "graphlay", None)
    with pytest.raises(GraphError, match="graphlay, but it is not installed") as refused:
        draw_workflow(LOOP)
    assert refused.value.hint == "Install it with the extra: pip install 'runline[graph]'"
