"""The ranges of a partition: hashed as its records pass by, in order."""

from collections.abc import Sequence
from typing import NamedTuple

from engine.limits import AUDIT_RANGE_RECORDS
from engine.log.port import LogRecord
from projections.audit.merkle import Range, leaf_hash, record_form, root_of
from projections.audit.shape import FENCE


class Open(NamedTuple):
    """A range that is not complete yet: where it begins and ends so far, its fences and the hashes of its records."""

    start: int
    end: int
    fences: int
    leaves: Sequence[bytes]


class Ranges:
    """Makes ranges of the records of one partition.

    Attributes:
        complete: The ranges that are complete.
        last: The hash of the last record.
    """

    def __init__(self) -> None:
        self.complete: list[Range] = []
        self.last = b""
        self._number = -1
        self._start = 0
        self._end = 0
        self._fences = 0
        self._leaves: list[bytes] = []

    def take(self, record: LogRecord) -> bytes:
        """Add a record and return its hash."""
        number = record.offset // AUDIT_RANGE_RECORDS
        if number != self._number:
            self._close()
            self._number = number
            self._start = record.offset
        self.last = leaf = leaf_hash(record_form(record))
        self._leaves.append(leaf)
        self._end = record.offset + 1
        if record.headers.get("ce_type") == FENCE:
            self._fences += 1
        return leaf

    def all(self) -> list[Range]:
        """Return all ranges, the last one as far as it goes."""
        return [*self.complete, self._range()] if self._leaves else list(self.complete)

    @property
    def open(self) -> Open:
        """The range that is not complete yet; without records where there is none."""
        return Open(self._start, self._end, self._fences, self._leaves)

    def restore(self, complete: list[Range], rest: Open) -> None:
        """Go on from ranges that were taken before."""
        self.complete = complete
        self._start, self._end, self._fences = rest.start, rest.end, rest.fences
        self._leaves = list(rest.leaves)
        self._number = rest.start // AUDIT_RANGE_RECORDS if rest.leaves else -1
        self.last = self._leaves[-1] if self._leaves else b""

    def _close(self) -> None:
        if self._leaves:
            self.complete.append(self._range())
        self._leaves = []
        self._fences = 0

    def _range(self) -> Range:
        return Range(self._start, self._end, self._fences, root_of(self._leaves))
