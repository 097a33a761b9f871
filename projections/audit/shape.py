"""What the schemas require of headers and values, in the form in which it is checked fast."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from projections.audit.rules import Rule

Found = Callable[[Rule, str], None]
"""Told of each violation: the rule and a text."""

COMMIT: Final = "runline.commit"
FENCE: Final = "runline.fence"
PART: Final = "runline.checkpoint"
WORKFLOW: Final = "runline.workflow"
REJECTION: Final = "runline.rejection"
FENCE_KEY: Final = "fence"
PART_KEY: Final = "checkpoint"
GENESIS: Final = "genesis"
NO_CHECKPOINT: Final = "none"
TERMINAL: Final = frozenset({"run.succeeded", "run.failed", "run.cancelled"})

_COMMON: Final = frozenset({"ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type"})
REQUIRED: Final[Mapping[str, frozenset[str]]] = {
    COMMIT: _COMMON | {"ce_subject", "types", "correlationid", "epoch", "prev", "checkpoint"},
    FENCE: _COMMON | {"nonce", "checkpoint"},
    PART: _COMMON | {"epoch", "start", "part", "parts", "commands", "clock", "checkpoint"},
    WORKFLOW: _COMMON | {"ce_subject", "version"},
    REJECTION: _COMMON | {"code", "reason", "partition", "offset", "size"},
}
"""The headers that a record of each type has."""

_TEXT: Final = (str,)
_NUMBER: Final = (int,)
_TEXT_OR_NULL: Final = (str, type(None))
_OBJECT: Final = (dict,)
_EVENT_FIELDS: Final[Mapping[str, tuple[tuple[str, tuple[type, ...]], ...]]] = {
    "run.created": (("workflow", _TEXT), ("version", _TEXT), ("correlation", _TEXT), ("command", _TEXT)),
    "run.started": (("context", _OBJECT), ("next", _TEXT), ("command", _TEXT)),
    "trace.started": (
        ("trace", _NUMBER),
        ("node", _TEXT),
        ("node_type", _TEXT),
        ("title", _TEXT),
        ("attempt", _NUMBER),
    ),
    "trace.succeeded": (
        ("trace", _NUMBER),
        ("changes", (list,)),
        ("output", _TEXT_OR_NULL),
        ("next", _TEXT_OR_NULL),
        ("message", _TEXT),
    ),
    "trace.failed": (("trace", _NUMBER), ("error", _OBJECT)),
    "trace.cancelled": (("trace", _NUMBER),),
    "run.succeeded": (("output", _OBJECT),),
    "run.failed": (("error", _OBJECT), ("output", _OBJECT)),
    "run.cancelled": (("reason", _TEXT), ("output", _OBJECT), ("command", _TEXT)),
    "command.refused": (
        ("command", _TEXT),
        ("command_type", _TEXT),
        ("offset", _NUMBER),
        ("code", _TEXT),
        ("reason", _TEXT),
    ),
}
_OPTIONAL: Final[Mapping[str, tuple[tuple[str, tuple[type, ...]], ...]]] = {
    "run.created": (("traceparent", _TEXT), ("tags", (list,))),
    "trace.started": (("executor", _TEXT),),
}
_ERROR_FIELDS: Final = (("type", _TEXT), ("message", _TEXT), ("node", _TEXT_OR_NULL))

_RUN_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,17}")


def is_run_id(text: str) -> bool:
    """Return whether the text is a run id: a UUID of version 7 in lower case."""
    return _RUN_ID.fullmatch(text) is not None


def is_decimal(text: str) -> bool:
    """Return whether the text is a number of the log: up to 18 digits without a leading zero or a sign."""
    return _DECIMAL.fullmatch(text) is not None


def check_headers(kind: str, headers: Mapping[str, str], found: Found) -> bool:
    """Check what the headers of a record of ours have in common; return whether all that are required are there."""
    required = REQUIRED[kind]
    complete = required <= headers.keys()
    if not complete:
        missing = ", ".join(sorted(required - headers.keys()))
        found(Rule.HEADER_MISSING, f"expected the headers of a {kind}, but these are missing: {missing}")
    if headers.get("ce_specversion", "1.0") != "1.0":
        found(Rule.HEADER_WRONG, f"expected ce_specversion 1.0, but found {headers['ce_specversion'][:80]!r}")
    if kind != REJECTION and headers.get("content-type", "application/json") != "application/json":
        found(Rule.HEADER_WRONG, f"expected content-type application/json, but found {headers['content-type'][:80]!r}")
    if _TIME.fullmatch(headers.get("ce_time", "2000-01-01T00:00:00Z")) is None:
        found(Rule.HEADER_WRONG, f"expected an RFC 3339 time in UTC as ce_time, but found {headers['ce_time'][:80]!r}")
    if not headers.get("ce_source", "-"):
        found(Rule.HEADER_WRONG, "expected ce_source to say who wrote the record, but it is empty")
    return complete


def event_problem(event: Mapping[str, object], kind: str) -> str:
    """Return what an event of a known type lacks, or an empty text."""
    for name, types in _EVENT_FIELDS[kind]:
        if event.get(name, ...).__class__ not in types:
            return f"expected {name} in {kind}, but found {_shown(event.get(name, ...))}"
    for name, types in _OPTIONAL.get(kind, ()):
        if name in event and event[name].__class__ not in types:
            return f"expected {name} in {kind}, but found {_shown(event[name])}"
    error = event.get("error") if kind in {"trace.failed", "run.failed"} else None
    if isinstance(error, dict):
        for name, types in _ERROR_FIELDS:
            if error.get(name, ...).__class__ not in types:
                return f"expected {name} in the error of {kind}, but found {_shown(error.get(name, ...))}"
    return ""


def is_known(kind: object) -> bool:
    """Return whether this version knows events of a type."""
    return isinstance(kind, str) and kind in _EVENT_FIELDS


def _shown(value: object) -> str:
    return "nothing" if value is ... else repr(value)[:80]
