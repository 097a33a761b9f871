"""How far views reach, beside where the log ends."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine.log.embedded import ReadOnlyLog
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


def reaches(positions: Sequence[Position], ends: Mapping[Place, int]) -> list[Reach]:
    """Return how far each partition is folded; one that nobody has begun with is folded up to 0."""
    known = {(position.topic, position.partition): position for position in positions}
    return [
        Reach(known.get(place) or Position(*place, partitions=len(ends) - 1, topic_id=""), end)
        for place, end in ends.items()
    ]
