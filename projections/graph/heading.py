"""The heading of a picture: which workflow and which run it shows, and how the run stands."""

from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element

from engine.cli.text import duration
from engine.run import Run
from engine.workflow.definition import WorkflowDefinition
from projections.graph import svg
from projections.graph.layout import Point
from projections.graph.lines import Line, draw_lines, fitted
from projections.graph.text import ERROR, HEADING, MUTED, STATUS, instant, readable

_VERSION_CHARACTERS: Final = 12
"""Enough of a version's 64 digits to tell it from others."""
_LINES_MAX: Final = 2


def workflow_heading(definition: WorkflowDefinition) -> list[Line]:
    """Return the heading of a workflow."""
    return [
        Line(HEADING, 22, readable(definition.name)),
        Line(MUTED, 20, readable(f"{definition.id}, version {definition.version[:_VERSION_CHARACTERS]}")),
    ]


def run_heading(run: Run) -> list[Line]:
    """Return what the heading says about a run."""
    status = run.run_status.value
    if run.started is None:
        words = f"{status} {instant(run.created)}"
    elif run.stopped is None:
        words = f"{status} since {instant(run.started)}"
    else:
        words = f"{status} after {duration(run.started, run.stopped)}, started {instant(run.started)}"
    lines = [Line(MUTED, 16, f"run {readable(run.run_id)}")]
    if run.tags:
        lines.append(Line(MUTED, 16, readable(f"tags {', '.join(run.tags)}")))
    lines.append(Line(STATUS, 22, words, status))
    if run.error is not None:
        lines.append(Line(ERROR, 17, readable(str(run.error))))
    return lines


def fit_heading(lines: Sequence[Line], width: float) -> list[Line]:
    """Return a heading that fits into a width."""
    return fitted(lines, width, _LINES_MAX)


def draw_heading(parent: Element, lines: Sequence[Line], corner: Point, status: str) -> None:
    """Add a heading; the status is the run's, or an empty text."""
    draw_lines(svg.group(parent, f"head-lines {status}".rstrip()), lines, corner)
