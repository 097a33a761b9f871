"""The connections of a picture: their labels, and how they are drawn."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from engine.nodes.node_type import NEXT
from engine.workflow.definition import Connection, WorkflowDefinition
from projections.graph import svg
from projections.graph.layout import Point, Route, Size
from projections.graph.taken import Exit
from projections.graph.text import LABEL, LABEL_TAKEN, Font, readable, text_width, wrapped

_LABEL_WIDTH_MAX: Final = 140.0
_ROOM: Final = Size(10.0, 16.0)
"""Pixels that a label needs besides its text, and its height."""
_HEAD_LENGTH: Final = 9.0
_HEAD_HALF: Final = 4.5


class Label(NamedTuple):
    """What stands at a connection.

    Attributes:
        text: May be empty.
        tooltip: All that is to be said about the connection.
        taken: How often the run took it.
    """

    text: str
    tooltip: str
    taken: int

    @property
    def size(self) -> Size | None:
        """The room it needs, or None for no text."""
        return Size(text_width(self.text, self.font) + _ROOM.width, _ROOM.height) if self.text else None

    @property
    def font(self) -> Font:
        """What it is written in."""
        return LABEL_TAKEN if self.taken else LABEL


def labels_of(definition: WorkflowDefinition, taken: Mapping[Exit, int]) -> list[Label]:
    """Return the labels of a definition's connections.

    The only connection of a node needs no name when it is the usual one.
    """
    outputs = Counter(connection.source for connection in definition.connections)
    return [
        _label(connection, outputs[connection.source], taken.get(Exit(connection.source, connection.output), 0))
        for connection in definition.connections
    ]


def _label(connection: Connection, outputs: int, taken: int) -> Label:
    output = readable(connection.output)
    words = [] if outputs == 1 and output == NEXT else wrapped(output, LABEL, _LABEL_WIDTH_MAX, 1)
    if taken > 1:
        words.append(f"\N{MULTIPLICATION SIGN}{taken}")
    tooltip = f"{readable(connection.source)}, output {output}, to {readable(connection.to)}"
    if taken:
        tooltip += f"\ntaken {taken} times" if taken > 1 else "\ntaken once"
    return Label(" ".join(words), tooltip, taken)


def draw_connection(parent: Element, route: Route, label: Label, origin: Point) -> None:
    """Add a connection, where the layout's upper left corner is at `origin`."""
    corners = [_moved(corner, origin) for corner in route.points]
    css = "connection" + (" back" if route.back else "") + (" taken" if label.taken else "")
    made = svg.group(parent, css, label.tooltip)
    svg.path(made, "line", svg.rounded(corners))
    svg.path(made, "head", svg.arrow_head(corners, _HEAD_LENGTH, _HEAD_HALF))
    if route.label is not None:
        middle = _moved(route.label, origin)
        svg.text(made, label.font.css, Point(middle.x, middle.y + 4), label.text, halo=True)


def _moved(point: Point, origin: Point) -> Point:
    return Point(point.x + origin.x, point.y + origin.y)
