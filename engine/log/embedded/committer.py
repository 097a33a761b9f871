"""The committer: one thread that writes all waiting records together and makes them durable at once."""

import asyncio
import shutil
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from engine import crash_points
from engine.crash_points import CrashPoint
from engine.errors import LogError
from engine.limits import GROUP_BYTES_MAX, GROUP_RECORDS_MAX, STORE_MARGIN_BYTES
from engine.log.embedded.acknowledged import Acknowledged
from engine.log.embedded.failures import from_store, from_system, full
from engine.log.embedded.layout import KEYS, RECORDS, encode, index_prefix, record_key
from engine.log.embedded.partition import Partition
from engine.log.embedded.reader import Chunk
from engine.log.embedded.records import StoredRecords
from engine.log.port import LogRecord, Record
from engine.store.errors import StoreError
from engine.store.rocks import RocksStore


class Entry(NamedTuple):
    """A record on its way into the store.

    Attributes:
        partition: Where it goes.
        key: Its key in UTF-8.
        headers: Its headers as JSON.
        record: The record.
        future: Gets its offset or the error; or None.
        failed: Gets the error; or None.
    """

    partition: Partition
    key: bytes
    headers: bytes
    record: Record
    future: asyncio.Future[int] | None
    failed: Callable[[LogError], None] | None


class Outcome(NamedTuple):
    """What became of a group.

    Attributes:
        entries: The group.
        offsets: The offsets of its entries; empty when it failed.
        chunks: The new records of each partition; empty when it failed.
        error: Why it failed, or None.
        ends: Where partitions were found to end when the store was opened anew, or None.
    """

    entries: list[Entry]
    offsets: list[int]
    chunks: dict[Partition, Chunk]
    error: LogError | None
    ends: dict[Partition, int] | None


class Committer:
    """Writes what is queued, in order, group by group, on a thread of its own.

    Args:
        directory: The log's directory, for errors.
        store: Where records go; this thread alone writes it.
        records: Reads the store.
        acknowledged: Remembers what was promised.
        partitions: All partitions of the log.
        synced: Whether a group survives power loss before it is reported.
        clock: Seconds since 1970 UTC.
        report: Called in this thread with what became of each group.
    """

    def __init__(
        self,
        directory: Path,
        store: RocksStore,
        records: StoredRecords,
        acknowledged: Acknowledged,
        partitions: list[Partition],
        *,
        synced: bool,
        clock: Callable[[], float],
        report: Callable[[Outcome], None],
    ) -> None:
        self._directory = directory
        self._store = store
        self._records = records
        self._acknowledged = acknowledged
        self._partitions = partitions
        self._synced = synced
        self._clock = clock
        self._report = report
        self._latest = max(
            (records.one(place, place.end - 1).timestamp for place in partitions if place.end), default=0
        )
        self._doubtful = False
        self._queue: SimpleQueue[list[Entry] | None] = SimpleQueue()
        self._left: deque[Entry] = deque()
        self._thread = threading.Thread(target=self._run, name=f"runline log {directory.name}", daemon=True)
        self._thread.start()

    def put(self, entries: list[Entry]) -> None:
        """Queue entries, at least one."""
        self._queue.put(entries)

    def stop(self) -> None:
        """End the thread when everything queued so far is done."""
        self._queue.put(None)

    def join(self) -> None:
        """Wait for the thread to end."""
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            group, going = self._next_group()
            if group:
                self._report(self._commit(group))

    def _next_group(self) -> tuple[list[Entry], bool]:
        left = self._left
        group: list[Entry] = []
        size = 0
        while True:
            while left and size < GROUP_BYTES_MAX and len(group) < GROUP_RECORDS_MAX:
                group.append(left.popleft())
                size += len(group[-1].record.value)
            if left or (group and self._queue.empty()):
                return group, True
            entries = self._queue.get()
            if entries is None:
                return group, False
            left.extend(entries)

    def _commit(self, group: list[Entry]) -> Outcome:
        ends: dict[Partition, int] | None = None
        try:
            if self._doubtful:
                ends = self._recover()
            return self._write(group, ends)
        except LogError as error:
            failure = error
        except StoreError as error:
            failure = from_store(error, self._directory)
        except OSError as error:
            failure = from_system(error, self._directory)
        except Exception as error:  # noqa: BLE001 whoever waits must be told, and the next group must find a thread
            failure = LogError(f"the log {self._directory} could not be written: {error!r}.")
        self._doubtful = True
        return Outcome(group, [], {}, failure, ends)

    def _write(self, group: list[Entry], ends: dict[Partition, int] | None) -> Outcome:
        batch = self._store.batch()
        # Whoever sets the machine's clock back must not set the log's time back.
        timestamp = self._latest = max(self._latest, int(self._clock() * 1000))
        offsets: list[int] = []
        taken: dict[Partition, list[LogRecord]] = {}
        for partition, key, headers, record, _, _ in group:
            records = taken.setdefault(partition, [])
            offset = partition.following + len(records)
            stored_key = record_key(partition.prefix, offset)
            batch.put(RECORDS, stored_key, encode(stored_key, timestamp, key, headers, record.value))
            batch.put(KEYS, record_key(index_prefix(partition.prefix, key), offset), b"")
            records.append(LogRecord(offset, timestamp, record.key, record.value, record.headers))
            offsets.append(offset)
        crash_points.reached(CrashPoint.EMBEDDED_BEFORE)
        self._store.write(batch)
        crash_points.reached(CrashPoint.EMBEDDED_WRITTEN)
        if self._synced:
            self._store.flush()
        crash_points.reached(CrashPoint.EMBEDDED_AFTER)
        chunks: dict[Partition, Chunk] = {}
        for partition, records in taken.items():
            partition.following += len(records)
            self._promise(partition)
            chunks[partition] = Chunk(records, sum(len(record.value) for record in records))
        return Outcome(group, offsets, chunks, None, ends)

    def _promise(self, partition: Partition) -> None:
        if self._synced:
            self._acknowledged.synced(partition.index, partition.following)
        else:
            self._acknowledged.written(partition.index, partition.following)

    def _recover(self) -> dict[Partition, int]:
        """Open the store anew after a failed write, and find out what of it happened.

        Raises:
            LogFullError: There is not enough space yet; the old store goes on being read.
            LogError: The store cannot be opened now, or has lost what was promised.
        """
        folder = self._store.directory
        needed = STORE_MARGIN_BYTES + sum(file.stat().st_size for file in folder.glob("*.log"))
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise full(self._directory, f"expected {needed} bytes free before it is written again, but found {free}.")
        with self._records.lock:
            self._store.reopen()
        ends = {partition: self._records.end(partition) for partition in self._partitions}
        for partition, end in ends.items():
            if end < partition.following:
                raise self._records.damaged(partition, f"expected {partition.following} records, but found {end}.")
        for partition, end in ends.items():
            partition.following = end
            self._promise(partition)
        self._doubtful = False
        return ends
