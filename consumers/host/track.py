"""What one service has dealt with in one partition, and how much waits for it."""

import asyncio

from consumers.host.progress import Place, Progress
from engine.limits import FOLLOW_OPEN_BYTES_MAX, FOLLOW_OPEN_CHANGES_MAX


class Track:
    """Keeps account of one service's changes in one partition.

    Attributes:
        read: Everything below this place was looked at.
        dealt: How many changes were dealt with here.
    """

    def __init__(self, progress: Progress) -> None:
        self.read = (progress.lowest[0], 0)
        self.dealt = 0
        self._resume = progress.position
        self._again = set(progress.open)
        self._open: dict[Place, int] = {}
        self._bytes = 0
        self._moved = asyncio.Event()

    @property
    def open(self) -> int:
        """How many changes wait or are under way."""
        return len(self._open)

    @property
    def progress(self) -> Progress:
        """How far the service has come."""
        return Progress(max(self._resume, self.read), tuple(sorted({*self._open, *self._again})))

    def wants(self, place: Place) -> bool:
        """Return whether the change at a place is still to be dealt with."""
        return place >= self._resume or place in self._again

    def has_dealt_with(self, place: Place) -> bool:
        """Return whether the change at a place was dealt with, or is none of this service's."""
        if place >= self.read:
            return not self.wants(place)
        return place not in self._open

    def reach(self, place: Place) -> None:
        """Note that everything below a place was looked at."""
        self.read = place
        if self._again:
            self._again = {each for each in self._again if each >= place}
        self._move()

    def begin(self, place: Place, size: int) -> None:
        """Note that a change waits for the service."""
        self._open[place] = size
        self._bytes += size
        self._again.discard(place)

    def finish(self, place: Place) -> None:
        """Note that a change was dealt with."""
        self._bytes -= self._open.pop(place)
        self.dealt += 1
        self._move()

    async def room(self) -> None:
        """Wait until more may wait for the service."""
        while len(self._open) >= FOLLOW_OPEN_CHANGES_MAX or self._bytes >= FOLLOW_OPEN_BYTES_MAX:
            await self.moved()

    async def moved(self) -> None:
        """Wait until something is read or dealt with."""
        await self._moved.wait()

    def wake(self) -> None:
        """Let all who wait look again."""
        self._move()

    def _move(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
