"""A lane: one Kafka consumer on a thread of its own, which reads for at most one reader of each partition."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from engine.errors import LogError
from engine.limits import (
    KAFKA_ANSWER_SECONDS_MAX,
    KAFKA_FOREIGN_FETCH_BYTES_MAX,
    KAFKA_TAKE_BYTES_MAX,
    KAFKA_TAKE_RECORDS,
    TAIL_BYTES_MAX,
)
from engine.log.errors import LogUnreachableError, OffsetOutOfRangeError
from engine.log.held import held_bytes
from engine.log.kafka.failures import UNREADABLE, from_exception, from_kafka
from engine.log.kafka.messages import first_of_batch, log_record
from engine.log.kafka.obstacle import Obstacle
from engine.log.kafka.properties import CLIENT_LOGGER, Property
from engine.log.kafka.reader import KafkaReader
from engine.log.place import check_offset
from engine.log.port import COMMANDS, REJECTIONS, Ends, LogRecord

_LOGGER = logging.getLogger("runline.kafka")

_ORDER_SECONDS = 0.02
"""How long an order may wait: the consumer is the thread's alone, and the thread is inside `poll`."""
_HANDED_MAX = 4
"""Batches on their way to the event loop, beyond which nothing more is read."""
_PIECE: Final = 10
"""Messages that are taken from the client before their bytes are looked at."""
_FOREIGN: Final = (f".{COMMANDS}", f".{REJECTIONS}")
"""Ends the names of topics whose records are, or repeat, what programs have written that know nothing of limits."""
_FOREIGN_PROPERTIES: Final[Mapping[str, Property]] = {
    # A client unpacks a whole answer at once, so what it asks for bounds how much that can be.
    "fetch.message.max.bytes": KAFKA_FOREIGN_FETCH_BYTES_MAX,
    "fetch.max.bytes": KAFKA_FOREIGN_FETCH_BYTES_MAX,
    # The client raises the one above to this; a batch that is larger comes all the same, alone.
    "message.max.bytes": KAFKA_FOREIGN_FETCH_BYTES_MAX,
}
_PATIENCE_SECONDS = 0.1
"""How long everybody in a lane waits for a reader that is held, before the client reads on for the others.

A client that has paused a partition throws away what it has read ahead and takes some 0.3 s to begin anew: most of the
time that a backlog of large records took, when it was read a little faster than it was folded.
"""
_METADATA_SECONDS = 1.0
"""How long to ask where a topic is; the client asks by itself too, but only once a second."""

_Place = tuple[str, int]


