"""The state of a run: an immutable value, changed only by `evolve`, small enough to keep thousands in memory."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from engine.context.values import WireObject
from engine.core.events import Error

GENESIS = "genesis"
"""The head of a run that the log does not know yet."""


class RunStatus(StrEnum):
    """Where a run stands."""

    CREATED = "Created"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    SUCCESS = "Success"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing comes after this status."""
        return self in TERMINAL


TERMINAL = frozenset({RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.CANCELLED})


class TraceStatus(StrEnum):
    """Where a trace stands."""

    RUNNING = "Running"
    SUSPENDED = "Suspended"
    SUCCESS = "Success"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class OpenTrace(NamedTuple):
    """A node under way. Its input is the run's context, which only its own end changes.

    Attributes:
        number: The trace's number in its run, from 1.
        node: The node's id.
        node_type: The node's type.
        title: The node's title at that time.
        attempt: From 1; a takeover starts the next one.
        executor: The process that works on it.
        started: RFC 3339 time of the first attempt's commit.
    """

    number: int
    node: str
    node_type: str
    title: str
    attempt: int
    executor: str
    started: str


@dataclass(slots=True)
class RunState:
    """All that deciding about a run needs, and all that a `Run` shows.

    A value: nobody changes a state that somebody else may hold. `evolve` changes its own copy.

    Attributes:
        run_id: The run's id.
        workflow: The workflow's id.
        version: The workflow version the run is pinned to.
        status: Where the run stands.
        created: RFC 3339 time.
        started: RFC 3339 time, or None.
        stopped: RFC 3339 time, or None.
        correlation: The correlation id, the run's own unless a command gave another.
        traceparent: The W3C trace context of the command that created the run, or an empty text.
        tags: What the run is found by, in the order of the command that created it.
        input: The initial context as it was given, or None before the start.
        context: The context now; shared with `input` until a node changes it.
        output: The output context of an ended run.
        error: Why the run failed.
        reason: Why the run was cancelled, or an empty text.
        ready: The node to enter next, or None.
        open: The nodes under way.
        traces: How many traces the run has had.
        head: The id of the run's last accepted commit.
        decided: The highest `commands` offset decided about this run, -1 before any.
    """

    run_id: str
    workflow: str
    version: str
    status: RunStatus
    created: str
    started: str | None
    stopped: str | None
    correlation: str
    traceparent: str
    tags: tuple[str, ...]
    input: WireObject | None
    context: WireObject
    output: WireObject | None
    error: Error | None
    reason: str
    ready: str | None
    open: tuple[OpenTrace, ...]
    traces: int
    head: str
    decided: int

    def copy(self) -> "RunState":
        """Return a state with the same contents, which are shared: they are immutable."""
        # Written out because it is on the path of every decision; half the time of a general copy.
        copy = _new(RunState)
        copy.run_id = self.run_id
        copy.workflow = self.workflow
        copy.version = self.version
        copy.status = self.status
        copy.created = self.created
        copy.started = self.started
        copy.stopped = self.stopped
        copy.correlation = self.correlation
        copy.traceparent = self.traceparent
        copy.tags = self.tags
        copy.input = self.input
        copy.context = self.context
        copy.output = self.output
        copy.error = self.error
        copy.reason = self.reason
        copy.ready = self.ready
        copy.open = self.open
        copy.traces = self.traces
        copy.head = self.head
        copy.decided = self.decided
        return copy


_new = RunState.__new__
