"""Readers of the embedded log: from the store while they catch up, then from memory, group by group."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.errors import ClosedError
from engine.limits import TAIL_BYTES_MAX, TAIL_RECORDS_MAX
from engine.log.embedded.partition import Partition
from engine.log.embedded.records import StoredRecords
from engine.log.place import check_offset
from engine.log.port import Ends, LogRecord


class Chunk(NamedTuple):
    """The records of one partition that became durable together.

    Attributes:
        records: In order, at least one.
        size: Bytes of their values.
    """

    records: list[LogRecord]
    size: int


class EmbeddedReader:
    """Hands out one partition's records in order, each once. It belongs to one task.

    It keeps what became durable since it last looked, up to a bound; behind that it forgets and reads the store.
    """

    def __init__(
        self, partition: Partition, records: StoredRecords, offset: int, closed: Callable[["EmbeddedReader"], None]
    ) -> None:
        self.partition = partition
        self._records = records
        self._position = offset
        self._on_close = closed
        self._live = False
        self._tail: deque[Chunk] = deque()
        self._tail_records = 0
        self._tail_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        partition.readers[self] = None

    async def next(self) -> Sequence[LogRecord]:
        """Return the next records, at least one; wait until there are any.

        Raises:
            LogDamagedError: A record is missing or not what was written.
            OffsetOutOfRangeError: The partition ends before the reader's offset.
            ClosedError: The reader or the log was closed.
        """
        assert self._waiter is None, "a reader belongs to one task"
        while not self._closed:
            if self._tail:
                return self._from_tail()
            if not self._live:
                if self._position != self.partition.end:
                    return await self._from_store()
                self._live = True
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._wait(self._waiter)
            finally:
                self._waiter = None
        raise ClosedError(f"the reader of {self.partition} was closed.")

    def close(self) -> None:
        """Stop reading; a waiting `next` raises ClosedError."""
        if not self._closed:
            self._closed = True
            self.partition.readers.pop(self, None)
            self.lag()
            self._on_close(self)

    def offer(self, chunk: Chunk) -> None:
        """Take note of records that became durable; the caller has moved the partition's end behind them."""
        if self._live:
            self._tail.append(chunk)
            self._tail_records += len(chunk.records)
            self._tail_bytes += chunk.size
            if self._tail_records > TAIL_RECORDS_MAX or self._tail_bytes > TAIL_BYTES_MAX:
                self.lag()
        self._wake()

    def lag(self) -> None:
        """Forget what is in memory; go on from the store."""
        self._live = False
        self._tail.clear()
        self._tail_records = self._tail_bytes = 0
        self._wake()

    async def _wait(self, waiter: asyncio.Future[None]) -> None:
        await waiter

    def _from_tail(self) -> list[LogRecord]:
        chunk = self._tail.popleft()
        self._tail_records -= len(chunk.records)
        self._tail_bytes -= chunk.size
        self._position = chunk.records[-1].offset + 1
        return chunk.records

    async def _from_store(self) -> list[LogRecord]:
        check_offset(self.partition.topic, self.partition.number, self._position, Ends(0, self.partition.end))
        records = self._records.page(self.partition, self._position, self.partition.end)
        # Catching up with a long log must not keep everybody else from running.
        await asyncio.sleep(0)
        self._position = records[-1].offset + 1
        return records

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
