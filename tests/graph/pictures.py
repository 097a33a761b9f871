"""Workflows, runs and traces to draw, and pictures taken apart."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from engine import WorkflowDefinition
from engine.core.state import RunStatus, TraceStatus
from engine.run import Run, RunError, Trace

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN_ID = "01900000-0000-7000-8000-000000000000"
SVG = "{http://www.w3.org/2000/svg}"


def workflow(
    nodes: dict[str, str], *connections: tuple[str, str, str], titles: dict[str, str] | None = None
) -> WorkflowDefinition:
    """Return a workflow.

    Args:
        nodes: The type of each node.
        connections: From, output, to.
        titles: Of nodes whose title is not their id.
    """
    return WorkflowDefinition.model_validate(
        {
            "id": "w",
            "name": "A workflow",
            "nodes": [
                {"id": node, "type": type_, "title": (titles or {}).get(node, node)} for node, type_ in nodes.items()
            ],
            "connections": [{"from": source, "output": output, "to": to} for source, output, to in connections],
        }
    )


LOOP = workflow(
    {"start": "start", "try": "code", "ask": "switch", "end": "end", "never": "end"},
    ("start", "next", "try"),
    ("try", "next", "ask"),
    ("ask", "again", "try"),
    ("ask", "done", "end"),
    ("ask", "other", "never"),
)
"""A loop by a back edge, and an end that is not reached by every run."""


def run_of(definition: WorkflowDefinition, status: RunStatus = RunStatus.RUNNING, **changes: object) -> Run:
    """Return a run of a workflow."""
    made = Run(
        run_id=RUN_ID, workflow_id=definition.id, workflow_version=definition.version, run_status=status, tags=(),
        message="", error=None, input_context="{}", output_context=None, created=BEGIN, started=BEGIN,
        stopped=BEGIN + timedelta(seconds=5) if status.terminal else None, commit_id="c",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]  # the fields of a run


def trace(number: int, node: str, seconds: float | None = 1, **changes: object) -> Trace:
    """Return a trace of a node that began so many seconds after the run as its number says."""
    started = BEGIN + timedelta(seconds=number)
    made = Trace(
        trace_id=f"{RUN_ID}.{number}", run_id=RUN_ID, number=number, node_id=node, node_type="code", title=node,
        attempt=1, message="", error=None, input_context="{}", output_context=None,
        trace_status=TraceStatus.RUNNING if seconds is None else TraceStatus.SUCCESS,
        started=started, stopped=None if seconds is None else started + timedelta(seconds=seconds), commit_id="c",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]  # the fields of a trace


def failed(number: int, node: str, message: str) -> Trace:
    """Return a trace that failed."""
    return trace(number, node, trace_status=TraceStatus.FAILED, error=RunError("ValueError", message, node))


class Picture:
    """An SVG document, which must be one.

    Attributes:
        root: Its element.
    """

    def __init__(self, svg: str) -> None:
        self.root = ET.fromstring(svg)  # noqa: S314 - our own

    def node(self, node_id: str) -> ET.Element:
        """Return the group of a node."""
        (found,) = [group for group in self.root.iter(f"{SVG}g") if group.get("data-node") == node_id]
        return found

    @property
    def connections(self) -> list[ET.Element]:
        """The groups of the connections."""
        return [group for group in self.root.iter(f"{SVG}g") if "connection" in classes(group)]

    def connection(self, source: str, output: str) -> ET.Element:
        """Return the group of a connection."""
        (found,) = [each for each in self.connections if tooltip(each).startswith(f"{source}, output {output},")]
        return found

    def group(self, css: str) -> ET.Element:
        """Return the one group of a class."""
        (found,) = [group for group in self.root.iter(f"{SVG}g") if css in classes(group)]
        return found

    def heading(self) -> list[str]:
        """Return the lines of the heading."""
        return texts(self.group("head-lines"))


def texts(element: ET.Element) -> list[str]:
    """Return the texts that are shown in an element."""
    return [each.text or "" for each in element.iter(f"{SVG}text") if each.get("aria-hidden") is None]


def classes(element: ET.Element) -> Sequence[str]:
    """Return an element's classes."""
    return (element.get("class") or "").split()


def tooltip(element: ET.Element) -> str:
    """Return an element's tooltip."""
    return element.findtext(f"{SVG}title") or ""


def rectangle(node: ET.Element) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a node's box."""
    (found,) = [each for each in node.iter(f"{SVG}rect") if "box" in classes(each)]
    left, top, width, height = (float(found.get(name, "")) for name in ("x", "y", "width", "height"))
    return left, top, left + width, top + height
