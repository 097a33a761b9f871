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
    """
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"{partition}/{offset}",
        "ce_type": "runline.rejection",
        "ce_source": source,
        "ce_subject": key[:ERROR_MESSAGE_CHARACTERS_MAX],
        "ce_time": time,
        "code": rejection.code,
        "reason": rejection.reason[:ERROR_MESSAGE_CHARACTERS_MAX],
        "partition": str(partition),
        "offset": str(offset),
        "size": str(len(value)),
    }
    if command is not None:
        headers["causationid"] = command
    return Record(key[:ERROR_MESSAGE_CHARACTERS_MAX], value[: RECORD_BYTES_MAX - _HEADERS_BYTES_MAX], headers)
