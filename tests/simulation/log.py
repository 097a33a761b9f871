"""A log in memory: the same port, deterministic, with hooks for everything that can go wrong on the way to a log."""

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Literal, NamedTuple

from engine.errors import ClosedError, LogError
from engine.limits import READ_RECORDS_MAX
from engine.log.alone import Alone
from engine.log.place import check_offset, check_partitions, check_record, partitions_of, place_unknown, places
from engine.log.port import TOPICS, Ends, LogRecord, Owner, Record
from engine.log.scanning import scan_by_reading

Outcome = Literal["lost", "unknown"]

_NUMBERS = count()
"""Tells the topics of all simulated logs of a process apart."""


class Partition:
    """The records of one partition, shared by all clients of a simulated log.

    Attributes:
        start: The first offset still there.
        records: What it holds from `start` on.
        history: All that it ever held: what retention removed counts for whoever checks.
        elections: From which offsets on records were lost, in the order in which that happened.
        readers: Who waits for more.
    """

    def __init__(self) -> None:
        self.start = 0
        self.records: list[LogRecord] = []
        self.history: list[LogRecord] = []
        self.elections: list[int] = []
        self.readers: set[SimulatedReader] = set()

    @property
    def end(self) -> int:
        """The offset that the next record gets."""
        return self.start + len(self.records)

    def from_offset(self, offset: int, count: int) -> list[LogRecord]:
        """Return up to `count` records from `offset` on."""
        return self.records[offset - self.start : offset - self.start + max(count, 0)]

    def wake(self) -> None:
        """Tell everyone who waits that something changed."""
        for reader in sorted(self.readers, key=lambda reader: reader.number):
            reader.wake()


class Flight(NamedTuple):
    """A record on its way to the log.

    Attributes:
        lands: Whether it will be there.
        error: What its writer is told, or None for success.
        landed: Called with its offset when it is there and the writer is told so.
        failed: Called with the error.
    """

    topic: str
    partition: int
    record: Record
    lands: bool
    error: LogError | None
    landed: Callable[[int], None] | None
    failed: Callable[[LogError], None]


