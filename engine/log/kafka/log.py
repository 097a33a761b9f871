"""The log on Kafka: any number of processes, partitions and brokers."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import Consumer, KafkaException, Producer

from engine.errors import ClosedError, LogError
from engine.log.kafka.admin import find_topic_id, forget_group
from engine.log.kafka.failures import from_exception
from engine.log.kafka.fetcher import Fetchers
from engine.log.kafka.lane import Lane
from engine.log.kafka.location import KafkaLocation
from engine.log.kafka.marks import read_marks
from engine.log.kafka.member import KafkaMember
from engine.log.kafka.properties import CLIENT_LOGGER, FETCHER, FOLLOWER, MEMBER, PRODUCER, check_properties, merged
from engine.log.kafka.reader import KafkaReader
from engine.log.kafka.sender import Sender
from engine.log.kafka.standstill import Standstill
from engine.log.kafka.topics import require_topics
from engine.log.kafka.trouble import Trouble
from engine.log.place import partitions_of, place_unknown
from engine.log.port import COMMANDS, EVENTS, PARKED, TOPICS, Ends, LogRecord, Mark, Owner, Record

_LOGGER = logging.getLogger("runline.kafka")

_AGAIN = "Read on from the same place."


class KafkaLog:
    """A log on Kafka. Use `KafkaLog.open`.

    The Kafka clients are synchronous: each has a thread of its own, and hands over to the event loop in batches.
    """

    def __init__(self, location: KafkaLocation, partitions: int, properties: Mapping[str, str]) -> None:
        self._location = location
        self._count = partitions
        self._given = dict(properties)
        self._names = {topic: location.topic(topic) for topic in (*TOPICS, PARKED)}
        self._trouble = Trouble(location.brokers)
        self._closed = False
        self._sender = Sender(merged(PRODUCER, location.brokers, self._given), self._trouble, self._names[EVENTS])
        self._fetchers = Fetchers(merged(FETCHER, location.brokers, self._given))
        self._lanes: list[Lane] = []
        self._readers: dict[KafkaReader, Lane] = {}
        self._members: list[KafkaMember] = []
        self._standstill = Standstill(lambda: list(self._readers), self._fetchers.read, self._replace)
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, location: KafkaLocation, properties: Mapping[str, str] | None = None) -> "KafkaLog":
        """Open a log whose topics are there and as they must be.

        Args:
            location: The brokers and the prefix of the topics.
            properties: Properties of librdkafka for all clients, such as `security.protocol`.

        Raises:
            TopicsError: The topics are missing or not as they must be; the text says how.
            LogUnreachableError: No broker answers.
            LogError: A property is wrong or must stay as it is.
        """
        given = {} if properties is None else properties
        check_properties(given)
        if given:
            await asyncio.to_thread(_try_properties, location, given)
        partitions = await asyncio.to_thread(require_topics, location, given)
        return cls(location, partitions, given)

    @property
    def partitions(self) -> int:
        """The number of partitions of `commands` and of `events`; `workflows` and `rejections` have one."""
        return self._count

    async def topic_id(self, topic: str) -> str:
        """Return the id that the brokers gave the topic when it was made.

        Raises:
            PlaceUnknownError: The topic is not there, or no longer.
            LogUnreachableError: No broker answers.
            LogError: They refuse, or gave it none.
        """
        name = self._name(topic, 0)
        return await asyncio.to_thread(find_topic_id, self._location, self._given, name)

    @property
    def shared(self) -> bool:
        """Other processes append too."""
        return True

    @property
    def indexed(self) -> bool:
        """Kafka finds records by offset and time only."""
        return False

    @property
    def trouble(self) -> str:
        """What keeps the brokers from being reached, or this process from being a member of a group, or nothing."""
        return "; ".join(filter(None, (self._trouble.text, *(member.trouble for member in self._members))))

    async def append(self, topic: str, partition: int, record: Record) -> int:
        """Append one record and return its offset once all replicas in sync have it.

        Raises:
            RecordTooLargeError: It has more than `RECORD_BYTES_MAX` bytes; nothing was written.
            LogError: The outcome is unknown or the record was not written.
            ClosedError: The log was closed.
        """
        name = self._name(topic, partition)
        return await self._sender.append(name, partition, record)

    def send(
        self,
        topic: str,
        partition: int,
        record: Record,
        failed: Callable[[LogError], None],
        *,
        patient: bool = False,
    ) -> None:
        """Append one record without waiting: reading it back is the acknowledgement.

        Raises:
            RecordTooLargeError: It has more than `RECORD_BYTES_MAX` bytes.
            LogError: The client does not take it.
            ClosedError: The log was closed.
        """
        name = self._name(topic, partition)
        self._sender.send(name, partition, record, failed, patient=patient)

    async def ends(self, topic: str, partition: int) -> Ends:
        """Return the partition's bounds now."""
        return await self._fetchers.ends(self._name(topic, partition), partition)

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        """Return up to `count` records from `offset` on, fewer at the end; never waits for new ones.

        Raises:
            OffsetOutOfRangeError: `offset` is before the partition's start or behind its end.
            LogUnreachableError: The brokers do not answer.
        """
        return await self._fetchers.read(self._name(topic, partition), partition, offset, count)

    async def scan(
        self, topic: str, partition: int, start: int, end: int, take: Callable[[Sequence[LogRecord]], None]
    ) -> None:
        """Hand over the records from `start` to before `end`, in order, in a thread of its own.

        Raises:
            OffsetOutOfRangeError: The partition does not hold these offsets.
            LogUnreachableError: The brokers do not answer.
        """
        await self._fetchers.scan(self._name(topic, partition), partition, start, end, take)

    async def read_key(self, topic: str, partition: int, key: str) -> Sequence[LogRecord]:
        """Return all records with this key, in order. It reads the whole partition."""
        return await self._fetchers.read_key(self._name(topic, partition), partition, key)

    async def first_after(self, topic: str, partition: int, milliseconds: int) -> int:
        """Return the offset of the first record appended at this time or later, or the end where there is none."""
        return await self._fetchers.first_after(self._name(topic, partition), partition, milliseconds)

    def reader(self, topic: str, partition: int, offset: int) -> KafkaReader:
        """Return a reader that starts at `offset` and goes on with what is appended."""
        name = self._name(topic, partition)
        if self._watching is None:
            self._watching = asyncio.create_task(self._standstill.watch())
        lane = next((lane for lane in self._lanes if not lane.has(name, partition)), None)
        if lane is None:
            lane = Lane(merged(FOLLOWER, self._location.brokers, self._given), self._trouble.notice)
            self._lanes.append(lane)
        reader = KafkaReader(name, partition, offset, self._forget, lane.hold)
        self._readers[reader] = lane
        lane.add(reader)
        return reader

    async def join(self, group: str, owner: Owner) -> KafkaMember:
        """Become a member of a consumer group on `commands`."""
        return self._member(COMMANDS, self._location.group(group), owner)

    async def share(self, group: str, owner: Owner) -> KafkaMember:
        """Become a member of a consumer group on `events`, which keeps marks as its committed offsets."""
        return self._member(EVENTS, self._location.followers(group), owner)

    async def marks(self, group: str) -> Mapping[int, Mark]:
        """Return the marks of a group, without becoming a member.

        Raises:
            LogUnreachableError: No broker answers.
            LogError: They refuse.
        """
        name = self._name(EVENTS, 0)
        properties = merged(MEMBER, self._location.brokers, self._given)
        properties["group.id"] = self._location.followers(group)
        return await asyncio.to_thread(read_marks, properties, name, range(self._count))

    async def forget_marks(self, group: str) -> None:
        """Delete a consumer group that has no members.

        Raises:
            LogUnreachableError: No broker answers.
            LogError: It has members, or the brokers refuse.
        """
        self._name(EVENTS, 0)
        await asyncio.to_thread(forget_group, self._location, self._given, self._location.followers(group))

    async def erase(self, topic: str, partition: int, key: str) -> None:
        """Let nothing be known under a key of a compacted topic.

        Raises:
            LogError: The outcome is unknown or nothing was erased.
            ClosedError: The log was closed.
        """
        await self._sender.erase(self._name(topic, partition), partition, key)

    def _member(self, topic: str, group: str, owner: Owner) -> KafkaMember:
        properties = merged(MEMBER, self._location.brokers, self._given)
        properties["group.id"] = group
        member = KafkaMember(self._name(topic, 0), properties, owner, self._trouble.notice)
        self._members.append(member)
        return member

    async def close(self) -> None:
        """Wait, bounded, until what was sent is acknowledged, and let go of the brokers. Closing twice is allowed."""
        if self._closed:
            return
        self._closed = True
        if self._watching is not None:
            self._watching.cancel()
        for member in self._members:
            await member.leave()
        for reader in list(self._readers):
            reader.close()
        for lane in self._lanes:
            lane.stop()
        await asyncio.to_thread(self._let_go)

    def _let_go(self) -> None:
        self._sender.close()
        for lane in self._lanes:
            lane.join()
        self._fetchers.close()

    def _replace(self, reader: KafkaReader) -> None:
        """Let the readers of a client that stands still fail: whoever reads on at their places gets a new client."""
        lane = self._readers.get(reader)
        if lane not in self._lanes:
            return  # closed meanwhile, or given up with another reader
        where = f"{reader.topic}/{reader.partition} at offset {reader.offset}"
        _LOGGER.error("The client that reads %s stands still although more is there; a new one takes its place", where)
        self._lanes.remove(lane)
        # It is not joined: a client in such a state may take for ever to close, on a thread that ends with the process.
        lane.stop()
        for each in [each for each, its in self._readers.items() if its is lane]:
            each.fail(LogError(f"expected to go on reading {where}, but the client stands still.", hint=_AGAIN))

    def _forget(self, reader: KafkaReader) -> None:
        self._readers.pop(reader).remove(reader)

    def _name(self, topic: str, partition: int) -> str:
        if self._closed:
            raise ClosedError(f"the log {self._location} was closed.")
        if topic not in self._names or not 0 <= partition < partitions_of(topic, self._count):
            raise place_unknown(topic, partition, self._count)
        return self._names[topic]


def _try_properties(location: KafkaLocation, given: Mapping[str, str]) -> None:
    """Make clients with the user's properties: wrong ones should be heard of now, not when a group is joined.

    Raises:
        LogError: A property is none that the client knows, or its value is wrong.
    """
    try:
        Producer(merged(PRODUCER, location.brokers, given), logger=CLIENT_LOGGER)
        member = Consumer(
            {**merged(MEMBER, location.brokers, given), "group.id": location.prefix}, logger=CLIENT_LOGGER
        )
        member.close()
    except KafkaException as exception:
        raise from_exception(exception, f"use Kafka at {location.brokers}") from exception
