"""The page about following shows what is in the programs, and names what they need."""

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks, table, words
from tests.interop.jars import JARS

PAGE = ROOT / "docs" / "follow.md"
HERE = Path(__file__).parent
FILES = {"js": "follow.mjs", "java": "Follow.java", "jq": "counts.jq"}
SHOWN = blocks(PAGE, *FILES)


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: f"{block.language}-{block.line}")
def test_what_the_page_shows_stands_in_the_program(block: Block) -> None:
    program = (ROOT / "examples" / FILES[block.language]).read_text(encoding="utf-8")
    indented = (textwrap.indent(block.text, " " * depth) for depth in range(0, 17, 2))
    assert any(text in program for text in indented), f"line {block.line}: it is not in {FILES[block.language]}"


def test_the_rule_and_the_loop_are_shown_in_each_language() -> None:
    assert [block.language for block in SHOWN] == ["jq", "js", "js", "java", "java"]
    for block in SHOWN:
        assert len(block.text.splitlines()) <= 45, "a few lines"


def test_the_page_names_what_the_programs_need() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^\* `([\w.-]+:[\w.-]+:[\d.]+)`$", page, re.MULTILINE) == list(JARS)
    (client,) = json.loads((HERE / "node" / "package.json").read_text())["dependencies"]
    assert f"npm install {client}\n" in page
    engines = json.loads((HERE / "node" / "package-lock.json").read_text())["packages"][f"node_modules/{client}"]
    assert re.findall(r"\d+\.\d+", engines["engines"]["node"]) == re.findall(
        r"\d+\.\d+", page.split("wants Node.js ")[1].split(":")[0]
    )


def test_every_field_of_the_vectors_is_in_a_table() -> None:
    whole = json.loads((ROOT / "schemas" / "acceptance-vectors.json").read_text(encoding="utf-8"))
    vectors = whole["vectors"]
    places = {
        "vector": vectors,
        "record": [record for vector in vectors for record in vector["records"]],
        "beginning": [begin for vector in vectors for begin in vector["begins"]],
    }
    for name, objects in places.items():
        fields = {field for each in objects for field in each}
        assert set(_fields(name)) | ({"value_base64"} if name == "record" else set()) == fields


def _fields(name: str) -> Iterator[str]:
    for row in table(PAGE, f"| field of a {name} | meaning |"):
        yield from words(row[0])
