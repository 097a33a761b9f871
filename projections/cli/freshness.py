"""How far views reach, beside where the log ends."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine.errors import LogDamagedError
from engine.log.embedded import ReadOnlyLog
from engine.log.errors import OffsetOutOfRangeError
from engine.log.port import EVENTS, WORKFLOWS, Log
from projections.position import Position

Place = tuple[str, int]
"""A topic and a partition."""


class Reach(NamedTuple):
    """How far one partition is folded.

    Attributes:
        position: How far.
        end: The offset that its next record gets.
    """

    position: Position
    end: int

    @property
    def place(self) -> Place:
        """The topic and the partition."""
        return self.position.topic, self.position.partition

    @property
    def behind(self) -> int:
        """How many records are not folded yet."""
        return max(0, self.end - self.position.offset)

    @property
    def name(self) -> str:
        """The partition as people write it."""
        return f"{self.position.topic}/{self.position.partition}"

    @property
    def data(self) -> dict[str, object]:
        """The same as JSON data."""
        return {
            "topic": self.position.topic,
            "partition": self.position.partition,
            "position": self.position.offset,
            "end": self.end,
            "behind": self.behind,
            "stopped": self.position.stopped,
            "message": self.position.message,
        }


async def read_ends(log: Log) -> dict[Place, int]:
    """Return where the partitions end now that views are folded from.

    Raises:
        LogError: The log cannot be read.
    """
    if isinstance(log, ReadOnlyLog):
        await log.refresh()
    places = [(WORKFLOWS, 0), *((EVENTS, number) for number in range(log.partitions))]
    return {place: (await log.ends(*place)).end for place in places}


async def read_reaches(log: Log, positions: Sequence[Position]) -> list[Reach]:
    """Return how far each partition is folded, beside where the log ends now.

    Raises:
        LogError: The log cannot be read.
    """
    return await to_records(log, reaches(positions, await read_ends(log)))


async def to_records(log: Log, found: Sequence[Reach]) -> list[Reach]:
    """Return the same up to the last record: behind it there may be offsets that no record ever has.

    Those are the ends of transactions on Kafka: nothing of the log is behind them, and nobody has to wait for them.

    Raises:
        LogError: The log cannot be read.
    """
    return [reach if await _has_more(log, reach) else reach._replace(end=reach.position.offset) for reach in found]


async def _has_more(log: Log, reach: Reach) -> bool:
    if not reach.behind:
        return True
    position = reach.position
    try:
        return bool(await log.read(position.topic, position.partition, position.offset, 1))
    except (OffsetOutOfRangeError, LogDamagedError):
        # Records are gone or damaged, or the topic is another one: whoever folds it finds that out.
        return True


def reaches(positions: Sequence[Position], ends: Mapping[Place, int]) -> list[Reach]:
    """Return how far each partition is folded; one that nobody has begun with is folded up to 0."""
    known = {(position.topic, position.partition): position for position in positions}
    return [
        Reach(known.get(place) or Position(*place, partitions=len(ends) - 1, topic_id=""), end)
        for place, end in ends.items()
    ]
