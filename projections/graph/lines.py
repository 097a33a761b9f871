"""Lines of text in a picture, below each other."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from projections.graph import svg
from projections.graph.layout import Point
from projections.graph.signs import RADIUS, draw_sign
from projections.graph.text import Font, text_width, wrapped

_SIGN: Final = 2 * RADIUS + 6


class Line(NamedTuple):
    """A line of text.

    Attributes:
        font: Its font.
        height: Pixels from the line above.
        text: What it says.
        status: The status whose sign stands in front, or an empty text.
    """

    font: Font
    height: float
    text: str
    status: str = ""


def height_of(lines: Sequence[Line]) -> float:
    """Return the pixels that lines take from top to bottom."""
    return sum(line.height for line in lines)


def width_of(lines: Sequence[Line]) -> float:
    """Return the pixels that lines probably take from left to right."""
    return max(text_width(line.text, line.font) + _indent(line) for line in lines)


def fitted(lines: Sequence[Line], width: float, lines_max: int) -> list[Line]:
    """Return lines that fit into a width, each cut into at most so many."""
    made: list[Line] = []
    for line in lines:
        first, *more = wrapped(line.text, line.font, width - _indent(line), lines_max)
        made += [line._replace(text=first), *(line._replace(text=text, status="") for text in more)]
    return made


def _indent(line: Line) -> float:
    return _SIGN if line.status else 0.0


def draw_lines(parent: Element, lines: Sequence[Line], corner: Point) -> None:
    """Add lines whose upper left corner is there."""
    base = corner.y - 4
    for line in lines:
        base += line.height
        left = corner.x
        if line.status:
            draw_sign(parent, line.status, Point(left + RADIUS, base - 4))
            left += _SIGN
        svg.text(parent, line.font.css, Point(left, base), line.text)
