"""Where a service begins that has not come anywhere yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from consumers.host.errors import PartitionStoppedError, StopReason
from consumers.host.progress import Place
from engine.errors import ArgumentError
from engine.log.port import EVENTS, Log

_MILLISECONDS = 1000


@dataclass(frozen=True)
class Start:
    """A moment, or a place, to begin from.

    Attributes:
        kind: What the rest means.
        milliseconds: Of a `time`: since 1970 UTC, by the clock of the log.
        offsets: Of `offsets`: for each partition; others begin now.
    """

    kind: Literal["beginning", "now", "time", "offsets"]
    milliseconds: int = 0
    offsets: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def beginning(cls) -> "Start":
        """Begin with the first record that is still there."""
        return cls("beginning")

    @classmethod
    def now(cls) -> "Start":
        """Begin with what happens next."""
        return cls("now")

    @classmethod
    def at(cls, time: datetime) -> "Start":
        """Begin with what the log took at this time, which names its zone, or later.

        Raises:
            ArgumentError: It names no zone.
        """
        if time.utcoffset() is None:
            raise ArgumentError(f"expected a datetime with a time zone to begin at, but found {time!r:.80}.")
        return cls("time", int(time.timestamp() * _MILLISECONDS))

    @classmethod
    def from_offsets(cls, offsets: Mapping[int, int]) -> "Start":
        """Begin at these offsets of their partitions, and now in others.

        Raises:
            ArgumentError: A partition or an offset is no integer.
        """
        for each in (*offsets.keys(), *offsets.values()):
            if type(each) is not int:
                raise ArgumentError(f"expected integers as partitions and their offsets, but found {each!r:.80}.")
        return cls("offsets", offsets=dict(offsets))

    async def place(self, log: Log, partition: int) -> Place:
        """Return where to begin in a partition.

        Raises:
            PartitionStoppedError: The partition does not hold the offset.
            LogError: The log cannot be read now.
        """
        ends = await log.ends(EVENTS, partition)
        if self.kind == "beginning":
            return ends.start, 0
        if self.kind == "time":
            return await _offset_at(log, partition, self.milliseconds), 0
        offset = self.offsets.get(partition, ends.end)
        if not ends.start <= offset <= ends.end:
            raise PartitionStoppedError(
                StopReason.PREFIX_LOST,
                f"expected an offset of {EVENTS}/{partition} between {ends.start} and {ends.end} to begin from, but "
                f"found {offset}.",
                hint="Begin anew with --reset and another place.",
            )
        return offset, 0


async def _offset_at(log: Log, partition: int, milliseconds: int) -> int:
    """Return the offset of the first record that was appended at this time or later; the end if there is none."""
    ends = await log.ends(EVENTS, partition)
    low, high = max(ends.start, await log.first_after(EVENTS, partition, milliseconds)), ends.end
    middle = low
    while low < high:
        records = await log.read(EVENTS, partition, middle, 1)
        if not records or records[0].timestamp >= milliseconds:
            high = middle
        else:
            low = records[0].offset + 1
        middle = (low + high) // 2
    return low
