"""Runs and traces as callers and progress services see them: immutable snapshots made from the folded state."""

from dataclasses import dataclass
from datetime import datetime

import orjson

from engine.context.values import WireObject
from engine.core.events import Error
from engine.core.identity import trace_id
from engine.core.state import OpenTrace, RunState, RunStatus, TraceStatus


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run or a trace failed.

    Attributes:
        type: The exception's class, or a stable word of the engine such as `node_execution_limit`.
        message: What happened.
        node_id: The failed node, if one failed.
    """

    type: str
    message: str
    node_id: str | None

    def __str__(self) -> str:
        """Return the error as one line."""
        place = "" if self.node_id is None else f" in node {self.node_id}"
        return f"{self.type}{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of one workflow version, as it stood after one change.

    Attributes:
        run_id: A UUID of version 7.
        workflow_id: The workflow's id.
        workflow_version: The version it is pinned to: the hash of the definition's canonical JSON.
        tags: What it is found by.
        run_status: Where it stands.
        message: The same for people.
        error: Why it failed, or None.
        input_context: The initial context as JSON text, or None before the start; see `ContextObject.deserialize`.
        output_context: The output context as JSON text once the run has ended, also when it failed; None before.
        created: UTC.
        started: UTC, or None.
        stopped: UTC, or None.
        commit_id: The id of the commit that changed it last: whoever has seen that one, has seen this.
    """

    run_id: str
    workflow_id: str
    workflow_version: str
    tags: tuple[str, ...]
    run_status: RunStatus
    message: str
    error: RunError | None
    input_context: str | None
    output_context: str | None
    created: datetime
    started: datetime | None
    stopped: datetime | None
    commit_id: str


@dataclass(frozen=True, slots=True)
class Trace:
    """One execution of one node within a run, as it stood after one change.

    Attributes:
        trace_id: The run's id and the trace's number in it.
        run_id: The run.
        number: From 1, in the order in which the run entered its nodes.
        node_id: The node.
        node_type: Its type.
        title: Its title at that time.
        attempt: From 1; a higher one was started after an executor was lost.
        trace_status: Where it stands.
        message: A few words of the node for people.
        error: Why it failed, or None.
        input_context: The context the node got, as JSON text.
        output_context: The context it left, as JSON text; None while it runs or when it failed.
        started: UTC, of the first attempt.
        stopped: UTC, or None.
        commit_id: The id of the commit that changed it last: whoever has seen that one, has seen this.
    """

    trace_id: str
    run_id: str
    number: int
    node_id: str
    node_type: str
    title: str
    attempt: int
    trace_status: TraceStatus
    message: str
    error: RunError | None
    input_context: str
    output_context: str | None
    started: datetime
    stopped: datetime | None
    commit_id: str


def run_of(state: RunState) -> Run:
    """Return the run that a state shows."""
    return Run(
        run_id=state.run_id,
        workflow_id=state.workflow,
        workflow_version=state.version,
        tags=state.tags,
        run_status=state.status,
        message=message_of(state),
        error=error_of(state.error),
        input_context=None if state.input is None else _text(state.input),
        output_context=None if state.output is None else _text(state.output),
        created=datetime.fromisoformat(state.created),
        started=None if state.started is None else datetime.fromisoformat(state.started),
        stopped=None if state.stopped is None else datetime.fromisoformat(state.stopped),
        commit_id=state.head,
    )


def trace_of(
    run_id: str,
    trace: OpenTrace,
    context: WireObject,
    commit_id: str,
    *,
    status: TraceStatus = TraceStatus.RUNNING,
    output: WireObject | None = None,
    error: Error | None = None,
    message: str = "",
    stopped: str | None = None,
) -> Trace:
    """Return the trace that an open trace, the context it got, its last commit, and how it ended show."""
    return Trace(
        trace_id=trace_id(run_id, trace.number),
        run_id=run_id,
        number=trace.number,
        node_id=trace.node,
        node_type=trace.node_type,
        title=trace.title,
        attempt=trace.attempt,
        trace_status=status,
        message=message,
        error=error_of(error),
        input_context=_text(context),
        output_context=None if output is None else _text(output),
        started=datetime.fromisoformat(trace.started),
        stopped=None if stopped is None else datetime.fromisoformat(stopped),
        commit_id=commit_id,
    )


def error_of(error: Error | None) -> RunError | None:
    """Return an error of the log as callers see it."""
    return None if error is None else RunError(error["type"], error["message"], error["node"])


def message_of(state: RunState) -> str:
    """Return where a run stands, for people."""
    if state.error is not None:
        return f"failed: {state.error['message']}"
    if state.reason:
        return f"cancelled: {state.reason}"
    if state.open:
        return "running " + ", ".join(trace.title for trace in state.open)
    return state.status.value.lower()


def _text(context: WireObject) -> str:
    return orjson.dumps(context).decode()
