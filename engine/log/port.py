"""The log: partitioned, ordered, durable records. The port every adapter keeps to."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from engine.errors import LogError

WORKFLOWS = "workflows"
COMMANDS = "commands"
EVENTS = "events"
REJECTIONS = "rejections"
TOPICS = (WORKFLOWS, COMMANDS, EVENTS, REJECTIONS)
PARKED = "parked"
"""A topic besides, of logs whose groups share: the last that is known under each key, until it is erased."""


class Record(NamedTuple):
    """What a writer hands to the log.

    Attributes:
        key: The run id for commands, events and rejections; empty for records about a partition.
        value: The bytes; JSON in our own records.
        headers: Names to texts, as Kafka record headers in UTF-8.
    """

    key: str
    value: bytes
    headers: Mapping[str, str]


class LogRecord(NamedTuple):
    """A record as the log gives it back.

    Attributes:
        offset: Its position in the partition, from 0, without gaps in our own adapters.
        timestamp: Milliseconds since 1970 UTC, taken by the log when it appended the record (`LogAppendTime`).
        key: As written.
        value: As written.
        headers: As written.
    """

    offset: int
    timestamp: int
    key: str
    value: bytes
    headers: Mapping[str, str]


class Ends(NamedTuple):
    """The bounds of a partition: `start` is the first offset still there, `end` the one the next record gets."""

    start: int
    end: int


class Reader(Protocol):
    """Hands out one partition's records in order, each once, waiting for new ones. It belongs to one task."""

    async def next(self) -> Sequence[LogRecord]:
        """Return the next records, at least one; wait until there are any, and only then.

        Raises:
            OffsetOutOfRangeError: The partition starts behind, or ends before, the reader's offset.
            LogError: The log cannot be read; LogDamagedError names the place.
            ClosedError: The log was closed.
        """
        ...

    def close(self) -> None:
        """Stop reading; a waiting `next` raises ClosedError."""
        ...


class Owner(Protocol):
    """Who owns partitions on behalf of a member of a group. All methods are called in the event loop."""

    def assigned(self, partitions: Sequence[int]) -> None:
        """Own these partitions from now on, besides those owned before."""
        ...

    async def revoked(self, partitions: Sequence[int]) -> None:
        """Let go of these partitions in order; they are somebody else's when this returns, or a little later."""
        ...

    def lost(self, partitions: Sequence[int]) -> None:
        """Hear that these partitions are somebody else's already."""
        ...

    def decided(self) -> Mapping[int, int]:
        """Return, for each partition that is owned and known, the offset of `commands` below which all is decided."""
        ...


class Member(Protocol):
    """One process's part in a group that shares out the partitions."""

    async def confirm(self, partition: int) -> bool:
        """Ask the group whether the partition is still this member's."""
        ...

    async def shut_out(self) -> LogError:
        """Wait until this process can never take part again, and return why; for ever where that cannot be."""
        ...

    async def leave(self) -> None:
        """Leave the group, so that others take the partitions at once. Leaving twice is allowed."""
        ...


