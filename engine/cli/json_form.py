"""Runs and traces as the JSON that --json prints: contexts stand in it as JSON, not as texts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

import orjson

from engine.history import Attempt
from engine.run import Run, RunError, Trace

_NAMES = {"commit_id": "commit"}
_CONTEXTS = {"input_context": "input", "output_context": "output"}


def run_json(run: Run) -> dict[str, object]:
    """Return a run as JSON data; `input` and `output` are the contexts, null where there is none."""
    return _json(run)


def trace_json(trace: Trace) -> dict[str, object]:
    """Return a trace as JSON data, like `run_json`."""
    return _json(trace)


def report_json(run: Run, traces: Sequence[Trace], attempts: Mapping[int, Sequence[Attempt]]) -> dict[str, object]:
    """Return everything about a run: itself, its traces, each with its attempts, and its output."""
    return {
        "run": run_json(run),
        "traces": [
            trace_json(trace) | {"attempts": [asdict(attempt) for attempt in attempts[trace.number]]}
            for trace in traces
        ],
        "output": _loaded(run.output_context),
    }


def _json(subject: Run | Trace) -> dict[str, object]:
    data: dict[str, object] = {}
    for field in fields(subject):
        value: object = getattr(subject, field.name)
        if field.name in _CONTEXTS:
            assert value is None or isinstance(value, str)
            data[_CONTEXTS[field.name]] = _loaded(value)
        elif isinstance(value, RunError):
            data[field.name] = {"type": value.type, "message": value.message, "node_id": value.node_id}
        else:
            data[_NAMES.get(field.name, field.name)] = value
    return data


def _loaded(text: str | None) -> object:
    if text is None:
        return None
    loaded: object = orjson.loads(text)
    return loaded
