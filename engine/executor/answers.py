"""Answers: what becomes of commands that lead to no commit."""

import asyncio
from collections.abc import Callable

from engine import crash_points
from engine.core.commands import Command, CreateRun, StartRun
from engine.core.decide import asked_again
from engine.core.decision import Asked
from engine.core.rejection import OVERSIZED, WRONG_PARTITION, Rejection
from engine.crash_points import CrashPoint
from engine.executor.rejected import rejection_record
from engine.executor.settings import Settings
from engine.executor.tasks import Tasks
from engine.history import read_history
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX, RECORD_BYTES_MAX
from engine.log.partitioner import partition_of
from engine.log.place import record_bytes
from engine.log.port import COMMANDS, REJECTIONS, LogRecord, Record


class Answers:
    """Answers the commands of a partition without a commit: refuses, recognises or forwards them.

    Args:
        number: The partition.
        settings: The log, the clock, and who hears of it.
        tasks: Those of the term, with which they stand and fall.
        settle: Called with the offset of a command when it is decided.
    """

    def __init__(self, number: int, settings: Settings, tasks: Tasks, settle: Callable[[int], None]) -> None:
        self._number = number
        self._settings = settings
        self._log = settings.log
        self._listener = settings.listener
        self._tasks = tasks
        self._settle = settle
        self._repeating: set[asyncio.Task[None]] = set()

    def recognise(self, asked: Asked) -> None:
        """Take a command as one that asks for what was done before."""
        self._settle(asked.offset)
        self._listener.recognised(asked.command)

    def reject(self, record: LogRecord, rejection: Rejection, command: Command | None) -> None:
        """Put a refusal on the log, of bytes that hold no command or of a command that concerns no run here."""
        # What is cut on the log need not be held until then.
        key = record.key[:ERROR_MESSAGE_CHARACTERS_MAX] if command is None else command.run
        self._tasks.spawn(self._reject(record.offset, key, record.value, rejection, command))

    def refuse(self, asked: Asked, rejection: Rejection, done: Callable[[str], None]) -> None:
        """Put the refusal of a run's command on the log, and call `done` with the run when that is acknowledged."""
        self._tasks.spawn(self._refuse(asked, rejection, done))

    def repeat(self, asked: Asked, rejection: Rejection) -> None:
        """Repeat on `rejections` a refusal that the run has recorded; until that is acknowledged it is held."""
        crash_points.reached(CrashPoint.REFUSAL_RECORDED)
        task = self._tasks.spawn(self._repeat(asked, rejection))
        self._repeating.add(task)
        task.add_done_callback(self._repeating.discard)

    async def repeated(self) -> None:
        """Wait until the refusals that are being repeated are on the log."""
        if self._repeating:
            await asyncio.wait(self._repeating)

    def answer_again(self, asked: Asked, command: CreateRun | StartRun, done: Callable[[str], None]) -> None:
        """Answer a command that would make or start a run that has ended; call `done` with the run when it is done."""
        self._tasks.spawn(self._answer_again(asked, command, done))

    def forward(self, record: LogRecord, command: Command) -> None:
        """Send a command that came to the wrong partition to the right one, once."""
        if "forwarded" in record.headers:
            reason = f"expected a command on the partition of its run, but it came to partition {self._number} again"
            self.reject(record, Rejection(WRONG_PARTITION, reason), command)
            return
        right = partition_of(command.run, self._log.partitions)
        forwarded = Record(
            command.run, record.value, {**record.headers, "forwarded": f"{self._number}/{record.offset}"}
        )
        if (size := record_bytes(forwarded)) > RECORD_BYTES_MAX:
            reason = (
                f"expected a command on partition {right}, that of its run, or one of at most {RECORD_BYTES_MAX} bytes "
                f"to be forwarded there, but found {size} with its headers"
            )
            self.reject(record, Rejection(OVERSIZED, reason), command)
            return
        self._tasks.spawn(self._forward(record.offset, right, forwarded))

    async def _answer_again(self, asked: Asked, command: CreateRun | StartRun, done: Callable[[str], None]) -> None:
        # Only its history says what the run was.
        history = await read_history(self._log, command.run)
        rejection = asked_again(history[-1].after, command) if history else None
        if rejection is not None:
            await self._refuse(asked, rejection, done)
        else:
            self.recognise(asked)
            done(command.run)

    async def _refuse(self, asked: Asked, rejection: Rejection, done: Callable[[str], None]) -> None:
        run_id = asked.command.run
        await self._reject(asked.offset, run_id, asked.value, rejection, asked.command)
        done(run_id)

    async def _repeat(self, asked: Asked, rejection: Rejection) -> None:
        command = asked.command
        await self._log.append(
            REJECTIONS, 0, self._record(asked.offset, command.run, asked.value, rejection, command.id)
        )
        self._settle(asked.offset)

    async def _reject(self, offset: int, key: str, value: bytes, rejection: Rejection, command: Command | None) -> None:
        identity = None if command is None else command.id
        crash_points.reached(CrashPoint.REJECTION_BEFORE)
        await self._log.append(REJECTIONS, 0, self._record(offset, key, value, rejection, identity))
        crash_points.reached(CrashPoint.REJECTION_AFTER)
        self._settle(offset)
        if command is not None:
            self._listener.rejected(command, rejection)

    async def _forward(self, offset: int, right: int, forwarded: Record) -> None:
        crash_points.reached(CrashPoint.FORWARD_BEFORE)
        await self._log.append(COMMANDS, right, forwarded)
        crash_points.reached(CrashPoint.FORWARD_AFTER)
        self._settle(offset)

    def _record(self, offset: int, key: str, value: bytes, rejection: Rejection, command: str | None) -> Record:
        settings = self._settings
        return rejection_record(
            value,
            rejection,
            command=command,
            key=key,
            partition=self._number,
            offset=offset,
            source=settings.source,
            time=settings.clock.now(),
        )