class Log(Protocol):
    """Partitioned, ordered, durable records. All methods belong to the event loop that opened the log."""

    @property
    def shared(self) -> bool:
        """Whether other processes append to the log too, so that one must read it to know what is there."""
        ...

    @property
    def indexed(self) -> bool:
        """Whether `read_key` finds a key's records without reading all others."""
        ...

    @property
    def trouble(self) -> str:
        """What keeps the log from being read or written now, or an empty text."""
        ...

    @property
    def partitions(self) -> int:
        """The number of partitions of `commands` and of `events`; `workflows` and `rejections` have one."""
        ...

    async def topic_id(self, topic: str) -> str:
        """Return an identity that the topic has as long as it lives; deleted and made again, it has another one.

        The topic is asked each time: an offset of a topic means nothing in the one that took its name.

        Raises:
            PlaceUnknownError: There is no such topic.
            LogError: Nobody can be asked.
            ClosedError: The log was closed.
        """
        ...

    async def append(self, topic: str, partition: int, record: Record) -> int:
        """Append one record and return its offset once it is durable.

        Records appended to one partition keep the order of the calls among themselves.

        Raises:
            RecordTooLargeError: It has more than `RECORD_BYTES_MAX` bytes; nothing was written.
            PlaceUnknownError: There is no such topic or partition.
            LogError: The outcome is unknown or the record was not written.
            ClosedError: The log was closed.
        """
        ...

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

        Records sent to one partition keep the order of the calls, patient ones and others each among themselves.

        Args:
            topic: The topic.
            partition: The partition.
            record: The record; nobody may change its headers afterwards.
            failed: Called in the event loop when the outcome is unknown or the record was not written.
            patient: Whether the record may wait a moment for others to go with it, as it should when many are under
                way: alone it would only lose time.

        Raises:
            RecordTooLargeError: It has more than `RECORD_BYTES_MAX` bytes; nothing was written, `failed` is not called.
            PlaceUnknownError: There is no such topic or partition.
            ClosedError: The log was closed.
        """
        ...

    async def ends(self, topic: str, partition: int) -> Ends:
        """Return the partition's bounds now."""
        ...

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        """Return up to `count` records from `offset` on, fewer at the end; never waits for new ones.

        Raises:
            OffsetOutOfRangeError: `offset` is before the partition's start or behind its end.
            LogDamagedError: Names the topic, partition and offset of what cannot be read.
        """
        ...

    async def scan(
        self, topic: str, partition: int, start: int, end: int, take: Callable[[Sequence[LogRecord]], None]
    ) -> None:
        """Hand over the records from `start` to before `end`, in order, as fast as they can be read.

        For whoever has much to read and little to do with the event loop.

        Args:
            topic: The topic.
            partition: The partition.
            start: The first offset.
            end: The offset behind the last record; the partition reaches it.
            take: Called with some records, again and again; perhaps in another thread, never in two at once. What it
                raises ends the scan.

        Raises:
            OffsetOutOfRangeError: The partition does not hold these offsets.
            LogDamagedError: Names the topic, partition and offset of what cannot be read.
            LogError: The log cannot be read.
            ClosedError: The log was closed.
        """
        ...

    async def read_key(self, topic: str, partition: int, key: str) -> Sequence[LogRecord]:
        """Return all records with this key, in order. A log that is not `indexed` reads the whole partition for it."""
        ...

    async def first_after(self, topic: str, partition: int, milliseconds: int) -> int:
        """Return an offset with no record below it that was appended at this time or later.

        Args:
            topic: The topic.
            partition: The partition.
            milliseconds: A time since 1970 UTC.
        """
        ...

    async def join(self, group: str, owner: Owner) -> Member:
        """Become a member of a group that shares out the partitions; one process alone owns all of them at once.

        Args:
            group: The group's name; members of one name share.
            owner: Hears which partitions are its own.

        Raises:
            ClosedError: The log was closed.
        """
        ...

    def reader(self, topic: str, partition: int, offset: int) -> Reader:
        """Return a reader that starts at `offset` and goes on with what is appended."""
        ...

    async def close(self) -> None:
        """Make everything durable and let go of the log."""
        ...


class Mark(NamedTuple):
    """How far a group has come in a partition.

    Attributes:
        offset: The offset below which everything is done, for whoever watches the group's lag.
        text: What the group wants to know when it goes on; at most 4,096 bytes.
    """

    offset: int
    text: str


class SharingMember(Protocol):
    """One process's part in a group that keeps marks."""

    async def shut_out(self) -> LogError:
        """Wait until this process can never take part again, and return why; for ever where that cannot be."""
        ...

    async def keep(self, partition: int, mark: Mark) -> None:
        """Record how far the group has come in a partition of `events`.

        Raises:
            LogError: It was not recorded: the partition may be another member's by now, or nobody answers.
        """
        ...

    async def kept(self, partition: int) -> Mark | None:
        """Return what was recorded last, or None when nothing was.

        Raises:
            LogError: Nobody answers.
        """
        ...

    async def leave(self) -> None:
        """Leave the group, so that others take the partitions at once. Leaving twice is allowed."""
        ...


@runtime_checkable
class SharingLog(Log, Protocol):
    """A log whose groups share out the partitions of `events` among processes, and keep marks for them."""

    async def share(self, group: str, owner: Owner) -> SharingMember:
        """Become a member of a group that shares out the partitions of `events`.

        Raises:
            ClosedError: The log was closed.
        """
        ...

    async def marks(self, group: str) -> Mapping[int, Mark]:
        """Return the marks of a group, without becoming a member.

        Raises:
            LogError: Nobody answers.
        """
        ...

    async def forget_marks(self, group: str) -> None:
        """Forget the marks of a group that has no members.

        Raises:
            LogError: It has members, or nobody answers.
        """
        ...

    async def erase(self, topic: str, partition: int, key: str) -> None:
        """Let nothing be known under a key of a topic that keeps the last.

        Raises:
            LogError: The outcome is unknown or nothing was erased.
        """
        ...
