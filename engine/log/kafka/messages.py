"""What the Kafka client hands out, as records of the log."""

from collections.abc import Mapping
from typing import Final, cast

from confluent_kafka import Message

from engine.log.port import LogRecord, Record

_Headers = list[tuple[str, bytes | None]]
"""How the client hands out headers; what it takes may be more."""
_NONE: Final[Mapping[str, str]] = {}
_CREATE_TIME: Final = 0
"""The time is known (1: when it was created, 2: when the log appended it); otherwise there is none."""


def log_record(message: Message) -> LogRecord:
    """Return a message as a record; foreign bytes that are no text come out as escapes, never as an error."""
    offset, key, value, headers = message.offset(), message.key(), message.value(), message.headers()
    kind, time = message.timestamp()
    assert offset is not None, "a message that was read has an offset"
    return LogRecord(
        offset,
        time if kind != _CREATE_TIME else 0,
        "" if key is None else _text(key),
        b"" if value is None else value,
        {name: _text(value) for name, value in cast("_Headers", headers)} if headers else _NONE,
    )


def _text(data: bytes | None) -> str:
    if data is None:
        return ""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "backslashreplace")


def wire_headers(record: Record) -> list[tuple[str, str | bytes | None]]:
    """Return a record's headers as the client takes them; it would cut texts at a zero, and bytes it takes whole."""
    return [(name, text.encode()) for name, text in record.headers.items()]
