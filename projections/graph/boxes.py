"""The boxes of a picture: what stands in the box of a node, and how much room it takes."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from engine.cli.text import duration
from engine.run import Trace
from engine.workflow.definition import NodeDefinition
from projections.graph import svg
from projections.graph.layout import CONNECTION_GAP, Point, Size
from projections.graph.lines import Line, draw_lines, fitted, height_of, width_of
from projections.graph.text import ERROR, MUTED, STATUS, TITLE, instant, readable, time_of_day

_WIDTH_MIN: Final = 120.0
_WIDTH_MAX: Final = 260.0
_LEFT: Final = 20.0
_RIGHT: Final = 14.0
_CORNERS: Final = 26.0
_CONNECTIONS: Final = 600.0
"""Pixels of the lower or upper side that are left to its corners, and at most to the connections there."""
_EDGE: Final = 10.0
"""Pixels above and below the text."""
_STRIPE: Final = 5.0
_LINES_MAX: Final = 2
"""Lines of a title or an error; the tooltip has all of it."""


class Box(NamedTuple):
    """The box of a node.

    Attributes:
        node: The node's id.
        css: Its classes.
        lines: What stands in it.
        size: The room it takes.
        round: Whether its ends are.
        tooltip: All that is to be said about the node.
    """

    node: str
    css: str
    lines: list[Line]
    size: Size
    round: bool
    tooltip: str


def node_box(node: NodeDefinition, entering: int, leaving: int, traces: Sequence[Trace] | None) -> Box:
    """Return the box of a node.

    Args:
        node: The node.
        entering: How many connections enter it.
        leaving: How many leave it.
        traces: Its executions in a run, in order; None outside a run.
    """
    outer = node.type in {"start", "end"}
    css = "outer" if outer else "choice" if leaving > 1 else "work"
    lines = [Line(TITLE, 18, readable(node.title))]
    if node.title.lower() != node.type.lower():
        lines.append(Line(MUTED, 16, readable(node.type)))
    told = [readable(node.title), f"node {readable(node.id)}, type {readable(node.type)}"]
    if traces:
        css = traces[-1].trace_status.value
        lines += _lines_of(traces)
        told += _told_of(traces)
    elif traces is not None:
        css = "idle"
        told.append("not executed")
    lines = fitted(lines, _WIDTH_MAX - _LEFT - _RIGHT, _LINES_MAX)
    width = min(max(_WIDTH_MIN, _LEFT + width_of(lines) + _RIGHT), _WIDTH_MAX)
    width = max(width, _CORNERS + min(max(entering, leaving) * CONNECTION_GAP, _CONNECTIONS))
    # An even number of whole pixels: a connection from the middle is sharp then.
    size = Size(2.0 * -(-width // 2), height_of(lines) + 2 * _EDGE)
    return Box(readable(node.id), f"node {css}", lines, size, outer, "\n".join(told))


def _lines_of(traces: Sequence[Trace]) -> list[Line]:
    last = traces[-1]
    status = last.trace_status.value
    time = f"since {time_of_day(last.started)}" if last.stopped is None else duration(last.started, last.stopped)
    lines = [Line(STATUS, 20, f"{status} {time}", status)]
    if more := _more(traces):
        lines.append(Line(MUTED, 16, ", ".join(more)))
    if last.error is not None:
        lines.append(Line(ERROR, 16, readable(f"{last.error.type}: {last.error.message}")))
    return lines


def _told_of(traces: Sequence[Trace]) -> list[str]:
    last = traces[-1]
    took = "" if last.stopped is None else f", took {duration(last.started, last.stopped)}"
    told = [f"{last.trace_status.value}, started {instant(last.started)}{took}", *_more(traces)]
    if last.error is not None:
        told.append(readable(f"{last.error.type}: {last.error.message}"))
    elif last.message:
        told.append(readable(last.message))
    return told


def _more(traces: Sequence[Trace]) -> list[str]:
    """Return what is out of the ordinary: more than one execution, or more than one attempt at the last one."""
    executions, attempt = len(traces), traces[-1].attempt
    return [
        *([f"{executions} executions"] if executions > 1 else []),
        *([f"attempt {attempt}"] if attempt > 1 else []),
    ]


def draw_box(parent: Element, box: Box, middle: Point) -> None:
    """Add the box of a node."""
    width, height = box.size
    corner = Point(middle.x - width / 2, middle.y - height / 2)
    made = svg.group(parent, box.css, box.tooltip, data=box.node)
    svg.box(made, "box", corner, box.size, min(height / 2, 20) if box.round else 8)
    stripe = Size(_STRIPE, height - 2 * _EDGE)
    svg.box(made, "stripe", Point(corner.x + 7, corner.y + _EDGE), stripe, _STRIPE / 2)
    draw_lines(made, box.lines, Point(corner.x + _LEFT, corner.y + _EDGE))
