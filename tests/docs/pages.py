"""Pages of the documentation, taken apart: their code blocks and tables."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / "docs" / "workflows.md"
COMMAND_LINE = ROOT / "docs" / "command-line.md"
VIEWS = ROOT / "docs" / "views.md"
PROGRESS = ROOT / "docs" / "progress-services.md"
KAFKA = ROOT / "docs" / "kafka.md"
README = ROOT / "README.md"

_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>.*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_CODE = re.compile(r"`([^`]+)`")


class Block(NamedTuple):
    """A code block.

    Attributes:
        mark: The comment in front of it, such as `file: order.yaml`; empty when there is none.
        language: As behind the fence.
        text: What stands in it.
        line: The page's line that its text begins on.
    """

    mark: str
    language: str
    text: str
    line: int


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return a page's code blocks in these languages, in order."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(each["mark"] or "", each["language"], each["text"], text.count("\n", 0, each.start("text")) + 1)
        for each in _BLOCK.finditer(text)
    ]
    return [block for block in found if block.language in languages]


def marked(page: Path, mark: str) -> str:
    """Return the text of the one block with this mark."""
    (text,) = [text for found, _, text, _ in blocks(page, "text", "yaml", "python", "console") if found == mark]
    return text


def write_files(directory: Path) -> None:
    """Write the files that the pages show, under the names that they are marked with."""
    for page in (WORKFLOWS, COMMAND_LINE, VIEWS, PROGRESS):
        for block in blocks(page, "yaml", "python"):
            if block.mark.startswith("file: "):
                (directory / block.mark.removeprefix("file: ")).write_text(block.text, encoding="utf-8")


def tables(page: Path, heading: str) -> list[list[list[str]]]:
    """Return the bodies of all tables with this first line, row by row, cell by cell."""
    parts = page.read_text(encoding="utf-8").split(f"\n{heading}\n")[1:]
    bodies = [part.partition("\n\n")[0].splitlines()[1:] for part in parts]
    return [[[cell.strip() for cell in row.strip("|").split(" | ")] for row in body] for body in bodies]


def table(page: Path, heading: str) -> list[list[str]]:
    """Return the body of the one table with this first line."""
    (body,) = tables(page, heading)
    return body


def anchors(page: Path) -> set[str]:
    """Return the names under which a page's headings are linked to."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def words(cell: str) -> list[str]:
    """Return what stands in backticks."""
    return _CODE.findall(cell)
