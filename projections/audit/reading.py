"""Reading a partition from one offset to another, in batches of bounded size, past what cannot be read."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from engine.errors import LogDamagedError
from engine.limits import (
    AUDIT_AHEAD_BYTES,
    AUDIT_AHEAD_RECORDS,
    AUDIT_DAMAGED_MAX,
    AUDIT_READ_BYTES,
    AUDIT_READ_RECORDS,
)
from engine.log.port import Log, LogRecord

Records = Sequence[LogRecord]
Damaged = Callable[[int, str], None]
"""Told of an offset that cannot be read, and why."""

_SHRINK: Final = 2


async def read_stretch(
    log: Log, topic: str, partition: int, start: int, end: int, *, damaged: Damaged
) -> AsyncIterator[Records]:
    """Yield the records from `start` to `end` in batches.

    Args:
        log: The log.
        topic: The topic.
        partition: The partition.
        start: The first offset.
        end: The offset to stop before.
        damaged: Told of every offset that cannot be read; after `AUDIT_DAMAGED_MAX` of them reading stops.

    Raises:
        LogError: The log cannot be read now.
    """
    position, count, failures = start, AUDIT_READ_RECORDS, 0
    while position < end and failures < AUDIT_DAMAGED_MAX:
        try:
            records = await log.read(topic, partition, position, min(count, end - position))
        except LogDamagedError as error:
            # Nearer and nearer, until it is one record that is damaged.
            if count > 1:
                count //= _SHRINK
                continue
            damaged(position, str(error.args[0]))
            position, failures = position + 1, failures + 1
            continue
        records = [record for record in records if record.offset < end]
        if not records:
            return
        yield records
        # Offsets that go back are for whoever reads to tell; reading goes on all the same.
        position = max(records[-1].offset, position) + 1
        size = sum(len(record.value) for record in records)
        fitting = AUDIT_READ_BYTES * len(records) // max(size, 1)
        count = max(1, min(2 * count, AUDIT_READ_RECORDS, fitting))


async def read_ahead(batches: AsyncIterator[Records], ahead: Callable[[LogRecord], None]) -> AsyncIterator[Records]:
    """Yield batches a bounded number of records late, after showing each record to somebody who looks ahead."""
    waiting: deque[tuple[Records, int]] = deque()
    records_waiting = bytes_waiting = 0
    async for batch in batches:
        for record in batch:
            ahead(record)
        size = sum(len(record.value) for record in batch)
        waiting.append((batch, size))
        records_waiting += len(batch)
        bytes_waiting += size
        while waiting and (records_waiting > AUDIT_AHEAD_RECORDS or bytes_waiting > AUDIT_AHEAD_BYTES):
            first, size = waiting.popleft()
            records_waiting -= len(first)
            bytes_waiting -= size
            yield first
    for first, _ in waiting:
        yield first
