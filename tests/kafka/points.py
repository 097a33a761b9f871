"""The points at which an executor may die, and a log that says when one is reached.

An executor that dies loses everything but what it did to the world outside: records it handed to the log, its place in
the group, what its functions did. So it matters only between which of these it dies, and all of them pass through the
log's port: the points are there, and the executor knows nothing of them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final

import orjson

from engine.core.records import types_in
from engine.errors import LogError
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, Ends, Log, LogRecord, Member, Owner, Reader, Record


class Point(Enum):
    """What has just happened, or is about to."""

    ASSIGNED = "the group gave partitions, nothing is done with them"
    FENCE_DUE = "a fence is about to be sent"
    FENCE_SENT = "a fence is on its way"
    FENCE_ACKNOWLEDGED = "a fence is on the log"
    FENCE_READ_BACK = "an own fence was read"
    COMMAND_READ = "commands were read"
    COMMIT_DUE = "a commit is about to be sent"
    COMMIT_SENT = "a commit is on its way"
    COMMIT_READ_BACK = "commits were read and nothing was done about them"
    COMMIT_ACTED_ON = "what commits ask for was done"
    EFFECT_DONE = "a function did something outside, and its outcome is not on the log"
    PART_DUE = "the first part of a checkpoint is about to be sent"
    PART_ACKNOWLEDGED = "the first part of a checkpoint is on the log, the next one is not"
    LAST_PART_SENT = "the last part of a checkpoint is on its way"
    LAST_PART_ACKNOWLEDGED = "all parts of a checkpoint are on the log"
    LAST_PART_READ_BACK = "the last part of a checkpoint was read"
    REFUSAL_RECORDED = "a run's own refusal was read and is about to be repeated on rejections"
    REJECTION_DUE = "a rejection is about to be sent"
    REJECTION_SENT = "a rejection is on its way"
    REJECTION_ACKNOWLEDGED = "a rejection is on the log"
    FORWARDED_DUE = "a command that came to the wrong partition is about to be sent to the right one"
    FORWARDED_SENT = "a command that came to the wrong partition is on its way to the right one"
    FORWARDED_ACKNOWLEDGED = "a command that came to the wrong partition is on the right one too"
    REVOKING = "the group asked for partitions back"
    REVOKED = "partitions were let go, the group does not know yet"
    LEAVING = "the executor was asked to end and has drained"


Reached = Callable[[Point], None]

_FENCE: Final = (Point.FENCE_DUE, Point.FENCE_SENT, Point.FENCE_ACKNOWLEDGED)
_COMMIT: Final = (Point.COMMIT_DUE, Point.COMMIT_SENT, None)
_FIRST_PART: Final = (Point.PART_DUE, None, Point.PART_ACKNOWLEDGED)
_LAST_PART: Final = (None, Point.LAST_PART_SENT, Point.LAST_PART_ACKNOWLEDGED)
_REJECTION: Final = (Point.REJECTION_DUE, Point.REJECTION_SENT, Point.REJECTION_ACKNOWLEDGED)
_REPEATED: Final = (Point.REFUSAL_RECORDED, None, None)
_FORWARDED: Final = (Point.FORWARDED_DUE, Point.FORWARDED_SENT, Point.FORWARDED_ACKNOWLEDGED)

_Points = tuple[Point | None, Point | None, Point | None]


class PointedLog:
    """A log that tells when its user reaches a point.

    Args:
        inner: The log.
        reached: Called at each point, before anything else happens.
    """

    def __init__(self, inner: Log, reached: Reached) -> None:
        self._inner = inner
        self._reached = reached
        self._nonces: set[str] = set()
        # Refusals that runs have recorded, by the ids of what repeats them.
        self._recorded: set[str] = set()

    @property
    def shared(self) -> bool:
        return self._inner.shared

    @property
    def indexed(self) -> bool:
        return self._inner.indexed

    @property
    def trouble(self) -> str:
        return self._inner.trouble

    @property
    def partitions(self) -> int:
        return self._inner.partitions

    async def topic_id(self, topic: str) -> str:
        return await self._inner.topic_id(topic)

    async def append(self, topic: str, partition: int, record: Record) -> int:
        due, sent, acknowledged = self._points(topic, record)
        self._reach(due)
        appending = asyncio.ensure_future(self._inner.append(topic, partition, record))
        await asyncio.sleep(0)
        self._reach(sent)
        offset = await appending
        self._reach(acknowledged)
        return offset

    def send(
        self,
        topic: str,
        partition: int,
        record: Record,
        failed: Callable[[LogError], None],
        *,
        patient: bool = False,
    ) -> None:
        due, sent, _ = self._points(topic, record)
        self._reach(due)
        self._inner.send(topic, partition, record, failed, patient=patient)
        self._reach(sent)

    async def ends(self, topic: str, partition: int) -> Ends:
        return await self._inner.ends(topic, partition)

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        return await self._inner.read(topic, partition, offset, count)

    async def scan(
        self, topic: str, partition: int, start: int, end: int, take: Callable[[Sequence[LogRecord]], None]
    ) -> None:
        await self._inner.scan(topic, partition, start, end, take)

    async def read_key(self, topic: str, partition: int, key: str) -> Sequence[LogRecord]:
        return await self._inner.read_key(topic, partition, key)

    async def first_after(self, topic: str, partition: int, milliseconds: int) -> int:
        return await self._inner.first_after(topic, partition, milliseconds)

    async def join(self, group: str, owner: Owner) -> Member:
        return await self._inner.join(group, _PointedOwner(owner, self._reached))

    def reader(self, topic: str, partition: int, offset: int) -> Reader:
        inner = self._inner.reader(topic, partition, offset)
        return _PointedReader(inner, topic, partition, self._nonces, self._recorded, self._reached)

    async def close(self) -> None:
        await self._inner.close()

    def _points(self, topic: str, record: Record) -> _Points:
        headers = record.headers
        match headers.get("ce_type"):
            case "runline.fence":
                self._nonces.add(headers["nonce"])
                return _FENCE
            case "runline.commit":
                return _COMMIT
            case "runline.checkpoint":
                number, count = int(headers["part"]), int(headers["parts"])
                if number == count - 1:
                    return _LAST_PART
                return _FIRST_PART if number == 0 else (None, None, None)
        if topic == REJECTIONS:
            return _REPEATED if headers["ce_id"] in self._recorded else _REJECTION
        return _FORWARDED if topic == COMMANDS else (None, None, None)

    def _reach(self, point: Point | None) -> None:
        if point is not None:
            self._reached(point)


class _PointedReader:
    """Reads for its user and says what was read, and when the user comes for more."""

    def __init__(  # noqa: PLR0917 - called in one place, with what the log knows
        self, inner: Reader, topic: str, partition: int, nonces: set[str], recorded: set[str], reached: Reached
    ) -> None:
        self._inner = inner
        self._topic = topic
        self._partition = partition
        self._nonces = nonces
        self._recorded = recorded
        self._reached = reached
        self._commits = False

    async def next(self) -> Sequence[LogRecord]:
        if self._commits:
            self._commits = False
            self._reached(Point.COMMIT_ACTED_ON)
        records = await self._inner.next()
        if self._topic == COMMANDS:
            self._reached(Point.COMMAND_READ)
        elif self._topic == EVENTS:
            for record in records:
                self._note_refusals(record)
                self._look(record.headers)
        return records

    def _note_refusals(self, record: LogRecord) -> None:
        if "command.refused" in types_in(record.headers):
            for event in orjson.loads(record.value)["events"]:
                if event["type"] == "command.refused":
                    self._recorded.add(f"{self._partition}/{event['offset']}")

    def _look(self, headers: Mapping[str, str]) -> None:
        match headers.get("ce_type"):
            case "runline.commit":
                self._commits = True
                self._reached(Point.COMMIT_READ_BACK)
            case "runline.fence" if headers.get("nonce") in self._nonces:
                self._reached(Point.FENCE_READ_BACK)
            case "runline.checkpoint" if int(headers["part"]) == int(headers["parts"]) - 1:
                self._reached(Point.LAST_PART_READ_BACK)

    def close(self) -> None:
        self._inner.close()


class _PointedOwner:
    """Owns partitions for its user and says what the group said."""

    def __init__(self, inner: Owner, reached: Reached) -> None:
        self._inner = inner
        self._reached = reached

    def assigned(self, partitions: Sequence[int]) -> None:
        if partitions:
            self._reached(Point.ASSIGNED)
        self._inner.assigned(partitions)

    async def revoked(self, partitions: Sequence[int]) -> None:
        if partitions:
            self._reached(Point.REVOKING)
        await self._inner.revoked(partitions)
        if partitions:
            self._reached(Point.REVOKED)

    def lost(self, partitions: Sequence[int]) -> None:
        self._inner.lost(partitions)

    def decided(self) -> Mapping[int, int]:
        return self._inner.decided()
