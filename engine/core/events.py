"""Events: facts about one run, as they stand in a commit on the log.

Plain JSON objects with a `type`; a reader may rely on the fields named here and must ignore fields it does not know.
Times are not in the events: all events of a commit happened at the commit's time. What an event's fields mean never
changes: an event that says something else gets another type, such as `trace.succeeded.v2`, and an upcaster from the one
before it (`engine.core.upcasters`).
"""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from engine.context.values import Change, WireObject


class Error(TypedDict):
    """Why a node or a run failed: `type` is a stable word or an exception's class, `node` the failed node's id."""

    type: str
    message: str
    node: str | None


class RunCreated(TypedDict):
    """The run exists, pinned to one version of its workflow, by the command with id `command`; `tags` if it has any."""

    type: Literal["run.created"]
    workflow: str
    version: str
    correlation: str
    traceparent: NotRequired[str]
    tags: NotRequired[list[str]]
    command: str


class RunStarted(TypedDict):
    """The run has its initial context; `next` is the start node."""

    type: Literal["run.started"]
    context: WireObject
    next: str
    command: str


class TraceStarted(TypedDict):
    """The run entered a node, or tries it again.

    `executor` is the process that does the work; absent for a node that needs none outside the core.
    """

    type: Literal["trace.started"]
    trace: int
    node: str
    node_type: str
    title: str
    attempt: int
    executor: NotRequired[str]


class TraceSucceeded(TypedDict):
    """The node is finished: what it changed, the output it left by, and the node that comes next (or none)."""

    type: Literal["trace.succeeded"]
    trace: int
    changes: list[Change]
    output: str | None
    next: str | None
    message: str


class TraceFailed(TypedDict):
    """The node failed."""

    type: Literal["trace.failed"]
    trace: int
    error: Error


class TraceCancelled(TypedDict):
    """The node was under way when the run was cancelled."""

    type: Literal["trace.cancelled"]
    trace: int


class RunSucceeded(TypedDict):
    """The run ended; `output` is its whole output context."""

    type: Literal["run.succeeded"]
    output: WireObject


class RunFailed(TypedDict):
    """The run ended with an error; `output` is its context at that moment."""

    type: Literal["run.failed"]
    error: Error
    output: WireObject


class RunCancelled(TypedDict):
    """The run was cancelled by the command with id `command`; `output` is its context at that moment."""

    type: Literal["run.cancelled"]
    reason: str
    output: WireObject
    command: str


class CommandRefused(TypedDict):
    """A command was refused because of the state this run is in."""

    type: Literal["command.refused"]
    command: str
    command_type: str
    offset: int
    code: str
    reason: str


Event = (
    RunCreated
    | RunStarted
    | RunSucceeded
    | RunFailed
    | RunCancelled
    | TraceStarted
    | TraceSucceeded
    | TraceFailed
    | TraceCancelled
    | CommandRefused
)
