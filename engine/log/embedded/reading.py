"""Reading and following an embedded log beside the process that writes it."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from engine.errors import ClosedError, LogError
from engine.log.embedded.acknowledged import Promises, read_promises
from engine.log.embedded.failures import from_store
from engine.log.embedded.following import Following, FollowingReader, Sleep
from engine.log.embedded.layout import topic_identity
from engine.log.embedded.opening import FAMILIES, STORE, check_identity, partitions_of_log, partitions_promised
from engine.log.embedded.partition import Partition
from engine.log.embedded.records import StoredRecords
from engine.log.errors import LogReadOnlyError, LogReplacedError
from engine.log.place import check_offset, place_unknown
from engine.log.port import COMMANDS, Ends, LogRecord, Member, Owner, Record
from engine.log.scanning import scan_by_reading
from engine.store.errors import StoreError
from engine.store.rocks import RocksStore

_NONE_HINT: Final = "Name the directory of a log; one is made when something is written."


class ReadOnlyLog:
    """A log as it was at the last look at it, with nothing that its writer has not reported as written.

    It is looked at when it is opened, at every `refresh`, and every `FOLLOW_SECONDS` while a reader waits for more.
    Use `EmbeddedLog.open_reading`.
    """

    def __init__(self, directory: Path, sleep: Sleep = asyncio.sleep) -> None:
        self._directory = directory
        self._following = Following(self._look, sleep)
        promises = self._promises()
        self._log_id = promises.log_id
        self._count = partitions_promised(promises)
        self._places = {(place.topic, place.number): place for place in partitions_of_log(self._count)}
        try:
            self._store = RocksStore.open_reading(directory / STORE, FAMILIES)
            self._records = StoredRecords(self._store, directory)
            try:
                check_identity(self._store, directory, promises)
            except BaseException:
                self._store.close()
                raise
        except StoreError as error:
            raise from_store(error, directory) from error
        self._take_over([promise.written for promise in promises.ends])

    @property
    def partitions(self) -> int:
        """The number of partitions of `commands` and of `events`; `workflows` and `rejections` have one."""
        return self._count

    async def topic_id(self, topic: str) -> str:
        """Return the topic's identity, which the directory keeps and its copies have too."""
        return topic_identity(self._log_id, self._partition(topic, 0).topic)

    async def refresh(self) -> None:
        """See what was written since.

        Raises:
            LogReplacedError: The directory holds another log than the one that was opened.
            LogDamagedError: The log is not what was written.
            LogError: It cannot be read.
        """
        await self._following.look()

    @property
    def shared(self) -> bool:
        """Another process appends."""
        return True

    @property
    def indexed(self) -> bool:
        """Every record is found by its key."""
        return True

    @property
    def trouble(self) -> str:
        """What is there can be read."""
        return ""

    async def append(self, topic: str, partition: int, record: Record) -> int:
        """Refuse: another process writes this log."""
        self._refuse(topic, partition, record)

    def send(
        self,
        topic: str,
        partition: int,
        record: Record,
        failed: Callable[[LogError], None],
        *,
        patient: bool = False,  # noqa: ARG002 - records that wait together go together anyhow
    ) -> None:
        """Refuse: another process writes this log."""
        self._refuse(topic, partition, record, failed)

    async def ends(self, topic: str, partition: int) -> Ends:
        """Return the partition's bounds as of the last look."""
        return Ends(0, self._partition(topic, partition).end)

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        """Return up to `count` records from `offset` on, fewer at the end; never waits for new ones.

        Raises:
            OffsetOutOfRangeError: The partition did not reach that far at the last look.
            LogDamagedError: Names the topic, partition and offset of what cannot be read.
        """
        place = self._partition(topic, partition)
        check_offset(topic, partition, offset, Ends(0, place.end))
        return await read_records(self._records, place, offset, min(place.end, offset + count))

    async def scan(
        self, topic: str, partition: int, start: int, end: int, take: Callable[[Sequence[LogRecord]], None]
    ) -> None:
        """Hand over the records from `start` to before `end`, in order."""
        await scan_by_reading(self, topic, partition, start, end, take)

    async def read_key(self, topic: str, partition: int, key: str) -> Sequence[LogRecord]:
        """Return all records with this key, in order."""
        place = self._partition(topic, partition)
        return await read_records_of_key(self._records, place, key, place.end)

    async def first_after(self, topic: str, partition: int, milliseconds: int) -> int:  # noqa: ARG002 - any is right
        """Return an offset with no record below it that was appended at this time or later: the first."""
        return (await self.ends(topic, partition)).start

    async def join(self, group: str, owner: Owner) -> Member:
        """Refuse: another process owns the partitions."""
        self._refuse(COMMANDS, 0, group, owner)

    def reader(self, topic: str, partition: int, offset: int) -> FollowingReader:
        """Return a reader that starts at `offset` and goes on with what is appended, a moment after it was."""
        return FollowingReader(self._partition(topic, partition), self._records, offset, self._following)

    async def close(self) -> None:
        """Let go of the log. Closing twice is allowed."""
        self._records.closed = True
        for place in self._places.values():
            for reader in list(place.readers):
                reader.close()
        self._store.close()

    async def _look(self) -> None:
        if self._records.closed:
            raise ClosedError(f"the log {self._directory} was closed.")
        # What was promised is read first: the store, looked at later, must have it.
        promises = self._promises()
        if promises.log_id != self._log_id:
            raise LogReplacedError(
                f"expected the directory {self._directory} to hold log {self._log_id.hex()}, but it holds "
                f"{promises.log_id.hex()} now.",
                hint="Open it anew; what was read before is no part of this log.",
            )
        # Looking into the store costs much more than to see that there is nothing new in it.
        ends = [promise.written for promise in promises.ends]
        if ends != [place.end for place in self._places.values()]:
            self._catch_up(promises)
            self._take_over(ends)

    def _catch_up(self, promises: Promises) -> None:
        try:
            try:
                self._store.refresh()
            except (StoreError, ClosedError):
                # The writer has begun anew since, with other files.
                self._store.reopen()
                check_identity(self._store, self._directory, promises)
        except StoreError as error:
            raise from_store(error, self._directory) from error

    def _promises(self) -> Promises:
        promises = read_promises(self._directory)
        if promises is None:
            raise LogError(f"expected an embedded log in {self._directory}, but there is none.", hint=_NONE_HINT)
        return promises

    def _take_over(self, ends: Sequence[int]) -> None:
        for place, end in zip(self._places.values(), ends, strict=True):
            if place.end != end:
                place.end = end
                for reader in place.readers:
                    reader.lag()

    def _partition(self, topic: str, partition: int) -> Partition:
        if self._records.closed:
            raise ClosedError(f"the log {self._directory} was closed.")
        found = self._places.get((topic, partition))
        if found is None:
            raise place_unknown(topic, partition, self._count)
        return found

    def _refuse(self, topic: str, partition: int, *_: object) -> NoReturn:
        self._partition(topic, partition)
        raise LogReadOnlyError(
            f"the log {self._directory} was opened for reading beside its writer.",
            hint="Append in the process that opened it with EmbeddedLog.open.",
        )


async def read_records(records: StoredRecords, place: Partition, offset: int, end: int) -> list[LogRecord]:
    """Return the records from `offset` to `end`, letting others run in between."""
    found: list[LogRecord] = []
    while offset < end:
        found += records.page(place, offset, end)
        offset = found[-1].offset + 1
        await asyncio.sleep(0)
    return found


async def read_records_of_key(records: StoredRecords, place: Partition, key: str, end: int) -> list[LogRecord]:
    """Return all records with this key before `end`, letting others run in between."""
    found: list[LogRecord] = []
    while page := records.page_of_key(place, key, found[-1].offset + 1 if found else 0, end):
        found += page
        await asyncio.sleep(0)
    return found
