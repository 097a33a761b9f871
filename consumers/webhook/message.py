"""What a webhook says: one change of a run or a trace as JSON."""

import orjson

from consumers.host.delivery import Delivery
from engine.core.state import RunStatus, TraceStatus
from engine.run import Run, RunError, Trace


def body_of(subject: Run | Trace, delivery: Delivery, *, contexts: bool) -> bytes:
    """Return the body of the webhook about a change.

    Args:
        subject: The run or trace after the change.
        delivery: The change.
        contexts: Whether the contexts are told as well.
    """
    data = _run(subject) if isinstance(subject, Run) else _trace(subject)
    if contexts:
        data["input_context"] = _context(subject.input_context)
        data["output_context"] = _context(subject.output_context)
    return orjson.dumps(
        {"type": delivery.event_type, "timestamp": delivery.time, "event_id": delivery.event_id, "data": data},
        option=orjson.OPT_UTC_Z,
    )


def _run(run: Run) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "workflow_id": run.workflow_id,
        "workflow_version": run.workflow_version,
        "tags": run.tags,
        **_outcome(run.run_status, run.message, run.error),
        "created": run.created,
        "started": run.started,
        "stopped": run.stopped,
    }


def _trace(trace: Trace) -> dict[str, object]:
    return {
        "run_id": trace.run_id,
        "trace_id": trace.trace_id,
        "number": trace.number,
        "node_id": trace.node_id,
        "node_type": trace.node_type,
        "title": trace.title,
        "attempt": trace.attempt,
        **_outcome(trace.trace_status, trace.message, trace.error),
        "started": trace.started,
        "stopped": trace.stopped,
    }


def _outcome(status: RunStatus | TraceStatus, message: str, error: RunError | None) -> dict[str, object]:
    told = None if error is None else {"type": error.type, "message": error.message, "node_id": error.node_id}
    return {"status": status.value, "message": message, "error": told}


def _context(text: str | None) -> orjson.Fragment | None:
    return None if text is None else orjson.Fragment(text)
