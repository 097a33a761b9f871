"""An obstacle: a batch of records that nobody can unpack, and the search for the first record behind it."""

from typing import Final

_TRIES: Final = 3
"""Failures to unpack a batch before it is passed over."""


class Obstacle:
    """Finds where reading goes on, in few steps however many records the batch has.

    The client says where the batch begins, not where it ends, so that is found by bisection: an offset inside fails
    with the same beginning, and one behind it gives a record or fails with another.

    Args:
        first: The offset at which the batch begins, or None when the client does not say.
        position: Where reading failed.
        end: The end of the partition, as far as it is known.

    Attributes:
        position: Where to read next.
    """

    def __init__(self, first: int | None, position: int, end: int) -> None:
        self._first = first
        self._tries = 1
        self._low = position
        self._high = max(end, position + 1) if first is not None else position + 1
        self.position = position

    @property
    def real(self) -> bool:
        """Whether the batch failed so often that it is passed over."""
        return self._tries >= _TRIES

    @property
    def passed(self) -> bool:
        """Whether `position` is behind it."""
        return self.real and self._low >= self._high

    def failed(self, first: int | None) -> None:
        """Take note that a batch that begins there could not be unpacked at `position`."""
        if not self.real:
            self._tries += 1
            if self._tries == _TRIES:
                self._look(self._low + 1, self._high)
        elif first == self._first:
            self._look(self.position + 1, self._high)
        else:
            self._look(self._low, self.position)

    def readable(self) -> None:
        """Take note that there was a record at `position` or behind it."""
        self._look(self._low, self.position)

    def _look(self, low: int, high: int) -> None:
        self._low, self._high = low, high
        self.position = (low + high) // 2
