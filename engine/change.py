"""What an accepted commit changed, one run or trace at a time: what progress services see and histories consist of."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from engine.context.values import WireObject
from engine.core.events import Error, Event
from engine.core.evolve import evolve
from engine.core.state import OpenTrace, RunState, TraceStatus
from engine.core.view import Accepted
from engine.run import Run, Trace, run_of, trace_of

RUN_TYPES: Final = ("run.created", "run.started", "run.succeeded", "run.failed", "run.cancelled")
"""The types of events that change a run."""
TRACE_TYPES: Final = ("trace.started", "trace.succeeded", "trace.failed", "trace.cancelled")
"""The types of events that change a trace."""


class Change(NamedTuple):
    """One change of a run or of one of its traces.

    Attributes:
        event_id: `<commit id>.<index>`, the same whenever and wherever the change is seen.
        subject: The run or trace after the change.
    """

    event_id: str
    subject: Run | Trace


def changes_of(accepted: Accepted) -> Iterator[Change]:
    """Yield the changes of a commit, in order."""
    value = accepted.value
    before = accepted.before
    for index, event in enumerate(value["events"]):
        after = evolve(before, (event,), value["run"], value["time"])
        after.head = accepted.id
        subject = _subject(event, before, after, value["time"])
        if subject is not None:
            yield Change(f"{accepted.id}.{index}", subject)
        before = after


def _subject(event: Event, before: RunState | None, after: RunState, time: str) -> Run | Trace | None:
    match event["type"]:
        case "trace.started":
            return trace_of(after.run_id, _find(after, event["trace"]), after.context, after.head)
        case "trace.succeeded":
            output, message = after.context, event["message"]
            return _ended(before, after.head, event["trace"], TraceStatus.SUCCESS, time, output=output, message=message)
        case "trace.failed":
            return _ended(before, after.head, event["trace"], TraceStatus.FAILED, time, error=event["error"])
        case "trace.cancelled":
            return _ended(before, after.head, event["trace"], TraceStatus.CANCELLED, time)
        case "command.refused":
            return None
        case _:
            return run_of(after)


def _ended(
    before: RunState | None,
    commit_id: str,
    number: int,
    status: TraceStatus,
    time: str,
    *,
    output: WireObject | None = None,
    error: Error | None = None,
    message: str = "",
) -> Trace:
    assert before is not None, "a trace ends in a run that has begun"
    trace = _find(before, number)
    return trace_of(
        before.run_id,
        trace,
        before.context,
        commit_id,
        status=status,
        output=output,
        error=error,
        message=message,
        stopped=time,
    )


def _find(state: RunState, number: int) -> OpenTrace:
    return next(trace for trace in state.open if trace.number == number)
