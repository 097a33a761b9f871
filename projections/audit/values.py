"""Values: what stands in a record, as far as it can be read."""

from collections.abc import Mapping, Sequence

import orjson

from engine.log.port import LogRecord
from projections.audit.run_fold import Event


def size_of(record: LogRecord) -> int:
    """Return the bytes of a record: key, headers and value."""
    texts = len(record.key.encode())
    for name, text in record.headers.items():
        texts += len(name.encode()) + len(text.encode())
    return texts + len(record.value)


def object_in(data: bytes) -> dict[str, object] | None:
    """Return the JSON object in these bytes, or None when it is none."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def events_in(value: Mapping[str, object]) -> Sequence[Event] | None:
    """Return the events of a commit's value, or None when it is none."""
    if not (isinstance(value.get("run"), str) and isinstance(value.get("time"), str)):
        return None
    decided = value.get("decided", ...)
    if decided is not None and (
        not isinstance(decided, int) or isinstance(decided, bool) or not 0 <= decided < 1 << 63
    ):
        return None
    events = value.get("events")
    if not isinstance(events, list) or not events or not all(isinstance(event, dict) for event in events):
        return None
    return events
