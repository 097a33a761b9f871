"""Rejection records: a refused command's bytes, and why, on the `rejections` topic."""

from engine.core.commands import Command
from engine.core.rejection import Rejection
from engine.log.port import Record


def rejection_record(
    value: bytes,
    rejection: Rejection,
    *,
    command: Command | None,
    key: str,
    partition: int,
    offset: int,
    source: str,
    time: str,
) -> Record:
    """Return the record of a refusal: the command's bytes; where it stood and why it was refused as headers."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"{partition}/{offset}",
        "ce_type": "runline.rejection",
        "ce_source": source,
        "ce_subject": key,
        "ce_time": time,
        "code": rejection.code,
        "reason": rejection.reason,
        "partition": str(partition),
        "offset": str(offset),
    }
    if command is not None:
        headers["causationid"] = command.id
    return Record(key, value, headers)
