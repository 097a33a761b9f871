"""Evolve: the only place where state changes, live and in replay."""

from collections.abc import Iterable

from engine.context.changes import apply
from engine.core.events import Event, RunCreated, TraceStarted
from engine.core.state import OpenTrace, RunState, RunStatus
from engine.errors import RunlineError


class UnknownEventError(RunlineError):
    """The log holds an event this version does not know: it was written by a newer one."""

    code = "event_unknown"


class MisplacedEventError(RunlineError):
    """An event stands where no executor would have put it."""

    code = "event_misplaced"


def evolve(state: RunState | None, events: Iterable[Event], run_id: str, time: str) -> RunState:
    """Return the state after events that happened at `time` (RFC 3339), at least one; the given state stays as it is.

    Raises:
        UnknownEventError: An event's type is from a newer version; going on would fold to something else.
        MisplacedEventError: The run was not created before, or is created twice.
    """
    changing = None if state is None else state.copy()
    for event in events:
        changing = step(changing, event, run_id, time)
    assert changing is not None
    return changing


def step(state: RunState | None, event: Event, run_id: str, time: str) -> RunState:  # noqa: C901, PLR0912 - cases
    """Change a state that only the caller holds by one event, and return it.

    Raises:
        UnknownEventError: The event's type is from a newer version.
        MisplacedEventError: The run was not created before, or is created twice.
    """
    if state is None:
        if event["type"] != "run.created":
            raise MisplacedEventError(f"expected run {run_id} to begin with run.created, but found {event['type']}")
        return _created(event, run_id, time)
    match event["type"]:
        case "trace.started":
            _trace_started(state, event, time)
        case "trace.succeeded":
            state.open = _without(state.open, event["trace"])
            if event["changes"]:
                state.context = apply(state.context, event["changes"])
            state.ready = event["next"]
        case "trace.failed" | "trace.cancelled":
            state.open = _without(state.open, event["trace"])
        case "run.started":
            state.status = RunStatus.RUNNING
            state.started = time
            state.input = state.context = event["context"]
            state.ready = event["next"]
        case "run.succeeded":
            _stopped(state, RunStatus.SUCCESS, time)
            state.output = event["output"]
        case "run.failed":
            _stopped(state, RunStatus.FAILED, time)
            state.output = event["output"]
            state.error = event["error"]
        case "run.cancelled":
            _stopped(state, RunStatus.CANCELLED, time)
            state.output = event["output"]
            state.reason = event["reason"]
        case "command.refused":
            pass
        case "run.created":
            raise MisplacedEventError(f"expected run {run_id} to be created once, but found a second run.created")
        case unknown:
            raise UnknownEventError(
                f"expected an event that this version knows, but found {unknown!r}.",
                hint="The log was written by a newer version of Runline: use that one.",
            )
    return state


def _created(event: RunCreated, run_id: str, time: str) -> RunState:
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
        tags=tuple(event.get("tags", ())),
        input=None,
        context={},
        output=None,
        error=None,
        reason="",
        ready=None,
        open=(),
        traces=0,
        head="",
        decided=-1,
    )


def _trace_started(state: RunState, event: TraceStarted, time: str) -> None:
    number, attempt = event["trace"], event["attempt"]
    executor = event.get("executor", "")
    if attempt == 1:
        trace = OpenTrace(number, event["node"], event["node_type"], event["title"], 1, executor, time)
        state.ready = None
        state.open = (*state.open, trace) if state.open else (trace,)
        state.traces = number
    else:
        state.open = tuple(
            trace._replace(attempt=attempt, executor=executor) if trace.number == number else trace
            for trace in state.open
        )


def _stopped(state: RunState, status: RunStatus, time: str) -> None:
    state.status = status
    state.stopped = time
    state.ready = None


def _without(traces: tuple[OpenTrace, ...], number: int) -> tuple[OpenTrace, ...]:
    if len(traces) == 1 and traces[0].number == number:
        return ()
    return tuple(trace for trace in traces if trace.number != number)