class Lane:
    """Reads partitions and hands the records over to their readers in the event loop.

    A lane is either for what strangers may have written or for the engine's own records, as its first reader says: of
    the former it asks for little at once, because strangers choose what that unpacks to.

    Args:
        properties: The consumer's.
        noticed: Called in the lane's thread with every error that concerns no single partition.
    """

    def __init__(self, properties: Mapping[str, Property], noticed: Callable[[KafkaError], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._properties = {**properties, "error_cb": noticed}
        self._foreign = False
        self._places: set[_Place] = set()
        self._orders: deque[Callable[[], None]] = deque()
        self._readers: dict[_Place, KafkaReader] = {}
        self._obstacles: dict[_Place, Obstacle] = {}
        self._held_since: dict[KafkaReader, float] = {}
        self._paused: set[KafkaReader] = set()
        self._slow: set[KafkaReader] = set()
        self._located: set[str] = set()
        # Each is counted by one thread alone.
        self._handed = self._taken = 0
        self._handed_bytes = self._taken_bytes = 0
        self._room = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    # In the event loop.

    def has(self, topic: str, partition: int) -> bool:
        """Return whether the lane reads this partition for somebody already, or is for other topics."""
        return (topic, partition) in self._places or topic.endswith(_FOREIGN) is not self._foreign

    def add(self, reader: KafkaReader) -> None:
        """Begin to read for a reader."""
        self._places.add((reader.topic, reader.partition))
        self._orders.append(lambda: self._assign(reader))
        if self._thread is None:
            self._begin(reader)

    def remove(self, reader: KafkaReader) -> None:
        """Stop reading for a reader."""
        self._places.discard((reader.topic, reader.partition))
        self._orders.append(lambda: self._unassign(reader))

    def hold(self, reader: KafkaReader, held: bool) -> None:  # noqa: FBT001 - the reader's callback
        """Hold back, or go on, reading for a reader."""
        self._orders.append(lambda: self._held(reader, held))
        self._room.set()

    def stop(self) -> None:
        """Let the thread end; `join` waits for it."""
        self._stopping = True

    def join(self) -> None:
        """Wait for the thread to end. Blocks."""
        if self._thread is not None:
            self._thread.join()

    def _begin(self, reader: KafkaReader) -> None:
        self._foreign = reader.topic.endswith(_FOREIGN)
        properties = {**self._properties, **_FOREIGN_PROPERTIES} if self._foreign else self._properties
        self._consumer = Consumer(properties, logger=CLIENT_LOGGER)
        self._thread = threading.Thread(target=self._run, name="runline kafka lane", daemon=True)
        self._thread.start()

    def _offer(self, batches: list[tuple[KafkaReader, list[LogRecord], int]]) -> None:
        self._taken += 1
        for reader, records, size in batches:
            self._taken_bytes += size
            reader.offer(records, size)
        self._room.set()

    # In the lane's thread.

    def _run(self) -> None:
        try:
            while not self._stopping:
                try:
                    self._turn()
                except Exception as error:
                    # A mistake of ours or of the client: nobody may wait in silence for it.
                    _LOGGER.exception("Reading failed")
                    self._fail_all(LogError(f"expected records to read, but {error!r}."))
        finally:
            self._consumer.close()

    def _turn(self) -> None:
        while self._orders:
            self._orders.popleft()()
        if self._held_since and self._waits():
            self._room.wait(_ORDER_SECONDS)
            self._room.clear()
            return
        if self._handed - self._taken >= _HANDED_MAX or self._handed_bytes - self._taken_bytes > TAIL_BYTES_MAX:
            # The event loop has other things to do: what it does not take stays with the client, which has bounds.
            self._room.wait(_ORDER_SECONDS)
            self._room.clear()
            return
        first = self._consumer.poll(_ORDER_SECONDS)
        if first is not None:
            self._hand_over(self._more(first))

    def _more(self, first: Message) -> list[Message]:
        """Return a message with those that are there behind it, up to so many, or so many bytes."""
        messages, size = [first], len(first)
        while len(messages) <= KAFKA_TAKE_RECORDS and size <= KAFKA_TAKE_BYTES_MAX:
            piece = self._consumer.consume(_PIECE, 0)
            messages += piece
            if len(piece) < _PIECE:
                break
            size += sum(map(len, piece))
        return messages

    def _fail_all(self, failure: LogError) -> None:
        for reader in list(self._readers.values()):
            self._unassign(reader)
            self._tell(reader.fail, failure)

    def _hand_over(self, messages: list[Message]) -> None:
        batches: dict[KafkaReader, list[LogRecord]] = {}
        elsewhere: set[KafkaReader] = set()
        for message in messages:
            reader = self._readers.get((message.topic(), message.partition()))  # type: ignore[arg-type]  # None is no key
            # Where reading goes on somewhere else, what was taken along is from before.
            if reader is None or reader in elsewhere:
                continue
            records = batches.get(reader)
            error = message.error()
            if error is not None:
                if records is not None:
                    reader.offset = records[-1].offset + 1
                if self._failed(reader, error, message):
                    elsewhere.add(reader)
            elif self._obstacles and self._searching(reader):
                elsewhere.add(reader)
            elif records is None:
                batches[reader] = [log_record(message)]
            else:
                records.append(log_record(message))
        if batches:
            offered: list[tuple[KafkaReader, list[LogRecord], int]] = []
            for reader, records in batches.items():
                reader.offset = max(reader.offset, records[-1].offset + 1)
                # Keys and headers of our own records are bounded, and counting them would take time for each.
                size = sum(map(held_bytes, records)) if self._foreign else sum(len(record.value) for record in records)
                self._handed_bytes += size
                offered.append((reader, records, size))
            self._handed += 1
            self._tell(self._offer, offered)

    def _assign(self, reader: KafkaReader) -> None:
        place = (reader.topic, reader.partition)
        self._readers[place] = reader
        try:
            self._consumer.incremental_assign([TopicPartition(*place, reader.offset)])
            # A reader before this one may have left the partition paused.
            self._consumer.resume([TopicPartition(*place)])
        except KafkaException as exception:
            self._tell(reader.fail, from_exception(exception, f"read {reader.topic}/{reader.partition}"))
            return
        if reader.topic not in self._located:
            self._located.add(reader.topic)
            # Otherwise the first record of a topic that is new to this client takes most of a second.
            with suppress(KafkaException):
                self._consumer.list_topics(reader.topic, timeout=_METADATA_SECONDS)

    def _unassign(self, reader: KafkaReader) -> None:
        place = (reader.topic, reader.partition)
        if self._readers.get(place) is reader:
            del self._readers[place]
            self._obstacles.pop(place, None)
            self._held_since.pop(reader, None)
            self._paused.discard(reader)
            self._slow.discard(reader)
            with suppress(KafkaException):
                self._consumer.incremental_unassign([TopicPartition(*place)])

    def _held(self, reader: KafkaReader, held: bool) -> None:  # noqa: FBT001 - as in `hold`
        place = (reader.topic, reader.partition)
        if self._readers.get(place) is not reader:
            return
        if held:
            self._held_since[reader] = time.monotonic()
            if reader in self._slow:
                self._pause(reader)
            return
        if time.monotonic() - self._held_since.pop(reader) < _PATIENCE_SECONDS:
            self._slow.discard(reader)
        if reader in self._paused:
            self._paused.discard(reader)
            with suppress(KafkaException):
                self._consumer.resume([TopicPartition(*place)])

    def _waits(self) -> bool:
        """Return whether a reader that is held has been waited for only a moment; pause for those that take longer."""
        now = time.monotonic()
        waits = False
        for reader, since in self._held_since.items():
            if reader in self._paused:
                continue
            if now - since < _PATIENCE_SECONDS:
                waits = True
            else:
                # Next time nobody waits for it.
                self._slow.add(reader)
                self._pause(reader)
        return waits

    def _pause(self, reader: KafkaReader) -> None:
        self._paused.add(reader)
        with suppress(KafkaException):
            self._consumer.pause([TopicPartition(reader.topic, reader.partition)])

    def _failed(self, reader: KafkaReader, error: KafkaError, message: Message) -> bool:
        """A partition cannot be read at this offset: pass over what nobody can unpack, tell the reader of the rest.

        Returns:
            Whether reading goes on somewhere else, or not at all.
        """
        failure = from_kafka(error, f"read {reader.topic}/{reader.partition} at offset {reader.offset}")
        if error.code() in UNREADABLE:
            self._unreadable(reader, failure, first_of_batch(message))
            return True
        if isinstance(failure, LogUnreachableError):
            # The client goes on by itself when the brokers are back.
            _LOGGER.warning("%s", failure)
            return False
        if isinstance(failure, OffsetOutOfRangeError):
            failure = self._out_of_range(reader, failure)
        self._unassign(reader)
        self._tell(reader.fail, failure)
        return True

    def _unreadable(self, reader: KafkaReader, failure: LogError, first: int | None) -> None:
        place = (reader.topic, reader.partition)
        obstacle = self._obstacles.get(place)
        if obstacle is None:
            _, end = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
            obstacle = self._obstacles[place] = Obstacle(first, reader.offset, end)
        else:
            real = obstacle.real
            obstacle.failed(first)
            if obstacle.real and not real:
                _LOGGER.error("%s The batch is passed over: nobody can unpack it.", failure)
        self._seek(reader, obstacle)

    def _searching(self, reader: KafkaReader) -> bool:
        """Return whether a record only says that the search behind an obstacle has come too far."""
        place = (reader.topic, reader.partition)
        obstacle = self._obstacles.get(place)
        if obstacle is None:
            return False
        if not obstacle.real:
            del self._obstacles[place]
            return False
        obstacle.readable()
        self._seek(reader, obstacle)
        return True

    def _seek(self, reader: KafkaReader, obstacle: Obstacle) -> None:
        place = (reader.topic, reader.partition)
        if obstacle.passed:
            reader.offset = obstacle.position
            del self._obstacles[place]
        with suppress(KafkaException):
            self._consumer.seek(TopicPartition(*place, obstacle.position))

    def _out_of_range(self, reader: KafkaReader, failure: LogError) -> LogError:
        """Say where the partition begins and ends, if that can be known now."""
        place = TopicPartition(reader.topic, reader.partition)
        try:
            ends = Ends(*self._consumer.get_watermark_offsets(place, timeout=KAFKA_ANSWER_SECONDS_MAX))
            check_offset(reader.topic, reader.partition, reader.offset, ends)
        except OffsetOutOfRangeError as error:
            return error
        except KafkaException:
            return failure
        return failure

    def _tell(self, *call: object) -> None:
        # The loop may be gone while the thread still works; then nobody is left to be told.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(*call)  # type: ignore[arg-type]  # a function and its arguments
