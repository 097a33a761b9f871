"""Drawing workflows and runs. Pure: the same input gives the same bytes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from engine.run import Run, Trace
from engine.workflow.definition import WorkflowDefinition
from projections.graph import svg
from projections.graph.boxes import Box, draw_box, node_box
from projections.graph.connections import Label, draw_connection, labels_of
from projections.graph.errors import GraphError
from projections.graph.heading import draw_heading, fit_heading, run_heading, workflow_heading
from projections.graph.layout import Arrow, Layout, Point, Size, lay_out
from projections.graph.lines import Line, height_of
from projections.graph.style import SCOPE, style_sheet
from projections.graph.taken import Exit
from projections.graph.text import readable

_MARGIN: Final = 28.0
_HEADING_WIDTH_MIN: Final = 460.0
"""Pixels that the heading has even above a narrow graph."""
_HEADING_GAP: Final = 22.0


def draw_workflow(definition: WorkflowDefinition) -> str:
    """Return a workflow as an SVG document, in ASCII.

    Raises:
        GraphError: The layout library is not installed, or the connections are too tangled.
    """
    boxes = _boxes(definition, None)
    title = f"Workflow {readable(definition.name)}"
    return _draw(definition, boxes, labels_of(definition, {}), workflow_heading(definition), title)


def draw_run(
    definition: WorkflowDefinition, run: Run, traces: Sequence[Trace], taken: Mapping[Exit, int] | None = None
) -> str:
    """Return a run as an SVG document, in ASCII: its workflow, and on the nodes and connections what happened.

    Args:
        definition: The version of the workflow that the run is pinned to.
        run: The run.
        traces: Its traces.
        taken: How often each connection was taken, see `taken_in`; unless given, none is marked.

    Raises:
        GraphError: The definition is not the run's, the layout library is not installed, or the connections are too
            tangled.
    """
    if definition.version != run.workflow_version:
        raise GraphError(
            f"Expected version {run.workflow_version} of workflow {run.workflow_id}, which run {run.run_id} is pinned "
            f"to, but found version {definition.version} of {definition.id}."
        )
    executions: dict[str, list[Trace]] = {}
    for trace in sorted(traces, key=_number):
        executions.setdefault(trace.node_id, []).append(trace)
    status = run.run_status.value
    heading = [*workflow_heading(definition), *run_heading(run)]
    title = f"Run {readable(run.run_id)} of workflow {readable(definition.name)}: {status}"
    labels = labels_of(definition, taken or {})
    return _draw(definition, _boxes(definition, executions), labels, heading, title, status=status)


def _number(trace: Trace) -> int:
    return trace.number


def _boxes(definition: WorkflowDefinition, executions: Mapping[str, Sequence[Trace]] | None) -> list[Box]:
    entering = Counter(connection.to for connection in definition.connections)
    leaving = Counter(connection.source for connection in definition.connections)
    return [
        node_box(node, entering[node.id], leaving[node.id], None if executions is None else executions.get(node.id, ()))
        for node in definition.nodes
    ]


def _draw(
    definition: WorkflowDefinition,
    boxes: Sequence[Box],
    labels: Sequence[Label],
    heading: Sequence[Line],
    title: str,
    *,
    status: str = "",
) -> str:
    layout = _lay_out(definition, boxes, labels)
    width = max(layout.size.width, _HEADING_WIDTH_MIN)
    heading = fit_heading(heading, width)
    top = _MARGIN + height_of(heading) + _HEADING_GAP
    size = Size(width + 2 * _MARGIN, top + layout.size.height + _MARGIN)
    root = svg.document(size, SCOPE, title, style_sheet())
    draw_heading(root, heading, Point(_MARGIN, _MARGIN), status)
    origin = Point(_MARGIN + (width - layout.size.width) / 2, top)
    drawn = zip(layout.routes, labels, strict=True)
    # What was taken is drawn on top of what was not.
    for route, label in sorted(drawn, key=lambda each: each[1].taken > 0):
        draw_connection(root, route, label, origin)
    for box, middle in zip(boxes, layout.nodes, strict=True):
        draw_box(root, box, Point(middle.x + origin.x, middle.y + origin.y))
    return svg.written(root)


def _lay_out(definition: WorkflowDefinition, boxes: Sequence[Box], labels: Sequence[Label]) -> Layout:
    numbers = {node.id: number for number, node in enumerate(definition.nodes)}
    arrows = [
        Arrow(numbers[connection.source], numbers[connection.to], label.size)
        for connection, label in zip(definition.connections, labels, strict=True)
    ]
    return lay_out([box.size for box in boxes], arrows)
