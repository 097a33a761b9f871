"""The checkpointer: writes the state of a partition into its own log when enough has happened."""

import asyncio
from collections.abc import Coroutine, Iterator

from engine import crash_points
from engine.core.checkpoint import EMPTY_PART, part_values
from engine.core.records import NO_CHECKPOINT, PART_KEY, PartHeading, part_record
from engine.crash_points import CrashPoint
from engine.executor.beginning import Beginning
from engine.executor.intake import Intake
from engine.executor.settings import Settings
from engine.limits import CHECKPOINT_BYTES_MIN, CHECKPOINT_COMMANDS, CHECKPOINT_GROWTH
from engine.log.port import EVENTS, LogRecord


class Checkpointer:
    """Counts what was read since the last checkpoint and writes the next one.

    Args:
        number: The partition.
        settings: The log, the clock and the name of what is written.
        beginning: What the owner began from; its view goes on with the owner.
    """

    def __init__(self, number: int, settings: Settings, beginning: Beginning) -> None:
        self._number = number
        self._settings = settings
        self._view = beginning.view
        self._bytes_since = 0
        self._commands_at_last = beginning.view.commands
        self._bytes_of_last = beginning.bytes_read
        self._writing = False
        self._part_read = asyncio.Event()

    @property
    def named(self) -> str:
        """What every record says: the offset of the first part of the last complete checkpoint, or `none`."""
        return NO_CHECKPOINT if self._view.checkpoint is None else str(self._view.checkpoint)

    def count(self, record: LogRecord) -> None:
        """Count a record that was read."""
        if record.key != PART_KEY:
            self._bytes_since += len(record.value)
        else:
            self._part_read.set()

    def due(self, commands: int) -> bool:
        """Return whether it is time for a checkpoint.

        Args:
            commands: The offset of the next command to read.
        """
        # A checkpoint would leave out the runs that cannot be read here, and lose them.
        if self._writing or self._view.unreadable:
            return False
        return (
            self._bytes_since >= max(CHECKPOINT_BYTES_MIN, CHECKPOINT_GROWTH * self._bytes_of_last)
            or commands - self._commands_at_last >= CHECKPOINT_COMMANDS
        )

    def write(self, epoch: str, intake: Intake) -> Coroutine[None, None, None]:
        """Take the state of this instant, at once; the coroutine writes it into the log.

        Args:
            epoch: The owner's epoch.
            intake: What is read and decided of the commands.
        """
        self._writing = True
        self._bytes_since = 0
        self._commands_at_last = intake.position
        commands, clock = intake.decided, intake.decided_clock
        view = self._view
        # States are values, so holding them is enough: what happens from now on changes others.
        values = part_values(dict(view.runs), dict(view.ended), commands=commands, clock=clock)
        return self._write(epoch, view.position, values, commands, clock)

    async def _write(self, epoch: str, start: int, parts: Iterator[bytes], commands: int, clock: int) -> None:
        crash_points.reached(CrashPoint.CHECKPOINT_TAKEN)
        values: list[bytes] = []
        for value in parts:
            values.append(value)
            # Let runs go on between two parts: encoding thousands of states takes a while.
            await asyncio.sleep(0)
        self._bytes_of_last = sum(map(len, values))
        offset = -1
        count = len(values) + 1
        for number, value in enumerate(values):
            offset = await self._append(value, PartHeading(epoch, start, number, count, commands, clock))
            crash_points.reached(CrashPoint.CHECKPOINT_PART)
        # An unclean election may have taken records away whose fold this is. Whoever reads back what stands behind them
        # notices, and begins anew: so the last part, without which it is no checkpoint, waits for that.
        await self._read_back(offset)
        await self._append(EMPTY_PART, PartHeading(epoch, start, len(values), count, commands, clock))
        crash_points.reached(CrashPoint.CHECKPOINT_WRITTEN)
        self._writing = False

    async def _append(self, value: bytes, heading: PartHeading) -> int:
        settings = self._settings
        record = part_record(value, heading, source=settings.source, time=settings.clock.now(), checkpoint=self.named)
        return await settings.log.append(EVENTS, self._number, record)

    async def _read_back(self, offset: int) -> None:
        while self._view.position <= offset:
            self._part_read.clear()
            await self._part_read.wait()
