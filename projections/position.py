"""How far a fold has come in one partition, kept in the same write as what it has folded."""

from dataclasses import dataclass, field, replace
from typing import Final

import orjson

from engine.limits import PARTITIONS_MAX
from engine.log.digest import digest
from engine.log.port import LogRecord
from engine.stopping import PartitionStoppedError, StopReason
from engine.store.errors import StoreDamagedError
from engine.store.port import Batch, Store
from projections.keys import SEPARATOR, offset_key

FAMILY: Final = "positions"
"""The family of the store that holds the positions, and the marks of writes behind them."""
REBUILD: Final = "Fold the log anew: runline rebuild."
"""What to do where views cannot go on with the log."""
_MARKS: Final = b"~"
"""Begins the key of a mark. Each write of a partition leaves its mark and takes away that of the one before it, and the
first mark stays: a store that lacks writes in the middle has others."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a fold has come.

    Attributes:
        topic: The topic, by our own name.
        partition: The partition.
        partitions: How many partitions the topic has.
        topic_id: The identity of the topic that is folded.
        offset: The offset of the next record.
        epoch: The epoch in force there, or None before any fence.
        digest: SHA-256 of the last folded record, in hex; empty before any.
        stopped: Why the partition is folded no further, or None.
        message: The same for people, or an empty text.
    """

    topic: str
    partition: int
    partitions: int
    topic_id: str
    offset: int = 0
    epoch: str | None = None
    digest: str = ""
    stopped: StopReason | None = None
    message: str = field(default="", compare=False)

    def behind(self, record: LogRecord, epoch: str | None) -> "Position":
        """Return the position behind a record."""
        return replace(self, offset=record.offset + 1, epoch=epoch, digest=digest(record), stopped=None, message="")

    def stop(self, error: PartitionStoppedError) -> "Position":
        """Return the same position, stopped."""
        return replace(self, stopped=error.reason, message=str(error))

    def encode(self) -> bytes:
        """Return the position as it stands in the store."""
        return orjson.dumps(self)

    @property
    def key(self) -> bytes:
        """The key it stands under."""
        return position_key(self.topic, self.partition)

    def mark(self, offset: int) -> bytes:
        """Return the mark of the write that brought the partition to an offset."""
        return _MARKS + self.key + SEPARATOR + offset_key(offset)

    def put(self, batch: Batch, before: "Position | None" = None) -> None:
        """Save the position.

        Args:
            batch: What is written with it.
            before: The position that it takes the place of, where it is further than that.
        """
        batch.put(FAMILY, self.key, self.encode())
        batch.put(FAMILY, self.mark(self.offset), b"")
        if before is not None and before.offset:
            batch.delete(FAMILY, before.mark(before.offset))


def another_topic(position: Position, topic_id: str) -> PartitionStoppedError:
    """Return why a partition is folded no further whose topic has another identity than the one that was folded."""
    return PartitionStoppedError(
        StopReason.TOPIC_RECREATED,
        f"expected the topic {position.topic} with the identity {position.topic_id}, whose records were folded, "
        f"but found {topic_id}: it was made again, or the views are those of another log.",
        hint=REBUILD,
    )


def position_key(topic: str, partition: int) -> bytes:
    """Return the key of a partition's position."""
    return f"{topic}/{partition:06d}".encode()


def read_position(store: Store, topic: str, partition: int) -> Position | None:
    """Return how far a partition has been folded into a store, or None when nothing of it has."""
    value = store.get(FAMILY, position_key(topic, partition))
    return None if value is None else _decode(store, value)


def read_positions(store: Store, limit: int) -> list[Position]:
    """Return the positions of all partitions.

    Args:
        store: The store.
        limit: How many at most.
    """
    return [_decode(store, value) for _, value in store.scan(FAMILY, b"", _MARKS, limit=limit)]


def check_positions(store: Store) -> None:
    """Require that a store lacks nothing between its first write and its last one.

    RocksDB does not miss a write-ahead log, or the newest part of its list of tables, when newer writes are there.

    Raises:
        StoreDamagedError: Writes are missing.
    """
    positions = read_positions(store, PARTITIONS_MAX + 1)
    expected = {position.mark(offset) for position in positions for offset in (0, position.offset)}
    found = {key for key, _ in store.scan(FAMILY, _MARKS, None, limit=len(expected) + 1)}
    if found != expected:
        raise StoreDamagedError(f"the store {store.directory} is damaged: writes in the middle are missing.")


def _decode(store: Store, value: bytes) -> Position:
    try:
        row = orjson.loads(value)
        stopped = row.pop("stopped")
        return Position(**row, stopped=None if stopped is None else StopReason(stopped))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreDamagedError(f"the store {store.directory} is damaged: {value[:80]!r} is no position.") from error
