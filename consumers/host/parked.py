"""Parked changes: what a service could not deal with, kept with its error until people decide."""

from dataclasses import dataclass, fields
from typing import Final, Literal, NamedTuple

import orjson

from consumers.host.progress import Place
from engine.store.errors import StoreDamagedError

Action = Literal["retry", "skip"]
_PARTITION_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Parked:
    """A change that a service kept failing on.

    Attributes:
        service: The service's name.
        partition: The partition of `events`.
        run_id: The run.
        offset: The offset of the commit's record.
        index: The event's place in the commit.
        event_id: The change's own id.
        event_type: The event's type.
        error: Why the last call failed.
        attempts: Calls so far.
        time: When it was parked, RFC 3339 in UTC.
        held: Whether later changes of the run wait behind it.
        behind: How many do, when last counted.
        asked: What people asked for that is not done yet, or an empty text.
    """

    service: str
    partition: int
    run_id: str
    offset: int
    index: int
    event_id: str
    event_type: str
    error: str
    attempts: int
    time: str
    held: bool
    behind: int = 0
    asked: Literal["", "retry", "skip"] = ""

    @property
    def place(self) -> Place:
        """Where the change stands."""
        return self.offset, self.index

    @property
    def key(self) -> str:
        """What tells it from all others of its group; those of one service and partition are together."""
        return f"{self.service}/{self.partition:06d}/{self.run_id}/{self.offset:020d}.{self.index:06d}"

    def encode(self) -> bytes:
        """Return it as JSON."""
        return orjson.dumps(self)


class Request(NamedTuple):
    """What people ask for a parked change.

    Attributes:
        action: `retry`: deliver it again, and what is held behind it. `skip`: only what is held behind it.
        key: The parked change's.
    """

    action: Action
    key: str


def parked_in(key: str) -> tuple[str, int]:
    """Return the service and the partition of a parked change by its key; -1 when that is no such key."""
    service, _, rest = key.partition("/")
    number = rest.partition("/")[0]
    # Anybody may ask for anything; Python refuses to read a number of thousands of digits.
    return service, int(number) if number.isdecimal() and len(number) <= _PARTITION_DIGITS else -1


def read_parked(text: bytes, where: str) -> Parked:
    """Return a parked change from JSON.

    Raises:
        StoreDamagedError: It is none.
    """
    try:
        row = orjson.loads(text)
        parked = Parked(**{each.name: row[each.name] for each in fields(Parked)})
        if all(isinstance(getattr(parked, name), kind) for name, kind in _TYPES.items()):
            return parked
    except (KeyError, TypeError, ValueError):
        pass
    raise StoreDamagedError(f"expected a parked change in {where}, but found {text[:80]!r}.")


_TYPES = {
    "service": str, "partition": int, "run_id": str, "offset": int, "index": int, "event_id": str, "event_type": str,
    "error": str, "attempts": int, "time": str, "held": bool, "behind": int, "asked": str,
}  # fmt: skip
