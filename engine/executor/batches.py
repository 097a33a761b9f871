"""Batches: work goes through its stages a few pieces at a time."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_PIECES: Final = 16
"""Pieces that go through a stage before the next stage begins.

Together, because a processor repeats what it has just done much faster than it turns to something else: one piece at a
time costs a tenth more. Few, because whatever is under way must be kept: all that come at once cost as much again.
"""


def batches(pieces: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the pieces in order, a few at a time."""
    for start in range(0, len(pieces), _PIECES):
        yield pieces[start : start + _PIECES]
