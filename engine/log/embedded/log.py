"""The embedded log: one directory, one writing process, nothing lost."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Literal, NoReturn

import orjson

from engine.errors import ClosedError, LogError
from engine.limits import RECORD_BYTES_MAX
from engine.log.alone import Alone
from engine.log.embedded.committer import Committer, Entry, Outcome
from engine.log.embedded.failures import from_store
from engine.log.embedded.layout import topic_identity
from engine.log.embedded.opening import Opened, open_log
from engine.log.embedded.partition import Partition
from engine.log.embedded.reader import EmbeddedReader
from engine.log.embedded.reading import ReadOnlyLog, read_records, read_records_of_key
from engine.log.place import check_offset, check_record, place_unknown
from engine.log.port import Ends, LogRecord, Owner, Record
from engine.log.scanning import scan_by_reading
from engine.store.errors import StoreError

Durability = Literal["fsync", "process"]
"""When a record counts as written: when it survives power loss, or when it survives the death of the process."""


class EmbeddedLog:
    """A log in a directory of this machine, for one process. Use `EmbeddedLog.open`.

    Records that wait at the same time are written and made durable together, by one thread. All methods belong to the
    event loop that opened the log. A record's value and headers are handed on as they are: nobody may change them.
    """

    def __init__(
        self,
        directory: Path,
        partitions: int,
        opened: Opened,
        *,
        durability: Durability,
        clock: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._count = partitions
        self._opened = opened
        self._loop = asyncio.get_running_loop()
        self._places = {(partition.topic, partition.number): partition for partition in opened.partitions}
        self._readers: dict[EmbeddedReader, None] = {}
        self._entries: list[Entry] = []
        self._closing: asyncio.Task[None] | None = None
        self._committer = Committer(
            directory,
            opened.store,
            opened.records,
            opened.acknowledged,
            opened.partitions,
            synced=durability == "fsync",
            clock=clock,
            report=self._report,
        )

    @classmethod
    async def open(
        cls,
        directory: str | os.PathLike[str],
        partitions: int = 1,
        durability: Durability = "fsync",
        clock: Callable[[], float] = time.time,
    ) -> "EmbeddedLog":
        """Open a log for writing; make it where there is none.

        Args:
            directory: Where it is or will be; for this log alone.
            partitions: The number of partitions of `commands` and of `events`, the same at every opening.
            durability: `fsync`: what is reported as written survives power loss. `process`: it survives the death of
                the process.
            clock: Seconds since 1970 UTC; the time of the records.

        Raises:
            LogLockedError: It is open for writing already, here or in another process.
            LogDamagedError: It is not what was written; nothing was changed.
            LogFullError: There is no space left.
            LogError: It has another number of partitions or a newer format, or the operating system refuses.
        """
        path = Path(directory)
        return cls(path, partitions, open_log(path, partitions), durability=durability, clock=clock)

    @classmethod
    async def open_reading(cls, directory: str | os.PathLike[str]) -> ReadOnlyLog:
        """Open a log for reading beside the process that writes it.

        Raises:
            LogDamagedError: It is not what was written.
            LogError: There is none, it has a newer format, or the operating system refuses.
        """
        return ReadOnlyLog(Path(directory))

    @property
    def partitions(self) -> int:
        """The number of partitions of `commands` and of `events`; `workflows` and `rejections` have one."""
        return self._count

    async def topic_id(self, topic: str) -> str:
        """Return the topic's identity, which the directory keeps and its copies have too."""
        return topic_identity(self._opened.log_id, self._partition(topic, 0).topic)

    @property
    def shared(self) -> bool:
        """This process alone appends."""
        return False

    @property
    def indexed(self) -> bool:
        """Every record is found by its key."""
        return True

    @property
    def trouble(self) -> str:
        """A directory is there or not; what goes wrong is told to whoever appends."""
        return ""

    async def append(self, topic: str, partition: int, record: Record) -> int:
        """Append one record and return its offset once it is durable.

        Raises:
            LogFullError: There is no space left.
            RecordTooLargeError: The record has more than `RECORD_BYTES_MAX` bytes.
            LogError: The outcome is unknown or the record was not written.
            ClosedError: The log was closed.
        """
        future: asyncio.Future[int] = self._loop.create_future()
        self._queue(topic, partition, record, future, None)
        return await future

    def send(
        self,
        topic: str,
        partition: int,
        record: Record,
        failed: Callable[[LogError], None],
        *,
        patient: bool = False,  # noqa: ARG002 - records that wait together go together anyhow
    ) -> None:
        """Append one record without waiting: reading it back is the acknowledgement.

        Raises:
            RecordTooLargeError: The record has more than `RECORD_BYTES_MAX` bytes.
            ClosedError: The log was closed.
        """
        self._queue(topic, partition, record, None, failed)

    async def ends(self, topic: str, partition: int) -> Ends:
        """Return the partition's bounds now."""
        return Ends(0, self._partition(topic, partition).end)

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        """Return up to `count` records from `offset` on, fewer at the end; never waits for new ones.

        Raises:
            OffsetOutOfRangeError: The partition does not reach that far.
            LogDamagedError: Names the topic, partition and offset of what cannot be read.
        """
        place = self._partition(topic, partition)
        check_offset(topic, partition, offset, Ends(0, place.end))
        return await read_records(self._opened.records, place, offset, min(place.end, offset + count))

    async def scan(
        self, topic: str, partition: int, start: int, end: int, take: Callable[[Sequence[LogRecord]], None]
    ) -> None:
        """Hand over the records from `start` to before `end`, in order."""
        await scan_by_reading(self, topic, partition, start, end, take)

    async def read_key(self, topic: str, partition: int, key: str) -> Sequence[LogRecord]:
        """Return all records with this key, in order."""
        place = self._partition(topic, partition)
        return await read_records_of_key(self._opened.records, place, key, place.end)

    async def first_after(self, topic: str, partition: int, milliseconds: int) -> int:  # noqa: ARG002 - any is right
        """Return an offset with no record below it that was appended at this time or later: the first."""
        return (await self.ends(topic, partition)).start

    async def join(self, group: str, owner: Owner) -> Alone:  # noqa: ARG002 - there is nobody else in any group
        """Own all partitions."""
        if self._closing is not None:
            raise ClosedError(f"the log {self._directory} was closed.")
        return Alone(self._count, owner)

    def reader(self, topic: str, partition: int, offset: int) -> EmbeddedReader:
        """Return a reader that starts at `offset` and goes on with what is appended."""
        place = self._partition(topic, partition)
        reader = EmbeddedReader(place, self._opened.records, offset, self._forget)
        self._readers[reader] = None
        return reader

    async def close(self) -> None:
        """Write what is queued, make everything durable, and let go of the directory. Closing twice is allowed.

        Raises:
            LogError: The last writes may not survive power loss; the directory is let go all the same.
        """
        if self._closing is None:
            self._closing = self._loop.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._hand_over()
        self._committer.stop()
        try:
            await asyncio.to_thread(self._let_go)
        finally:
            for reader in list(self._readers):
                reader.close()

    def _let_go(self) -> None:
        """Finish what is queued and let go of everything, whatever fails on the way."""
        opened = self._opened
        self._committer.join()
        try:
            with opened.records.lock:
                opened.records.closed = True
                opened.store.close()
            for partition in opened.partitions:
                opened.acknowledged.synced(partition.index, partition.following)
        except StoreError as error:
            raise from_store(error, self._directory) from error
        finally:
            opened.acknowledged.close()
            opened.lock.release()

    def _partition(self, topic: str, partition: int) -> Partition:
        found = self._places.get((topic, partition))
        if found is None or self._closing is not None:
            self._refuse(topic, partition)
        return found

    def _refuse(self, topic: str, partition: int) -> NoReturn:
        if self._closing is not None:
            raise ClosedError(f"the log {self._directory} was closed.")
        raise place_unknown(topic, partition, self._count)

    def _queue(
        self,
        topic: str,
        partition: int,
        record: Record,
        future: asyncio.Future[int] | None,
        failed: Callable[[LogError], None] | None,
    ) -> None:
        place = self._partition(topic, partition)
        try:
            key = record.key.encode()
            headers = orjson.dumps(record.headers)
        except (UnicodeEncodeError, TypeError):
            headers, key = self._encoded_slowly(topic, record)
        # JSON is never shorter than the plain texts, so what fits so fits anyhow.
        if len(key) + len(headers) + len(record.value) > RECORD_BYTES_MAX:
            check_record(topic, record)
        if not self._entries:
            self._loop.call_soon(self._hand_over)
        self._entries.append(Entry(place, key, headers, record, future, failed))

    def _hand_over(self) -> None:
        """Give the committer what came since the last time, all at once: waking it costs as much as several records."""
        if self._entries:
            entries, self._entries = self._entries, []
            self._committer.put(entries)

    def _encoded_slowly(self, topic: str, record: Record) -> tuple[bytes, bytes]:
        """Encode a record whose headers are a mapping that is no dict, or refuse texts that are none."""
        check_record(topic, record)
        return orjson.dumps(dict(record.headers)), record.key.encode()

    def _forget(self, reader: EmbeddedReader) -> None:
        self._readers.pop(reader, None)

    def _report(self, outcome: Outcome) -> None:
        # The loop may be gone while the thread still works; then nobody is left to be told.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._settle, outcome)

    def _settle(self, outcome: Outcome) -> None:
        if outcome.ends is not None:
            for place, end in outcome.ends.items():
                place.end = end
                for reader in place.readers:
                    reader.lag()
        for place, chunk in outcome.chunks.items():
            place.end = chunk.records[-1].offset + 1
            for reader in place.readers:
                reader.offer(chunk)
        if outcome.error is not None:
            _fail(outcome)
            return
        for entry, offset in zip(outcome.entries, outcome.offsets, strict=True):
            if entry.future is not None and not entry.future.done():
                entry.future.set_result(offset)


def _fail(outcome: Outcome) -> None:
    assert outcome.error is not None
    for entry in outcome.entries:
        if entry.future is not None and not entry.future.done():
            entry.future.set_exception(copy(outcome.error))  # one traceback for each task
        if entry.failed is not None:
            entry.failed(outcome.error)
