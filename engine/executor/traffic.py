"""Traffic: how many proposals of an executor are on their way to the log."""

from engine.limits import PATIENT_FROM


class Traffic:
    """Counts proposals, over all partitions of an executor.

    Attributes:
        proposals: Sent and not yet read back.
    """

    __slots__ = ("proposals",)

    def __init__(self) -> None:
        self.proposals = 0

    @property
    def dense(self) -> bool:
        """Whether so many are on their way that one may wait a moment for others to go with it."""
        return self.proposals >= PATIENT_FROM
