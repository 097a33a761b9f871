"""Beginning in the middle: from the last usable checkpoint of a partition, not from the beginning of its history."""

import logging
from typing import NamedTuple

from engine.core.checkpoint import read_part_value
from engine.core.records import FENCE, NO_CHECKPOINT, PART, PartHeading, part_id, read_part
from engine.core.view import View
from engine.errors import LogDamagedError
from engine.log.port import EVENTS, Ends, Log, LogRecord

_LOGGER = logging.getLogger("runline.executor")

_BACKWARDS = 64
"""Records read at once while walking back from the end."""
_FORWARDS = 256
"""Records read at once while looking for a checkpoint's parts."""


class Beginning(NamedTuple):
    """Where a reader begins.

    Attributes:
        view: The fold of everything below its position.
        bytes_read: Bytes of checkpoint values that were read.
    """

    view: View
    bytes_read: int


async def begin(log: Log, partition: int, before: int | None = None) -> Beginning:
    """Return where to begin reading a partition, so that everything from `before` (default: the end) on is exact.

    Follows the checkpoint that the last record names; when it is not usable, the one that the record before names;
    when there is none, begins at offset 0.

    Raises:
        LogDamagedError: The log's beginning is gone and no checkpoint can be used.
    """
    ends = await log.ends(EVENTS, partition)
    end = ends.end if before is None else min(before, ends.end)
    tried: set[str] = set()
    while end > ends.start:
        first = max(ends.start, end - _BACKWARDS)
        records = await log.read(EVENTS, partition, first, end - first)
        for record in reversed(records):
            named = record.headers.get("checkpoint")
            if named is None or named in tried:
                continue
            if named == NO_CHECKPOINT:
                # Written before any checkpoint was complete: with the whole log there, offset 0 is exact.
                if ends.start == 0:
                    return Beginning(View(), 0)
                continue
            tried.add(named)
            found = await _load(log, partition, named, ends)
            if found is not None and (before is None or found.view.position <= before):
                return found
        end = first
    if ends.start == 0:
        return Beginning(View(), 0)
    raise LogDamagedError(
        f"expected a usable checkpoint in partition {partition} of {EVENTS}, whose records below offset {ends.start} "
        "are gone, but found none.",
        hint="Restore the deleted records, or a copy of the log.",
    )


async def _load(log: Log, partition: int, named: str, ends: Ends) -> Beginning | None:
    if not named.isdecimal():
        return None
    first = int(named)
    if not ends.start <= first < ends.end:
        return None
    records = await log.read(EVENTS, partition, first, 1)
    heading = _part_of(records[0]) if records and records[0].offset == first else None
    if heading is None or not ends.start <= heading.start <= first:
        return None
    if not await _unfenced(log, partition, heading, first):
        return None
    parts = await _collect(log, partition, heading, first, ends.end)
    if parts is None:
        return None
    view = View(heading.start, heading.epoch)
    size = 0
    for record in parts.values():
        own = read_part(record.headers)
        if own is None or record.headers.get("ce_id") != part_id(own, record.value):
            _LOGGER.error(
                "Partition %d: the checkpoint part at offset %d is damaged; beginning further back",
                partition,
                record.offset,
            )
            return None
        try:
            runs, ended = read_part_value(record.value)
        except LogDamagedError as error:
            _LOGGER.error("Partition %d: %s at offset %d; beginning further back", partition, error, record.offset)  # noqa: TRY400 - the text says it all
            return None
        view.restore(heading, runs, ended)
        size += len(record.value)
    view.checkpoint = first
    return Beginning(view, size)


def _part_of(record: LogRecord) -> PartHeading | None:
    return read_part(record.headers) if record.headers.get("ce_type") == PART else None


async def _unfenced(log: Log, partition: int, heading: PartHeading, first: int) -> bool:
    position = heading.start
    while position < first:
        records = await log.read(EVENTS, partition, position, min(_FORWARDS, first - position))
        if not records or any(record.headers.get("ce_type") == FENCE for record in records):
            return False
        position = records[-1].offset + 1
    return True


async def _collect(log: Log, partition: int, heading: PartHeading, first: int, end: int) -> dict[int, LogRecord] | None:
    """Return all parts of the checkpoint, or None when a fence or the end of the log cuts it."""
    parts: dict[int, LogRecord] = {}
    position = first
    while position < end:
        records = await log.read(EVENTS, partition, position, _FORWARDS)
        for record in records:
            if record.headers.get("ce_type") == FENCE:
                return None
            part = _part_of(record)
            if part is not None and (part.epoch, part.start) == (heading.epoch, heading.start):
                parts.setdefault(part.part, record)
                if len(parts) == heading.parts:
                    # What comes behind the last part, such as a fence, cannot cut it any more.
                    return parts
        if not records:
            # An unclean election has taken the rest away.
            return None
        position = records[-1].offset + 1
    return None
