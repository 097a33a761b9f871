"""The intake: what was read of a partition's commands, what of it is decided, and whether there is room for more."""

import asyncio
from typing import NamedTuple

from engine.limits import COMMANDS_UNDECIDED_BYTES_MAX, COMMANDS_UNDECIDED_MAX
from engine.log.held import held_bytes
from engine.log.port import LogRecord


class _Taken(NamedTuple):
    """A command that was read and is not decided.

    Attributes:
        clock: The clock below it, in milliseconds.
        bytes: What it takes of the room, or None for one that was set aside.
    """

    clock: int
    bytes: int | None


class Intake:
    """Counts the commands that were read, and those that are decided, in whatever order.

    What is undecided is held in memory: the commands themselves, what is on its way to the log because of them, and
    refusals that are not acknowledged. So whoever reads commands waits for `room`. Nothing that makes room waits for
    another command: commits are read back, refusals acknowledged, and versions of workflows looked up without one.

    Attributes:
        position: The offset of the next command to read.
        clock: The highest timestamp below it, in milliseconds; -1 before any.
        held: How many commands take room: read, not decided, and not set aside.
        held_bytes: Their bytes.
    """

    __slots__ = ("_room", "_undecided", "clock", "held", "held_bytes", "position")

    def __init__(self) -> None:
        self.position = 0
        self.clock = -1
        self.held = 0
        self.held_bytes = 0
        # In the order of their offsets.
        self._undecided: dict[int, _Taken] = {}
        self._room: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        """Return how many commands were read and are not decided."""
        return len(self._undecided)

    def take(self, record: LogRecord) -> None:
        """Count a command that was read."""
        self.position = record.offset + 1
        size = held_bytes(record)
        self._undecided[record.offset] = _Taken(self.clock, size)
        self.held += 1
        self.held_bytes += size
        self.clock = max(self.clock, record.timestamp)

    def settle(self, offset: int) -> None:
        """Count a command as decided; one that is already stays so."""
        taken = self._undecided.pop(offset, None)
        if taken is not None and taken.bytes is not None:
            self._make_room(taken.bytes)

    def set_aside(self, offset: int) -> None:
        """Let a command take no room although it is not decided: it waits for what other commands must not wait for."""
        taken = self._undecided.get(offset)
        if taken is not None and taken.bytes is not None:
            self._undecided[offset] = _Taken(taken.clock, None)
            self._make_room(taken.bytes)

    async def room(self) -> None:
        """Wait, if as much is undecided as may be, until it is no more than half of that. For one task."""
        if self.held < COMMANDS_UNDECIDED_MAX and self.held_bytes < COMMANDS_UNDECIDED_BYTES_MAX:
            return
        self._room = asyncio.get_running_loop().create_future()
        try:
            await self._room
        finally:
            self._room = None

    @property
    def decided(self) -> int:
        """C: the offset below which everything is decided."""
        return next(iter(self._undecided), self.position)

    @property
    def decided_clock(self) -> int:
        """T: the highest timestamp below C, in milliseconds."""
        first = next(iter(self._undecided.values()), None)
        return self.clock if first is None else first.clock

    def _make_room(self, size: int) -> None:
        self.held -= 1
        self.held_bytes -= size
        room = self._room
        if (
            room is not None
            and not room.done()
            and self.held <= COMMANDS_UNDECIDED_MAX // 2
            and self.held_bytes <= COMMANDS_UNDECIDED_BYTES_MAX // 2
        ):
            room.set_result(None)
