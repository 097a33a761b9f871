"""What the Kafka client hands out, as records of the log."""

from collections.abc import Mapping
from operator import methodcaller
from typing import Final, cast

from confluent_kafka import Message

from engine.log.port import LogRecord

_Headers = list[tuple[str, bytes | None]]
"""How the client hands out headers; what it takes may be more."""
_headers: Final = methodcaller("headers")
"""Asks a message for its headers by a call that the interpreter checks.

For a name that is no text the client returns a list with holes and an exception besides; a plain call that has become
hot takes such a list, and whoever looks into it dies.
"""
_NONE: Final[Mapping[str, str]] = {}
_CREATE_TIME: Final = 0
"""The time is known (1: when it was created, 2: when the log appended it); otherwise there is none."""


def log_record(message: Message) -> LogRecord:
    """Return a message as a record; foreign bytes that are no text come out as escapes, never as an error."""
    offset, key, value = message.offset(), message.key(), message.value()
    try:
        headers = _headers(message)
    except (SystemError, UnicodeDecodeError):
        # A name that is no text: none of ours is in such a record, for any reader.
        headers = None
    kind, time = message.timestamp()
    assert offset is not None, "a message that was read has an offset"
    return LogRecord(
        offset,
        time if kind != _CREATE_TIME else 0,
        "" if key is None else _text(key),
        b"" if value is None else value,
        _texts(cast("_Headers", headers)) if headers else _NONE,
    )


def _texts(headers: _Headers) -> dict[str, str]:
    try:
        # Our own headers are all text, and this is done for every record.
        return {name: data.decode() for name, data in headers}  # type: ignore[union-attr]  # None is an error like others
    except (UnicodeDecodeError, AttributeError):
        return {name: _text(data) for name, data in headers}


def first_of_batch(message: Message) -> int | None:
    """Return where the batch begins that an error about unpacking is about, or None when it is not said."""
    offset = message.offset()
    return offset if offset is not None and offset >= 0 else None


def _text(data: bytes | None) -> str:
    if data is None:
        return ""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "backslashreplace")
