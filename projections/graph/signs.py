"""The signs of the statuses: drawn, because not every font has them; a status is never told by its colour alone."""

from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from projections.graph import svg
from projections.graph.layout import Point

RADIUS: Final = 7.0
"""Pixels."""

_STROKES: Final[Mapping[str, list[list[tuple[float, float]]]]] = {
    "Success": [[(-3, 0.3), (-1, 2.6), (3.2, -2.4)]],
    "Failed": [[(-2.6, -2.6), (2.6, 2.6)], [(2.6, -2.6), (-2.6, 2.6)]],
    "Running": [[(-1.6, -3), (2.8, 0), (-1.6, 3), (-1.6, -3)]],
    "Suspended": [[(-1.8, -3), (-1.8, 3)], [(1.8, -3), (1.8, 3)]],
    "Cancelled": [[(-2.8, 2.8), (2.8, -2.8)]],
    "Created": [[(-0.1, 0), (0.1, 0)]],
}
"""The strokes of each mark, from the middle of its disc."""


def draw_sign(parent: Element, status: str, middle: Point) -> None:
    """Add the sign of a status: a disc with a mark."""
    disc = {"class": "disc", "cx": svg.number(middle.x), "cy": svg.number(middle.y), "r": svg.number(RADIUS)}
    SubElement(parent, "circle", disc)
    strokes = ([Point(middle.x + x, middle.y + y) for x, y in stroke] for stroke in _STROKES[status])
    svg.path(parent, "sign", "".join(map(svg.straight, strokes)))
