"""What an accepted commit changed, one run or trace at a time: what progress services see and histories consist of."""

from collections.abc import Iterator
from typing import NamedTuple

from engine.core.events import Event
from engine.core.evolve import evolve
from engine.core.state import OpenTrace, RunState, TraceStatus
from engine.core.view import Accepted
from engine.run import Run, Trace, run_of, trace_of


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
        subject = _subject(event, before, after, value["time"])
        if subject is not None:
            yield Change(f"{accepted.id}.{index}", subject)
        before = after


def _subject(event: Event, before: RunState | None, after: RunState, time: str) -> Run | Trace | None:
    match event["type"]:
        case "trace.started":
            return trace_of(after.run_id, _find(after, event["trace"]), after.context)
        case "trace.succeeded":
            assert before is not None
            return trace_of(
                after.run_id,
                _find(before, event["trace"]),
                before.context,
                status=TraceStatus.SUCCESS,
                output=after.context,
                message=event["message"],
                stopped=time,
            )
        case "trace.failed":
            assert before is not None
            return trace_of(
                after.run_id,
                _find(before, event["trace"]),
                before.context,
                status=TraceStatus.FAILED,
                error=event["error"],
                stopped=time,
            )
        case "trace.cancelled":
            assert before is not None
            return trace_of(
                after.run_id,
                _find(before, event["trace"]),
                before.context,
                status=TraceStatus.CANCELLED,
                stopped=time,
            )
        case "command.refused":
            return None
        case _:
            return run_of(after)


def _find(state: RunState, number: int) -> OpenTrace:
    return next(trace for trace in state.open if trace.number == number)
