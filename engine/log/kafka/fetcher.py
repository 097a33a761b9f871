"""The fetchers: Kafka consumers that read a stretch of a partition and answer where it begins and ends."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import Empty, LifoQueue
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from engine.errors import ClosedError
from engine.limits import (
    KAFKA_ANSWER_SECONDS_MAX,
    KAFKA_FETCHERS_MAX,
    KAFKA_READ_SECONDS_MAX,
    KAFKA_TAKE_RECORDS,
)
from engine.log.errors import LogUnreachableError
from engine.log.kafka.failures import UNREADABLE, from_exception, from_kafka, is_moved, is_place_unknown
from engine.log.kafka.messages import first_of_batch, log_record
from engine.log.kafka.obstacle import Obstacle
from engine.log.kafka.properties import CLIENT_LOGGER, Property
from engine.log.place import check_offset
from engine.log.port import Ends, LogRecord

T = TypeVar("T")

_POLL_SECONDS = 0.5
_SCAN_RECORDS = 10_000


class Fetchers:
    """Consumers for reads that end, each used by one thread at a time.

    Args:
        properties: The consumers'.
    """

    def __init__(self, properties: Mapping[str, Property]) -> None:
        self._properties = dict(properties)
        self._idle: LifoQueue[Consumer] = LifoQueue()
        self._threads = ThreadPoolExecutor(KAFKA_FETCHERS_MAX, "runline kafka fetcher")
        # One scan at a time: two would only wait for each other, as Python runs one thread at a time.
        self._scanner = ThreadPoolExecutor(1, "runline kafka scan")
        self._closed = False

    async def ends(self, topic: str, partition: int) -> Ends:
        """Return the partition's bounds now."""
        return await self._with(
            f"find the ends of {topic}/{partition}", lambda consumer: _ends(consumer, topic, partition)
        )

    async def read(self, topic: str, partition: int, offset: int, count: int) -> list[LogRecord]:
        """Return up to `count` records from `offset` on, fewer at the end."""
        return await self._with(
            f"read {topic}/{partition} from offset {offset}",
            lambda consumer: _read(consumer, topic, partition, offset, count),
        )

    async def scan(
        self, topic: str, partition: int, start: int, end: int, take: Callable[[Sequence[LogRecord]], None]
    ) -> None:
        """Hand over the records from `start` to before `end`, in the scans' thread."""
        given_up = threading.Event()
        position = start

        def walk(consumer: Consumer) -> None:
            nonlocal position
            check_offset(topic, partition, position, _ends(consumer, topic, partition))
            stretch = _Stretch(consumer, topic, partition, position, end)
            with stretch.assigned():
                while not stretch.done and not (given_up.is_set() or self._closed):
                    stretch.go_on()
                    records, stretch.records = stretch.records, []
                    if records:
                        position = records[-1].offset + 1
                        take(records)

        if start >= end:
            return
        scanning = asyncio.create_task(self._with(f"read {topic}/{partition} from offset {start}", walk, self._scanner))
        try:
            await asyncio.shield(scanning)
        except asyncio.CancelledError:
            # Whoever gave up may let go of what `take` works on, so it must not be called any more.
            given_up.set()
            while not scanning.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([scanning])
            if not scanning.cancelled():
                scanning.exception()  # nobody else hears of it
            raise
        if self._closed:
            raise ClosedError("the log was closed.")

    async def read_key(self, topic: str, partition: int, key: str) -> list[LogRecord]:
        """Return all records with this key."""

        def find(consumer: Consumer) -> list[LogRecord]:
            found: list[LogRecord] = []
            start, end = _ends(consumer, topic, partition)
            while start < end:
                records = _read(consumer, topic, partition, start, _SCAN_RECORDS)
                if not records:
                    break
                found += [record for record in records if record.key == key]
                start = records[-1].offset + 1
            return found

        return await self._with(f"read {topic}/{partition}", find)

    async def first_after(self, topic: str, partition: int, milliseconds: int) -> int:
        """Return the offset of the first record that is not older than this, or the end where there is none."""
        return await self._with(
            f"find a time in {topic}/{partition}",
            lambda consumer: _first_after(consumer, topic, partition, milliseconds),
        )

    def close(self) -> None:
        """Let go of the consumers. Blocks."""
        self._closed = True
        self._scanner.shutdown(cancel_futures=True)
        self._threads.shutdown(cancel_futures=True)
        while not self._idle.empty():
            self._idle.get().close()

    def _take(self) -> Consumer:
        try:
            return self._idle.get_nowait()
        except Empty:
            return self._make()

    def _make(self) -> Consumer:
        return Consumer(self._properties, logger=CLIENT_LOGGER)

    def _use(self, consumer: Consumer, use: Callable[[Consumer], T]) -> T:
        try:
            found = use(consumer)
        except BaseException:
            consumer.close()
            raise
        self._idle.put(consumer)
        return found

    async def _with(self, doing: str, use: Callable[[Consumer], T], threads: ThreadPoolExecutor | None = None) -> T:
        if self._closed:
            raise ClosedError("the log was closed.")

        def work() -> T:
            try:
                return self._use(self._take(), use)
            except KafkaException as exception:
                failure = exception
            if is_moved(failure):
                # Consumers that waited know the old leader; a new one asks where the partition is.
                try:
                    return self._use(self._make(), use)
                except KafkaException as exception:
                    failure = exception
            raise from_exception(failure, doing) from failure

        return await asyncio.get_running_loop().run_in_executor(threads or self._threads, work)


