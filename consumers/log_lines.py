"""A progress service that writes one structured JSON line per change."""

import sys
from datetime import timedelta
from typing import TextIO

import orjson

from engine.core.state import RunStatus, TraceStatus
from engine.run import Run, RunError, Trace


class LogLines:
    """Writes every change of a run or a trace as one JSON object in one line, ready for a log shipper.

    Every line has `kind` (`run` or `trace`), `run_id`, `status`, `message`, `time`, the time of the change, and
    `commit_id`, by which a change that was delivered twice is known; runs add `workflow_id` and `workflow_version`,
    traces `trace_id`, `node_id`, `node_type`, `title` and `attempt`, failures `error` with `type`, `message` and
    `node_id`, ended ones `seconds`. Contexts are left out: they may hold secrets.

    Example:
        EngineService.open("data", registry, progress_services=[LogLines()])

    Args:
        stream: Where to write; stderr, whatever it is at that moment, unless given.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    async def run_progress(self, run: Run) -> None:
        """Write a change of a run."""
        self._write(
            {
                "kind": "run",
                "time": run.stopped or run.started or run.created,
                "run_id": run.run_id,
                "commit_id": run.commit_id,
                "workflow_id": run.workflow_id,
                "workflow_version": run.workflow_version,
                **_outcome(run.run_status, run.message, run.error),
                **({} if run.started is None or run.stopped is None else _seconds(run.stopped - run.started)),
            }
        )

    async def trace_progress(self, trace: Trace) -> None:
        """Write a change of a trace."""
        self._write(
            {
                "kind": "trace",
                "time": trace.stopped or trace.started,
                "run_id": trace.run_id,
                "commit_id": trace.commit_id,
                "trace_id": trace.trace_id,
                "node_id": trace.node_id,
                "node_type": trace.node_type,
                "title": trace.title,
                "attempt": trace.attempt,
                **_outcome(trace.trace_status, trace.message, trace.error),
                **({} if trace.stopped is None else _seconds(trace.stopped - trace.started)),
            }
        )

    def _write(self, line: dict[str, object]) -> None:
        stream = sys.stderr if self._stream is None else self._stream
        stream.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z).decode())
        stream.flush()


def _outcome(status: RunStatus | TraceStatus, message: str, error: RunError | None) -> dict[str, object]:
    told: dict[str, object] = {"status": status.value, "message": message}
    if error is not None:
        told["error"] = {"type": error.type, "message": error.message, "node_id": error.node_id}
    return told


def _seconds(time: timedelta) -> dict[str, float]:
    return {"seconds": time.total_seconds()}
