"""Following a log beside its writer: nobody tells this process about new records, so it looks for them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Final

from engine.limits import FOLLOW_SECONDS, FOLLOW_SHARE_MAX
from engine.log.embedded.partition import Partition
from engine.log.embedded.reader import EmbeddedReader
from engine.log.embedded.records import StoredRecords
from engine.log.port import LogRecord

Sleep = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""

_PAUSES_PER_LOOK: Final = 1 / FOLLOW_SHARE_MAX - 1


class Following:
    """Looks at a log again and again as long as somebody waits for more of it: once for all who wait.

    Args:
        look: Looks, and wakes those for whom something came.
        sleep: Waits between two looks.
    """

    def __init__(self, look: Callable[[], Awaitable[None]], sleep: Sleep) -> None:
        self._look = look
        self._sleep = sleep
        self._waiters: dict[asyncio.Future[None], None] = {}
        self._task: asyncio.Task[None] | None = None
        self._due = 0.0

    async def look(self) -> None:
        """Look now."""
        time = asyncio.get_running_loop().time
        before = time()
        try:
            await self._look()
        finally:
            after = time()
            self._due = after + max(FOLLOW_SECONDS, (after - before) * _PAUSES_PER_LOOK)

    @contextmanager
    def on_behalf_of(self, waiter: asyncio.Future[None]) -> Iterator[None]:
        """Look until the block ends; what keeps the log from being read is the future's error."""
        self._waiters[waiter] = None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            yield
        finally:
            del self._waiters[waiter]
            if waiter.done() and not waiter.cancelled():
                waiter.exception()  # heard of, also by a task that was cancelled at the same time
            if not self._waiters and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _run(self) -> None:
        time = asyncio.get_running_loop().time
        while True:
            if (rest := self._due - time()) > 0:
                await self._sleep(rest)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
                for waiter in self._waiters:
                    if not waiter.done():
                        waiter.set_exception(copy(error))  # one traceback for each task


class FollowingReader(EmbeddedReader):
    """Hands out one partition's records in order, each once, while another process appends. It belongs to one task."""

    def __init__(self, partition: Partition, records: StoredRecords, offset: int, following: Following) -> None:
        super().__init__(partition, records, offset, _forget)
        self._following = following

    async def next(self) -> Sequence[LogRecord]:
        """Return the next records, at least one; wait until there are any.

        Raises:
            LogReplacedError: The directory holds another log by now.
            LogDamagedError: A record is missing or not what was written.
            OffsetOutOfRangeError: The partition ends before the reader's offset.
            LogError: The log cannot be read.
            ClosedError: The reader or the log was closed.
        """
        if self._position > self.partition.end and not self._closed:
            # Whoever knows this offset may have seen more of the log.
            await self._following.look()
        return await super().next()

    async def _wait(self, waiter: asyncio.Future[None]) -> None:
        with self._following.on_behalf_of(waiter):
            await waiter


def _forget(reader: EmbeddedReader) -> None:
    """Have nothing more to do when a reader closes: its partition alone knew it."""
