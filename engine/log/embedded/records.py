"""The records in the store: read in order and checked, each missing one noticed."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from engine.errors import LogDamagedError
from engine.limits import READ_BYTES_MAX, READ_RECORDS_MAX
from engine.log.embedded.failures import damaged, from_store
from engine.log.embedded.layout import KEYS, RECORDS, decode, index_prefix, offset_of, record_key
from engine.log.embedded.partition import Partition
from engine.log.port import LogRecord
from engine.store.errors import StoreError
from engine.store.port import Row, Store, prefix_end

_Result = TypeVar("_Result")


class StoredRecords:
    """Reads a log's store. The lock keeps readers away while the committer opens the store anew.

    Attributes:
        store: The store.
        lock: Held during every use of the store by a reader, and while the store is opened anew.
    """

    def __init__(self, store: Store, directory: Path) -> None:
        self.store = store
        self.lock = threading.Lock()
        self._directory = directory

    def page(self, partition: Partition, offset: int, end: int) -> list[LogRecord]:
        """Return at least one of the records from `offset` to `end`, and no more than is good to hold at once.

        Raises:
            LogDamagedError: A record is missing or not what was written.
        """
        count = min(READ_RECORDS_MAX, end - offset)
        first, last = record_key(partition.prefix, offset), record_key(partition.prefix, offset + count)
        rows = self._use(
            lambda: self.store.scan(RECORDS, first, last, limit=count, bytes_max=READ_BYTES_MAX), partition, offset
        )
        if not rows:
            raise self.damaged(partition, f"expected a record at offset {offset}, but found none.")
        return self._decoded(partition, rows, offset)

    def page_of_key(self, partition: Partition, key: str, offset: int, end: int) -> list[LogRecord]:
        """Return some of the records with this key from `offset` to `end`, or none when there are no more.

        Raises:
            LogDamagedError: A record is missing or not what was written.
        """
        prefix = index_prefix(partition.prefix, key.encode())
        first, last = record_key(prefix, offset), record_key(prefix, end)
        rows = self._use(lambda: self.store.scan(KEYS, first, last, limit=READ_RECORDS_MAX), partition, offset)
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
        stored = self._use(lambda: self.store.get(RECORDS, stored_key), partition, offset)
        if stored is None:
            raise self.damaged(partition, f"expected a record at offset {offset}, but found none.")
        return self._decoded(partition, [(stored_key, stored)], offset)[0]

    def end(self, partition: Partition) -> int:
        """Return the offset behind the last record in the store."""
        rows = self._use(
            lambda: self.store.scan(
                RECORDS, partition.prefix, prefix_end(partition.prefix), limit=1, bytes_max=1, reverse=True
            ),
            partition,
            0,
        )
        return offset_of(rows[0][0]) + 1 if rows else 0

    def check_tail(self, partition: Partition, end: int, size: int) -> None:
        """Read back from `end` over this many bytes, and the first record, to find what recovery may have dropped.

        Raises:
            LogDamagedError: A record is missing or not what was written.
        """
        if end > 0:
            self.one(partition, 0)
        while end > 0 and size > 0:
            first, last = record_key(partition.prefix, 0), record_key(partition.prefix, end)
            rows = self._use(
                lambda first=first, last=last: self.store.scan(  # type: ignore[misc]
                    RECORDS, first, last, limit=READ_RECORDS_MAX, bytes_max=READ_BYTES_MAX, reverse=True
                ),
                partition,
                end - 1,
            )
            begin = end - len(rows)
            if not rows:
                raise self.damaged(partition, f"expected a record at offset {end - 1}, but found none.")
            self._decoded(partition, reversed(rows), begin)
            size -= sum(len(stored) for _, stored in rows)
            end = begin

    def damaged(self, partition: Partition, what: str) -> LogDamagedError:
        """Return the error for a partition that is not what was written."""
        return damaged(self._directory, f"{partition}: {what}")

    def _decoded(self, partition: Partition, rows: Iterable[Row], offset: int) -> list[LogRecord]:
        try:
            return [decode(stored_key, stored, expected) for expected, (stored_key, stored) in enumerate(rows, offset)]
        except LogDamagedError as error:
            raise self.damaged(partition, str(error)) from error

    def _use(self, action: Callable[[], _Result], partition: Partition, offset: int) -> _Result:
        with self.lock:
            try:
                return action()
            except StoreError as error:
                failure = from_store(error, self._directory)
                if isinstance(failure, LogDamagedError):
                    failure = self.damaged(partition, f"reading at offset {offset}: {error}")
                raise failure from error
