"""How far services have come in a partition: what is recorded, so that a restart repeats as little as possible."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeGuard

import orjson

from engine.log.digest import digest
from engine.log.port import LogRecord
from engine.store.errors import StoreDamagedError

Place = tuple[int, int]
"""Where a change stands: the commit's offset and the event's index in it."""
_PLACE_NUMBERS: Final = 2
_DIGEST_CHARACTERS: Final = 16
"""Enough that two records do not have the same by chance; what the log keeps of a group is small."""


class Seen(NamedTuple):
    """The last record of a partition that was read: when another one stands there, the partition is another one.

    Attributes:
        offset: Where it stands.
        digest: The beginning of its digest, in hex.
    """

    offset: int
    digest: str


def seen(record: LogRecord) -> Seen:
    """Return what is kept of a record that was read."""
    return Seen(record.offset, digest(record)[:_DIGEST_CHARACTERS])


class Progress(NamedTuple):
    """How far one service has come in one partition.

    Attributes:
        position: Everything below this place was dealt with, save what is open.
        open: Places below the position whose changes were not dealt with yet, in order.
        seen: The last record that was read, or None before any.
    """

    position: Place
    open: tuple[Place, ...] = ()
    seen: Seen | None = None

    @property
    def lowest(self) -> Place:
        """The place below which everything was dealt with."""
        return min((*self.open[:1], self.position))


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """How far all services of a group have come in one partition.

    Attributes:
        topic_id: The identity of the topic that is followed.
        services: By their names, also those that no host has at the moment.
        at_work: Whether a host follows; if none does any more, it ended without letting go.
        group: The group's name, where only what is recorded can tell it; otherwise an empty text.
    """

    topic_id: str
    services: Mapping[str, Progress]
    at_work: bool = False
    group: str = ""

    @property
    def lowest(self) -> int:
        """The offset below which everything was dealt with by all services."""
        return min((progress.lowest[0] for progress in self.services.values()), default=0)

    def encode(self, bytes_max: int | None = None) -> bytes:
        """Return the progress as JSON.

        Args:
            bytes_max: When it is longer, services repeat from the lowest place that is open, those with most first.
        """
        services = dict(self.services)
        group = {"group": self.group} if self.group else {}
        for name in (*sorted(services, key=lambda each: -len(services[each].open)), None):
            rows = {each: _row(progress) for each, progress in services.items()}
            text = orjson.dumps({"topic": self.topic_id, "at_work": self.at_work, "services": rows, **group})
            if bytes_max is None or len(text) <= bytes_max or name is None:
                return text
            services[name] = Progress(services[name].lowest, seen=services[name].seen)
        raise AssertionError("the last turn returns")


def read_progress(text: bytes, where: str) -> PartitionProgress:
    """Return progress from JSON.

    Args:
        text: As `PartitionProgress.encode` gave it.
        where: For the error.

    Raises:
        StoreDamagedError: It is no progress.
    """
    try:
        row = orjson.loads(text)
        topic_id, services = row["topic"], row["services"]
        # Earlier versions recorded neither.
        at_work, group = row.get("at_work", False), row.get("group", "")
        found = {str(name): _progress(numbers) for name, numbers in services.items()}
        if isinstance(topic_id, str) and isinstance(at_work, bool) and isinstance(group, str):
            return PartitionProgress(topic_id, found, at_work, group)
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    raise StoreDamagedError(f"expected the progress of services in {where}, but found {text[:80]!r}.")


def _row(progress: Progress) -> list[int | str]:
    """Return progress as a list: the position; what is open, offsets counted from the lowest one; what was seen."""
    numbers = [*progress.position]
    if progress.open:
        low = progress.lowest[0]
        numbers += [low, *(number for offset, index in progress.open for number in (offset - low, index))]
    return [*numbers, *(progress.seen or ())]


def _progress(row: object) -> Progress:
    seen: Seen | None = None
    if isinstance(row, list) and row and isinstance(row[-1], str):
        # Progress that an earlier version recorded has none.
        *row, number, text = row
        seen = Seen(number, text)
    if not _are_numbers(row) or len(row) < _PLACE_NUMBERS or (seen is not None and type(seen.offset) is not int):
        raise ValueError("no progress")
    offset, index, *rest = row
    if not rest:
        return Progress((offset, index), seen=seen)
    low, *flat = rest
    places = zip(flat[::2], flat[1::2], strict=True)
    return Progress((offset, index), tuple((low + each, number) for each, number in places), seen)


def _are_numbers(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(each) is int and each >= 0 for each in value)
