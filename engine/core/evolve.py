"""Evolve: the only place where state changes, live and in replay."""

from engine.context.changes import apply
from engine.core.events import Event, TraceStarted
from engine.core.state import OpenTrace, RunState, RunStatus
from engine.errors import RunlineError


class UnknownEventError(RunlineError):
    """The log holds an event this version does not know: it was written by a newer one."""

    code = "event_unknown"


def evolve(  # noqa: C901 - one case for each event type
    state: RunState | None, event: Event, run_id: str, time: str
) -> RunState:
    """Return the state after an event that happened at `time` (RFC 3339).

    Raises:
        UnknownEventError: The event's type is from a newer version; going on would fold to something else.
    """
    if state is None:
        if event["type"] != "run.created":
            raise UnknownEventError(f"expected run {run_id} to begin with run.created, but found {event['type']}")
        return RunState(
            run_id=run_id,
            workflow=event["workflow"],
            version=event["version"],
            status=RunStatus.CREATED,
            created=time,
            started=None,
            stopped=None,
            correlation=event["correlation"],
            traceparent=event.get("traceparent", ""),
            input=None,
            context={},
            output=None,
            error=None,
            ready=None,
            open=(),
            traces=0,
            head="",
            decided=-1,
        )
    match event["type"]:
        case "trace.started":
            return _trace_started(state, event, time)
        case "trace.succeeded":
            changes = event["changes"]
            return state._replace(
                open=_without(state.open, event["trace"]),
                context=apply(state.context, changes) if changes else state.context,
                ready=event["next"],
            )
        case "trace.failed" | "trace.cancelled":
            return state._replace(open=_without(state.open, event["trace"]))
        case "run.started":
            return state._replace(
                status=RunStatus.RUNNING,
                started=time,
                input=event["context"],
                context=event["context"],
                ready=event["next"],
            )
        case "run.succeeded":
            return state._replace(status=RunStatus.SUCCESS, stopped=time, output=event["output"], ready=None)
        case "run.failed":
            return state._replace(
                status=RunStatus.FAILED, stopped=time, output=event["output"], error=event["error"], ready=None
            )
        case "run.cancelled":
            return state._replace(status=RunStatus.CANCELLED, stopped=time, output=event["output"], ready=None)
        case "command.refused":
            return state
        case "run.created":
            raise UnknownEventError(f"expected run {run_id} to be created once, but found a second run.created")
        case unknown:
            raise _unknown(unknown)


def _trace_started(state: RunState, event: TraceStarted, time: str) -> RunState:
    number, attempt = event["trace"], event["attempt"]
    executor = event.get("executor", "")
    if attempt == 1:
        trace = OpenTrace(number, event["node"], event["node_type"], event["title"], 1, executor, time)
        return state._replace(ready=None, open=(*state.open, trace), traces=number)
    return state._replace(
        open=tuple(
            trace._replace(attempt=attempt, executor=executor) if trace.number == number else trace
            for trace in state.open
        )
    )


def _without(traces: tuple[OpenTrace, ...], number: int) -> tuple[OpenTrace, ...]:
    return tuple(trace for trace in traces if trace.number != number)


def _unknown(name: object) -> UnknownEventError:
    return UnknownEventError(
        f"expected an event that this version knows, but found {name!r}.",
        hint="The log was written by a newer version of Runline: use that one.",
    )