def _ends(consumer: Consumer, topic: str, partition: int) -> Ends:
    place = TopicPartition(topic, partition)
    try:
        return Ends(*consumer.get_watermark_offsets(place, timeout=KAFKA_ANSWER_SECONDS_MAX))
    except KafkaException as exception:
        if not is_place_unknown(exception):
            raise
        # A client that has not heard of any partition says so, too: only the brokers know.
        consumer.list_topics(topic, timeout=_POLL_SECONDS)
        return Ends(*consumer.get_watermark_offsets(place, timeout=KAFKA_ANSWER_SECONDS_MAX))


def _first_after(consumer: Consumer, topic: str, partition: int, milliseconds: int) -> int:
    (found,) = consumer.offsets_for_times(
        [TopicPartition(topic, partition, max(milliseconds, 0))], timeout=KAFKA_ANSWER_SECONDS_MAX
    )
    if found.error is not None:
        raise from_kafka(found.error, f"find a time in {topic}/{partition}")
    return found.offset if found.offset >= 0 else _ends(consumer, topic, partition).end


def _read(consumer: Consumer, topic: str, partition: int, offset: int, count: int) -> list[LogRecord]:
    ends = _ends(consumer, topic, partition)
    check_offset(topic, partition, offset, ends)
    if count <= 0 or offset == ends.end:
        return []
    stretch = _Stretch(consumer, topic, partition, offset, min(ends.end, offset + count))
    with stretch.assigned():
        while not stretch.done:
            stretch.go_on()
    return stretch.records[:count]


class _Stretch:
    """Records from one offset to another, as far as they have come."""

    def __init__(self, consumer: Consumer, topic: str, partition: int, offset: int, end: int) -> None:
        self._consumer = consumer
        self._place = (topic, partition)
        self._position = offset
        self._end = end
        self._obstacle: Obstacle | None = None
        self._patience = time.monotonic() + KAFKA_READ_SECONDS_MAX
        self.records: list[LogRecord] = []

    @property
    def done(self) -> bool:
        """Whether nothing more is to come."""
        return self._position >= self._end

    @contextmanager
    def assigned(self) -> Iterator[None]:
        """Let the consumer fetch for as long as the context is entered."""
        self._consumer.assign([TopicPartition(*self._place, self._position)])
        try:
            yield
        finally:
            self._consumer.unassign()

    def go_on(self) -> None:
        """Take what has come."""
        first = self._consumer.poll(_POLL_SECONDS)
        if first is None:
            if time.monotonic() > self._patience:
                raise LogUnreachableError(
                    f"expected a record of {self._name} at offset {self._position} within {KAFKA_READ_SECONDS_MAX} s, "
                    "but found none.",
                    hint="Are the brokers up?",
                )
            return
        for message in [first, *self._consumer.consume(KAFKA_TAKE_RECORDS, 0)]:
            error = message.error()
            if error is not None:
                if self._stumble(error, message):
                    # What was taken along stands where reading was before.
                    return
            elif self._obstacle is not None and self._obstacle.real:
                self._obstacle.readable()
                self._seek(self._obstacle)
                return
            elif not self.done:
                self._obstacle = None
                record = log_record(message)
                self._position = record.offset + 1
                self._patience = time.monotonic() + KAFKA_READ_SECONDS_MAX
                self.records.append(record)

    def _stumble(self, error: KafkaError, message: Message) -> bool:
        """Return whether reading goes on somewhere else."""
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's public name
            if self._obstacle is None or not self._obstacle.real:
                self._position = self._end
                return False
            self._obstacle.readable()
        elif error.code() in UNREADABLE:
            # The lanes say it aloud.
            first = first_of_batch(message)
            if self._obstacle is None:
                self._obstacle = Obstacle(first, self._position, self._end)
            else:
                self._obstacle.failed(first)
        else:
            failure = from_kafka(error, f"read {self._name} at offset {self._position}")
            if not isinstance(failure, LogUnreachableError):
                raise failure
            return False
        self._seek(self._obstacle)
        return True

    def _seek(self, obstacle: Obstacle) -> None:
        """Read on where the search for the end of what cannot be unpacked goes on, or has come to its end."""
        self._patience = time.monotonic() + KAFKA_READ_SECONDS_MAX
        if obstacle.passed:
            self._position, self._obstacle = obstacle.position, None
        self._consumer.seek(TopicPartition(*self._place, obstacle.position))

    @property
    def _name(self) -> str:
        return "/".join(map(str, self._place))
