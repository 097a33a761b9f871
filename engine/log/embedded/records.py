"""The records in the store: read in order and checked, each missing one noticed."""

import itertools
import threading
from collections.abc import Sequence
from pathlib import Path

from engine.errors import ClosedError, LogDamagedError, LogError
from engine.limits import READ_BYTES_MAX, READ_RECORDS_MAX
from engine.log.embedded.failures import FULL_HINT, damaged, from_store
from engine.log.embedded.layout import KEYS, RECORDS, decode, index_prefix, offset_of, record_key
from engine.log.embedded.partition import Partition
from engine.log.port import LogRecord
from engine.store.errors import StoreError
from engine.store.port import Row, Store, prefix_end


class StoredRecords:
    """Reads a log's store.

    Attributes:
        store: The store.
        lock: Held during every use of the store here; whoever opens it anew or closes it takes it too.
        closed: Whether the log was closed, rather than the store lost for a while.
    """

    def __init__(self, store: Store, directory: Path) -> None:
        self.store = store
        self.lock = threading.Lock()
        self.closed = False
        self._directory = directory

    def page(self, partition: Partition, offset: int, end: int) -> list[LogRecord]:
        """Return at least one of the records from `offset` to `end`, and no more than is good to hold at once.

        Raises:
            LogDamagedError: A record is missing or not what was written.
        """
        count = min(READ_RECORDS_MAX, end - offset)
        first, last = record_key(partition.prefix, offset), record_key(partition.prefix, offset + count)
        rows = self._scan(partition, RECORDS, first, last, limit=count)
        if not rows:
            raise self._missing(partition, offset)
        return self._decoded(partition, rows, offset)

    def page_of_key(self, partition: Partition, key: str, offset: int, end: int) -> list[LogRecord]:
        """Return some of the records with this key from `offset` to `end`, or none when there are no more.

        Raises:
            LogDamagedError: A record is missing or not what was written.
        """
        prefix = index_prefix(partition.prefix, key.encode())
        rows = self._scan(partition, KEYS, record_key(prefix, offset), record_key(prefix, end), limit=READ_RECORDS_MAX)
        records: list[LogRecord] = []
        size = 0
        for row in rows:
            record = self.one(partition, offset_of(row[0]))
            if record.key != key:
                raise self.damaged(partition, f"expected key {key!r} at offset {record.offset}, found {record.key!r}.")
            records.append(record)
            size += len(record.value)
            if size >= READ_BYTES_MAX:
                break
        return records

    def one(self, partition: Partition, offset: int) -> LogRecord:
        """Return the record at an offset.

        Raises:
            LogDamagedError: It is missing or not what was written.
        """
        stored_key = record_key(partition.prefix, offset)
        with self.lock:
            try:
                stored = self.store.get(RECORDS, stored_key)
            except (StoreError, ClosedError) as error:
                raise self._failure(partition, offset, error) from error
        if stored is None:
            raise self._missing(partition, offset)
        return self._decoded(partition, [(stored_key, stored)], offset)[0]

    def end(self, partition: Partition) -> int:
        """Return the offset behind the last record in the store."""
        last = prefix_end(partition.prefix)
        rows = self._scan(partition, RECORDS, record_key(partition.prefix, 0), last, limit=1, reverse=True)
        return offset_of(rows[0][0]) + 1 if rows else 0

    def check_tail(self, partition: Partition, end: int, size: int) -> None:
        """Read back from `end` over this many bytes, and the first record, to find what a recovery may have dropped.

        Raises:
            LogDamagedError: A record is missing or not what was written.
        """
        if end > 0:
            self.one(partition, 0)
        first = record_key(partition.prefix, 0)
        while end > 0 and size > 0:
            last = record_key(partition.prefix, end)
            rows = self._scan(partition, RECORDS, first, last, limit=READ_RECORDS_MAX, reverse=True)
            if not rows:
                raise self._missing(partition, end - 1)
            self._decoded(partition, rows, end - 1, step=-1)
            size -= sum(len(stored) for _, stored in rows)
            end -= len(rows)

    def damaged(self, partition: Partition, what: str) -> LogDamagedError:
        """Return the error for a partition that is not what was written."""
        return damaged(self._directory, f"{partition}: {what}")

    def _missing(self, partition: Partition, offset: int) -> LogDamagedError:
        return self.damaged(partition, f"expected a record at offset {offset}, but found none.")

    def _decoded(self, partition: Partition, rows: Sequence[Row], offset: int, step: int = 1) -> list[LogRecord]:
        try:
            return [
                decode(stored_key, stored, expected)
                for expected, (stored_key, stored) in zip(itertools.count(offset, step), rows, strict=False)
            ]
        except LogDamagedError as error:
            raise self.damaged(partition, str(error)) from error

    def _scan(
        self, partition: Partition, family: str, first: bytes, last: bytes | None, *, limit: int, reverse: bool = False
    ) -> list[Row]:
        with self.lock:
            try:
                return self.store.scan(family, first, last, limit=limit, bytes_max=READ_BYTES_MAX, reverse=reverse)
            except (StoreError, ClosedError) as error:
                raise self._failure(partition, offset_of(first), error) from error

    def _failure(self, partition: Partition, offset: int, error: StoreError | ClosedError) -> LogError | ClosedError:
        if isinstance(error, ClosedError):
            if self.closed:
                return ClosedError(f"the log {self._directory} was closed.")
            return LogError(f"the log {self._directory} cannot be read until it can be written again.", hint=FULL_HINT)
        failure = from_store(error, self._directory)
        if isinstance(failure, LogDamagedError):
            return self.damaged(partition, f"reading from offset {offset} on: {error}")
        return failure
