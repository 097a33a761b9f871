"""How far a service is behind."""

from typing import NamedTuple


class Lag(NamedTuple):
    """How far a service is behind in a partition.

    Attributes:
        service: Its name.
        partition: The partition of `events`.
        position: The offset below which everything was dealt with, save what is open.
        end: The offset that the next record gets.
        open: Changes that wait for the service or are under way.
        parked: Changes that wait for people.
        trouble: What keeps the service from going on in this partition, or an empty text.
        blocked: For how many seconds calls that never waited kept the event loop from going on.
    """

    service: str
    partition: int
    position: int
    end: int
    open: int
    parked: int
    trouble: str
    blocked: float = 0.0

    @property
    def behind(self) -> int:
        """Records of the log that the service has not looked at yet."""
        return max(0, self.end - self.position)
