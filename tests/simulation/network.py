"""The network between the processes of a world and its brokers: what becomes of what is sent."""

from enum import StrEnum
from random import Random


class Fate(StrEnum):
    """What becomes of a record on its way."""

    LOST = "lost"
    """It never lands, and its writer is told that nobody answered."""
    UNKNOWN = "unknown"
    """It lands, but the acknowledgement is lost."""
    LATE = "late"
    """Its writer is told that nobody answered, and then it lands."""
    TWICE = "twice"
    """It lands and is acknowledged, and a second copy lands much later."""


class Network:
    """Draws what becomes of every record, and how long everything takes.

    Args:
        random: Draws.

    Attributes:
        rates: How likely each fate is.
        slow_reads: How likely a reader gets records late.
        unreachable: How likely a question to the brokers is not answered.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._latency = random.choice((0.0, 0.001, 0.01))
        self._late = random.choice((0.5, 5.0, 25.0))
        self.rates: dict[Fate, float] = {}
        self.slow_reads = 0.0
        self.unreachable = 0.0

    def calm(self) -> None:
        """Let everything arrive from now on."""
        self.rates.clear()
        self.slow_reads = 0.0
        self.unreachable = 0.0

    def fate(self) -> Fate | None:
        """Draw what becomes of a record; None when nothing is the matter."""
        if not self.rates:
            return None
        drawn = self._random.random()
        for fate, rate in self.rates.items():
            drawn -= rate
            if drawn < 0:
                return fate
        return None

    def happens(self, rate: float) -> bool:
        """Draw whether something happens."""
        return rate > 0 and self._random.random() < rate

    def latency(self) -> float:
        """Draw how long something takes to the brokers or back, in seconds."""
        return self._random.random() * self._latency

    def late(self) -> float:
        """Draw how late something comes that is late, in seconds."""
        return self._random.random() * self._late

    def timeout(self) -> float:
        """Draw how long somebody waits for an answer that does not come, in seconds."""
        return 0.1 + self._random.random() * 2.0
