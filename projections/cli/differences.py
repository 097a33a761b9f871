"""What differs between two contexts, for people and as JSON."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import orjson
from rich.table import Table
from rich.text import Text

from engine.cli.context_text import context_text
from engine.cli.text import one_line
from engine.context.changes import difference
from engine.context.paths import find, render
from engine.context.values import MISSING, Missing, Wire, WireObject

_VALUE_CHARACTERS: Final = 200
_COLUMNS: Final = 1_000_000
"""So many that a value stands in one line."""
_STYLES: Final = {"added": "green", "changed": "yellow", "removed": "red"}


class Difference(NamedTuple):
    """One place where two contexts differ.

    Attributes:
        kind: Whether something stands there only afterwards, something else, or only before.
        path: The place; empty for the whole context.
        old: What stood there, or `MISSING`.
        new: What stands there, or `MISSING`.
    """

    kind: Literal["added", "changed", "removed"]
    path: str
    old: Wire | Missing
    new: Wire | Missing

    @property
    def data(self) -> dict[str, object]:
        """The same as JSON data; null where nothing stands."""
        return {
            "change": self.kind,
            "path": self.path,
            "old": None if self.old is MISSING else self.old,
            "new": None if self.new is MISSING else self.new,
        }


def differences(before: WireObject, after: WireObject) -> list[Difference]:
    """Return where two contexts differ, in the order of the paths."""
    found: list[Difference] = []
    for change in difference(before, after):
        path = render(change["path"])
        old = find(before, change["path"]) if change["path"] else before
        if change["op"] == "remove":
            found.append(Difference("removed", path, old, MISSING))
        else:
            found.append(Difference("added" if old is MISSING else "changed", path, old, change["value"]))
    return sorted(found, key=lambda each: each.path)


def draw(found: Sequence[Difference]) -> Table:
    """Return differences as a table, the values as people read them."""
    table = Table(box=None, pad_edge=False)
    table.add_column("change", no_wrap=True)
    table.add_column("path", overflow="fold")
    table.add_column("old", overflow="fold")
    table.add_column("new", overflow="fold")
    for each in found:
        table.add_row(
            Text(each.kind, style=_STYLES[each.kind]),
            Text(one_line(each.path) or "(all of it)"),
            Text(_shown(each.old)),
            Text(_shown(each.new)),
        )
    return table


def _shown(value: Wire | Missing) -> str:
    if value is MISSING:
        return ""
    return one_line(context_text(orjson.dumps(value).decode(), _COLUMNS), _VALUE_CHARACTERS)
