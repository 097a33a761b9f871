"""A reader of one partition: takes what a lane hands over, and holds the lane back when it is slow."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from engine.errors import ClosedError, LogError
from engine.limits import TAIL_BYTES_MAX, TAIL_RECORDS_MAX
from engine.log.port import LogRecord


class KafkaReader:
    """Hands out one partition's records in order, each once. It belongs to one task.

    Args:
        topic: The topic on Kafka.
        partition: Its partition.
        offset: Where to begin.
        closed: Called once, when the reader is closed.
        hold: Called with whether the lane must wait, whenever that changes.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        closed: Callable[["KafkaReader"], None],
        hold: Callable[["KafkaReader", bool], None],
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self._on_close = closed
        self._hold = hold
        self._held = False
        self._batches: deque[tuple[list[LogRecord], int]] = deque()
        self._records = 0
        self._bytes = 0
        self._error: LogError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for records, and none have come."""
        return self._waiter is not None and not self._batches and not self._closed

    async def next(self) -> Sequence[LogRecord]:
        """Return the next records, at least one; wait until there are any.

        Raises:
            OffsetOutOfRangeError: The partition starts behind, or ends before, the reader's offset.
            LogError: The partition cannot be read.
            ClosedError: The reader or the log was closed.
        """
        assert self._waiter is None, "a reader belongs to one task"
        while not self._closed:
            if self._batches:
                return self._take()
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        raise ClosedError(f"the reader of {self.topic}/{self.partition} was closed.")

    def close(self) -> None:
        """Stop reading; a waiting `next` raises ClosedError."""
        if not self._closed:
            self._closed = True
            self._batches.clear()
            self._on_close(self)
            self._wake()

    def offer(self, records: list[LogRecord], size: int) -> None:
        """Take records that follow those before; `size` is the bytes that they hold."""
        if self._closed:
            return
        self._batches.append((records, size))
        self._records += len(records)
        self._bytes += size
        if not self._held and (self._records > TAIL_RECORDS_MAX or self._bytes > TAIL_BYTES_MAX):
            self._held = True
            self._hold(self, True)
        self._wake()

    def fail(self, error: LogError) -> None:
        """Let `next` raise this, after what was handed over before."""
        self._error = error
        self._wake()

    def _take(self) -> list[LogRecord]:
        records, size = self._batches.popleft()
        self._records -= len(records)
        self._bytes -= size
        if self._held and self._records <= TAIL_RECORDS_MAX // 2 and self._bytes <= TAIL_BYTES_MAX // 2:
            self._held = False
            self._hold(self, False)
        return records

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
