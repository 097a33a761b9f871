"""Rejection records: a refused command's bytes, and why, on the `rejections` topic."""

from engine.core.rejection import Rejection
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX, RECORD_BYTES_MAX
from engine.log.port import Record

_HEADERS_BYTES_MAX = 64 * 1024
"""Room for the headers beside the command's bytes."""


def rejection_record(
    value: bytes,
    rejection: Rejection,
    *,
    command: str | None,
    key: str,
    partition: int,
    offset: int,
    source: str,
    time: str,
) -> Record:
    """Return the record of a refusal: the command's bytes; where it stood and why it was refused as headers.

    Bytes that leave no room for the headers are cut, and `size` says how many there were.

    Args:
        value: The refused bytes.
        rejection: Why.
        command: The command's id, or None for bytes that hold no command.
        key: The key under which they came.
        partition: Where they stand in `commands`.
        offset: The same.
        source: The `ce_source`.
        time: RFC 3339 time.
    """
    key = key[:ERROR_MESSAGE_CHARACTERS_MAX]
    kept = value[: RECORD_BYTES_MAX - _HEADERS_BYTES_MAX]
    whole_command = command is not None and kept == value
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"{partition}/{offset}",
        "ce_type": "runline.rejection",
        "ce_source": source,
        "ce_time": time,
        "content-type": "application/json" if whole_command else "application/octet-stream",
        "code": rejection.code,
        "reason": rejection.reason[:ERROR_MESSAGE_CHARACTERS_MAX],
        "partition": str(partition),
        "offset": str(offset),
        "size": str(len(value)),
    }
    if key:
        # A CloudEvent's subject is not empty; foreign records may have no key.
        headers["ce_subject"] = key
    if command is not None:
        headers["causationid"] = command
    return Record(key, kept, headers)
