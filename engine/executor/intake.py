"""The intake: what was read of a partition's commands, and what of it is decided."""

from engine.log.port import LogRecord


class Intake:
    """Counts the commands that were read, and those that are decided, in whatever order.

    Attributes:
        position: The offset of the next command to read.
        clock: The highest timestamp below it, in milliseconds; -1 before any.
    """

    __slots__ = ("_undecided", "clock", "position")

    def __init__(self) -> None:
        self.position = 0
        self.clock = -1
        # In the order of their offsets, each with the clock below it.
        self._undecided: dict[int, int] = {}

    def __len__(self) -> int:
        """Return how many commands were read and are not decided."""
        return len(self._undecided)

    def take(self, record: LogRecord) -> None:
        """Count a command that was read."""
        self.position = record.offset + 1
        self._undecided[record.offset] = self.clock
        self.clock = max(self.clock, record.timestamp)

    def settle(self, offset: int) -> None:
        """Count a command as decided; one that is already stays so."""
        self._undecided.pop(offset, None)

    @property
    def decided(self) -> int:
        """C: the offset below which everything is decided."""
        return next(iter(self._undecided), self.position)

    @property
    def decided_clock(self) -> int:
        """T: the highest timestamp below C, in milliseconds."""
        return next(iter(self._undecided.values()), self.clock)
