"""Elements of an SVG document; what users named is only ever text or the value of an attribute."""

from collections.abc import Sequence
from math import hypot
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from projections.graph.layout import Point, Size

_CORNER: Final = 8.0
"""Pixels of a connection's rounded corners."""
_NAMESPACE: Final = "http://www.w3.org/2000/svg"


def document(size: Size, css: str, label: str, style: str) -> Element:
    """Return an empty drawing.

    Args:
        size: Its own.
        css: Its class.
        label: What it shows, for who cannot see it.
        style: Its style sheet.
    """
    root = Element(
        "svg",
        {
            "xmlns": _NAMESPACE,
            "class": css,
            "width": number(size.width),
            "height": number(size.height),
            "viewBox": f"0 0 {number(size.width)} {number(size.height)}",
            "role": "graphics-document document",
            "aria-label": label,
        },
    )
    SubElement(root, "title").text = label
    SubElement(root, "style").text = style
    SubElement(root, "rect", {"class": "paper", "width": "100%", "height": "100%"})
    return root


def written(root: Element) -> str:
    """Return a document as text: ASCII, so that no encoding on its way can spoil it, and with a line for each group."""
    for child in root:
        child.tail = "\n"
    root.text = "\n"
    made: bytes = tostring(root, encoding="us-ascii", xml_declaration=False)
    return f"{made.decode('ascii')}\n"


def group(parent: Element, css: str, tooltip: str = "", *, data: str = "") -> Element:
    """Add a group of elements.

    Args:
        parent: What it is added to.
        css: Its classes.
        tooltip: What a pointer that rests on it, or a screen reader, is told; then it counts as one thing.
        data: The id of the node that it shows, for programs.
    """
    made = SubElement(parent, "g", {"class": css})
    if data:
        made.set("data-node", data)
    if tooltip:
        made.set("role", "graphics-symbol img")
        made.set("aria-label", tooltip)
        SubElement(made, "title").text = tooltip
    return made


def box(parent: Element, css: str, corner: Point, size: Size, radius: float) -> None:
    """Add a rectangle with round corners."""
    attributes = {
        "class": css,
        "x": number(corner.x),
        "y": number(corner.y),
        "width": number(size.width),
        "height": number(size.height),
        "rx": number(radius),
    }
    SubElement(parent, "rect", attributes)


def text(parent: Element, css: str, place: Point, words: str, *, halo: bool = False) -> None:
    """Add a line of text.

    Args:
        parent: What it is added to.
        css: Its classes.
        place: Where its base line begins, or its middle where the class says so.
        words: What it says.
        halo: Whether what is below it is covered around the letters.
    """
    attributes = {"class": css, "x": number(place.x), "y": number(place.y)}
    if halo:
        # A second text, not the order in which one is painted: many programs do not know that.
        behind = {**attributes, "class": f"{css} halo", "aria-hidden": "true"}
        SubElement(parent, "text", behind).text = words
    SubElement(parent, "text", attributes).text = words


def path(parent: Element, css: str, shape: str) -> None:
    """Add a path."""
    SubElement(parent, "path", {"class": css, "d": shape})


def straight(corners: Sequence[Point]) -> str:
    """Return a path along corners."""
    return f"M{'L'.join(map(_pair, corners))}"


def rounded(corners: Sequence[Point]) -> str:
    """Return a path along corners, which are rounded."""
    parts = [f"M{_pair(corners[0])}"]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        radius = min(_CORNER, _distance(before, corner) / 2, _distance(corner, after) / 2)
        parts.append(f"L{_pair(_towards(corner, before, radius))}")
        parts.append(f"Q{_pair(corner)} {_pair(_towards(corner, after, radius))}")
    parts.append(f"L{_pair(corners[-1])}")
    return "".join(parts)


def arrow_head(corners: Sequence[Point], length: float, half: float) -> str:
    """Return the head of an arrow along corners, which ends at the last one."""
    tip = corners[-1]
    before = next((corner for corner in reversed(corners) if corner != tip), Point(tip.x, tip.y - 1))
    foot = _towards(tip, before, length)
    across = Point((tip.y - foot.y) / length * half, (foot.x - tip.x) / length * half)
    left, right = (Point(foot.x + sign * across.x, foot.y + sign * across.y) for sign in (1, -1))
    return f"{straight((tip, left, right))}Z"


def number(value: float) -> str:
    """Return a number of pixels, to the tenth."""
    # Adding zero takes the sign from a zero.
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def _pair(point: Point) -> str:
    return f"{number(point.x)} {number(point.y)}"


def _distance(one: Point, other: Point) -> float:
    return hypot(one.x - other.x, one.y - other.y)


def _towards(start: Point, end: Point, pixels: float) -> Point:
    share = pixels / max(_distance(start, end), 1e-9)
    return Point(start.x + (end.x - start.x) * share, start.y + (end.y - start.y) * share)