class SimulatedReader:
    """A reader of a simulated log."""

    def __init__(self, log: "SimulatedLog", topic: str, partition: int, offset: int, number: int) -> None:
        self.number = number
        self._log = log
        self._place = (topic, partition)
        self._partition = log.partition(topic, partition)
        self._position = offset
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._partition.readers.add(self)

    async def next(self) -> Sequence[LogRecord]:
        """Return the next records, at least one; wait until there are any."""
        assert self._waiter is None, "a reader belongs to one task"
        while True:
            if self._closed:
                raise ClosedError("the reader was closed.")
            if records := self._look():
                self._position = records[-1].offset + 1
                return records
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _look(self) -> Sequence[LogRecord]:
        check_offset(*self._place, self._position, Ends(self._partition.start, self._partition.end))
        return self._partition.from_offset(self._position, READ_RECORDS_MAX)

    def wake(self) -> None:
        """Look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """Stop reading; a waiting `next` raises ClosedError."""
        self._closed = True
        self._partition.readers.discard(self)
        self._log.forget(self)
        self.wake()


class SimulatedLog:
    """A log in memory, and one client of it: what is held or fails here leaves other clients alone.

    Args:
        partitions: The number of partitions of `commands` and of `events`.
        clock: Seconds since 1970 UTC; the time of the records.
        shared: Whether engines are told that others append too, and that keys are not indexed: as on Kafka.
    """

    def __init__(self, partitions: int = 1, clock: Callable[[], float] = time.time, *, shared: bool = False) -> None:
        check_partitions(partitions)
        self._shared = shared
        self._count = partitions
        self._clock = clock
        self._places = {place: Partition() for place in places(partitions)}
        self._topic_ids = {topic: next(_NUMBERS) for topic in TOPICS}
        self._in_flight: list[Flight] = []
        self._failures: dict[str, list[Outcome]] = {}
        self._readers: dict[SimulatedReader, None] = {}
        self._reader_count = [0]
        self._held = False
        self._scheduled = False
        self._closed = False

    @property
    def partitions(self) -> int:
        """The number of partitions of `commands` and of `events`; `workflows` and `rejections` have one."""
        return self._count

    async def topic_id(self, topic: str) -> str:
        """Return the topic's identity, which changes with `recreate`."""
        self._check_open()
        self.partition(topic, 0)
        return f"{topic}-{self._topic_ids[topic]}"

    @property
    def shared(self) -> bool:
        """What the constructor was told; every executor here owns everything, alone or not."""
        return self._shared

    @property
    def indexed(self) -> bool:
        """A log that others append to too plays one without an index."""
        return not self._shared

    @property
    def clock(self) -> Callable[[], float]:
        """The time that records get, in seconds since 1970 UTC."""
        return self._clock

    @property
    def trouble(self) -> str:
        """Nothing that lasts."""
        return ""

    def client(self) -> "SimulatedLog":
        """Return another client of the same records, as another process has one."""
        other = SimulatedLog(self._count, self._clock, shared=self._shared)
        other._share_with(self)
        return other

    def add_topic(self, topic: str) -> None:
        """Give the log and its clients another topic of one partition."""
        self._places[topic, 0] = Partition()
        self._topic_ids[topic] = next(_NUMBERS)

    def partition(self, topic: str, partition: int) -> Partition:
        """Return the records of a partition, for checkers; raises PlaceUnknownError."""
        found = self._places.get((topic, partition))
        if found is None:
            raise place_unknown(topic, partition, self._count)
        return found

    async def append(self, topic: str, partition: int, record: Record) -> int:
        """Append one record and return its offset once it is there."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def landed(offset: int) -> None:
            if not future.done():
                future.set_result(offset)

        def failed(error: LogError) -> None:
            if not future.done():
                future.set_exception(error)

        self._take_off(topic, partition, record, landed, failed)
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
        """Append one record without waiting: reading it back is the acknowledgement."""
        self._take_off(topic, partition, record, None, failed)

    async def ends(self, topic: str, partition: int) -> Ends:
        """Return the partition's bounds now."""
        self._check_open()
        found = self.partition(topic, partition)
        return Ends(found.start, found.end)

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        """Return up to `count` records from `offset` on, fewer at the end; never waits for new ones."""
        self._check_open()
        found = self.partition(topic, partition)
        check_offset(topic, partition, offset, Ends(found.start, found.end))
        return found.from_offset(offset, count)

    async def scan(
        self, topic: str, partition: int, start: int, end: int, take: Callable[[Sequence[LogRecord]], None]
    ) -> None:
        """Hand over the records from `start` to before `end`, in order."""
        await scan_by_reading(self, topic, partition, start, end, take)

    async def read_key(self, topic: str, partition: int, key: str) -> Sequence[LogRecord]:
        """Return all records with this key, in order."""
        self._check_open()
        return [record for record in self.partition(topic, partition).records if record.key == key]

    async def first_after(self, topic: str, partition: int, milliseconds: int) -> int:
        """Return the offset of the first record appended at this time or later, or the end."""
        found = self.partition(topic, partition)
        later = (record.offset for record in found.records if record.timestamp >= milliseconds)
        return next(later, found.end)

    async def join(self, group: str, owner: Owner) -> Alone:  # noqa: ARG002 - groups are for logs with brokers
        """Own all partitions, however many others do."""
        self._check_open()
        return Alone(self._count, owner)

    def reader(self, topic: str, partition: int, offset: int) -> SimulatedReader:
        """Return a reader that starts at `offset` and goes on with what is appended."""
        self._check_open()
        self._reader_count[0] += 1
        reader = SimulatedReader(self, topic, partition, offset, self._reader_count[0])
        self._readers[reader] = None
        return reader

    async def close(self) -> None:
        """Land everything in flight, held or not, and close the readers; other clients go on."""
        if self._closed:
            return
        self._closed = True
        self._held = False
        self._deliver()
        self._close_readers()

    # Hooks for tests.

    def fail_next(self, topic: str, n: int = 1, outcome: Outcome = "lost") -> None:
        """Let the next `n` records of a topic fail: `lost` ones never land, `unknown` ones do; both report an error."""
        self._failures.setdefault(topic, []).extend([outcome] * n)

    def hold(self) -> None:
        """Keep this client's records in flight until `release`; nobody is told anything."""
        self._held = True

    def release(self) -> None:
        """Let held records land, in order, in the next turn of the event loop."""
        self._held = False
        self._schedule()

    def heal(self) -> None:
        """Let everything succeed and land from now on."""
        self._failures.clear()
        self.release()

    @property
    def in_flight(self) -> Sequence[Flight]:
        """The records that have not landed yet."""
        return tuple(self._in_flight)

    def land(self, topic: str, partition: int, record: Record) -> int:
        """Put a record of somebody else into the log at once, ahead of all that is in flight; return its offset."""
        found = self.partition(topic, partition)
        landed = LogRecord(found.end, int(self._clock() * 1000), *record)
        found.records.append(landed)
        found.history.append(landed)
        found.wake()
        return landed.offset

    def truncate_before(self, topic: str, partition: int, offset: int) -> None:
        """Remove the records before `offset`, as retention does."""
        found = self.partition(topic, partition)
        check_offset(topic, partition, offset, Ends(found.start, found.end))
        del found.records[: offset - found.start]
        found.start = offset
        found.wake()

    def truncate_from(self, topic: str, partition: int, offset: int) -> None:
        """Remove the records from `offset` on, as an unclean election does; later ones get these offsets again."""
        found = self.partition(topic, partition)
        check_offset(topic, partition, offset, Ends(found.start, found.end))
        del found.records[offset - found.start :]
        del found.history[offset:]
        found.elections.append(offset)
        found.wake()

    def recreate(self, topic: str) -> None:
        """Delete a topic and make it again, empty and with another identity."""
        self._topic_ids[topic] = next(_NUMBERS)
        for number in range(partitions_of(topic, self._count)):
            found = self.partition(topic, number)
            found.start = 0
            found.records.clear()
            found.history.clear()
            found.wake()

    def abandon(self) -> None:
        """Die: what is in flight never lands, nobody is told, and this client's readers close."""
        self._closed = True
        self._in_flight.clear()
        self._close_readers()

    def forget(self, reader: SimulatedReader) -> None:
        """Drop a reader that was closed."""
        self._readers.pop(reader, None)

    def _share_with(self, log: "SimulatedLog") -> None:
        self._places = log._places
        self._topic_ids = log._topic_ids
        self._reader_count = log._reader_count

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the log was closed.")

    def _close_readers(self) -> None:
        for reader in list(self._readers):
            reader.close()

    def _take_off(
        self,
        topic: str,
        partition: int,
        record: Record,
        landed: Callable[[int], None] | None,
        failed: Callable[[LogError], None],
    ) -> None:
        self._check_open()
        self.partition(topic, partition)
        check_record(topic, record)
        failures = self._failures.get(topic)
        outcome = failures.pop(0) if failures else None
        error = None
        if outcome is not None:
            error = LogError(f"a planted failure: the record for topic {topic}, partition {partition}, is {outcome}.")
        self._in_flight.append(Flight(topic, partition, record, outcome != "lost", error, landed, failed))
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self._held and self._in_flight:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        if self._held:
            return
        flights, self._in_flight = self._in_flight, []
        for flight in flights:
            offset = self.land(flight.topic, flight.partition, flight.record) if flight.lands else None
            if flight.error is not None:
                flight.failed(flight.error)
            elif flight.landed is not None and offset is not None:
                flight.landed(offset)
