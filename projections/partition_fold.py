"""The fold of one partition into a store: from where the store has come to, on and on."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from engine import crash_points
from engine.core.view import View
from engine.crash_points import CrashPoint
from engine.errors import ClosedError, LogDamagedError, LogError
from engine.executor.beginning import Beginning, begin
from engine.limits import (
    FENCE_RETRY_SECONDS_MAX,
    FENCE_RETRY_SECONDS_MIN,
    PROJECTION_BATCH_RECORDS,
    PROJECTION_TURN_SECONDS,
)
from engine.log.digest import digest
from engine.log.errors import LogReplacedError
from engine.log.port import EVENTS, Ends, Log, LogRecord
from engine.stopping import PartitionStoppedError, StopReason
from engine.store.errors import StoreError
from engine.store.port import Store
from projections.ended import FAMILY as ENDED
from projections.ended import EndedRuns
from projections.position import REBUILD, Position, another_topic, read_position
from projections.projection import Commit, Projection, Rows, Stretch, Turn

_LOGGER = logging.getLogger("runline.projections")


class PartitionFold:
    """Folds one partition for several projections, all of them at the same position.

    Args:
        log: The log.
        topic: `events` or `workflows`.
        partition: The partition.
        store: Where the rows and the position are.
        lock: Shared by all partitions of the store; None where one is folded after the other.
        projections: Those that fold this topic.
        moved: Called after every batch, and when the fold stops.

    Attributes:
        position: How far it has come.
        aim: The end of the partition when folding began.
        begun: Whether the partition was found to be the one that was folded, so that folding goes on.
        stopped: Whether it was found that it cannot be folded further; what the position says of that may be over.
        trouble: What keeps it from going on at the moment, or an empty text.
        damage: The damage of the log, where that is what keeps it from going on: it was found, and found again.
    """

    def __init__(
        self,
        log: Log,
        topic: str,
        partition: int,
        store: Store,
        *,
        lock: "threading.Lock | None" = None,
        projections: Sequence[Projection],
        moved: Callable[[], None],
    ) -> None:
        self._log = log
        self._topic = topic
        self._partition = partition
        self._store = store
        self._lock = lock or threading.Lock()
        self._projections = projections
        self._moved = moved
        self._view = View()
        self._ended = EndedRuns(store)
        self.position = read_position(store, topic, partition) or self._first("")
        self.aim = 0
        self.begun = False
        self.stopped = False
        self._scanned = 0
        self.trouble = ""
        self.damage: LogDamagedError | None = None

    def reached(self, offset: int) -> bool:
        """Return whether all below an offset is folded, or the partition is folded no further."""
        # Behind the last record there may be offsets that no record has, such as those of transactions on Kafka.
        return self.stopped or (self.begun and max(self.position.offset, self._scanned) >= offset)

    @property
    def name(self) -> str:
        """The partition as people write it."""
        return f"{self._topic}/{self._partition}"

    async def run(self) -> None:
        """Fold what is there and what comes, until the partition cannot be folded further.

        Raises:
            StoreDamagedError: The store is not what was written.
            StoreFullError: There is no space left for it.
            StoreError: The store cannot be used.
        """
        delay = FENCE_RETRY_SECONDS_MIN
        while True:
            before = self.position.offset
            try:
                await self._begin()
                await self._catch_up((await self._log.ends(self._topic, self._partition)).end)
                await self._follow()
            except ClosedError:
                return
            except PartitionStoppedError as stopped:
                self._stop(stopped)
                return
            except LogReplacedError as error:
                self._stop(PartitionStoppedError(StopReason.TOPIC_RECREATED, error.args[0], hint=error.hint))
                return
            except LogError as error:
                self._wait_for(error)
            delay = (
                FENCE_RETRY_SECONDS_MIN if self.position.offset > before else min(2 * delay, FENCE_RETRY_SECONDS_MAX)
            )
            self._moved()
            await asyncio.sleep(delay)

    def _wait_for(self, error: LogError) -> None:
        """Take note of what may be over when the log is read again, and say so once."""
        text = str(error)
        if self.trouble != text:
            self.trouble, self.damage = text, None
            _LOGGER.error("%s cannot be folded now: %s Trying again", self.name, text)
        elif isinstance(error, LogDamagedError):
            self.damage = error

    def _goes_on(self) -> None:
        self.trouble, self.damage = "", None

    async def fold_to(self, offset: int) -> None:
        """Fold what is below an offset, and no more. What keeps it from that is raised, and nothing is tried again.

        Args:
            offset: An offset that the partition has reached.

        Raises:
            PartitionStoppedError: The partition cannot be folded so far.
            LogError: The log cannot be read.
            StoreError: The store cannot be used.
            ClosedError: The log was closed.
        """
        await self._begin()
        await self._catch_up(offset)
        self._moved()

    async def _begin(self) -> None:
        """Make sure that the partition is the one that was folded, and fold up to the position without any rows."""
        topic_id = await self._log.topic_id(self._topic)
        ends = await self._log.ends(self._topic, self._partition)
        if not self.begun:
            self.aim = ends.end
        if not self.position.topic_id:
            self.position = self._first(topic_id)
            self._save_position()
        self._check_bounds(topic_id, ends)
        await self._check_last(self.position)
        if self._topic == EVENTS:
            await self._fold_again()
        if self.position.stopped is not None:
            # What stopped it is over: a newer version reads the event, or somebody brought the records back.
            self.position = replace(self.position, stopped=None, message="")
            self._save_position()
        self.begun = True

    def _first(self, topic_id: str) -> Position:
        partitions = self._log.partitions if self._topic == EVENTS else 1
        return Position(self._topic, self._partition, partitions, topic_id)

    def _check_bounds(self, topic_id: str, ends: Ends) -> None:
        position = self.position
        if position.topic_id != topic_id:
            raise another_topic(position, topic_id)
        if position.offset > ends.end:
            raise PartitionStoppedError(
                StopReason.LOG_TRUNCATED,
                f"expected {self.name} to reach offset {position.offset}, up to which it was folded, "
                f"but it ends at {ends.end}: records were lost.",
                hint=REBUILD,
            )
        if position.offset < ends.start:
            raise PartitionStoppedError(
                StopReason.PREFIX_LOST,
                f"expected {self.name} to hold offset {position.offset}, from which it is to be folded, "
                f"but it begins at {ends.start}.",
                hint="Restore the deleted records, or a copy of the log.",
            )

    async def _check_last(self, position: Position) -> None:
        """Make sure that the last record below a position is the one that was folded."""
        if not position.offset:
            return
        records = await self._log.read(self._topic, self._partition, position.offset - 1, 1)
        found = records[0] if records and records[0].offset == position.offset - 1 else None
        # A compacted topic may have dropped the record; then nothing can be said.
        if (found is None and self._topic == EVENTS) or (found is not None and digest(found) != position.digest):
            raise self._differs(f"another record at offset {position.offset - 1}")

    async def _fold_again(self) -> None:
        """Bring the view to the position, from a checkpoint of the log."""
        position = self.position
        self._view = (await self._begin_view(position.offset)).view
        while self._view.position < position.offset:
            count = min(PROJECTION_BATCH_RECORDS, position.offset - self._view.position)
            records = await self._log.read(EVENTS, self._partition, self._view.position, count)
            if not records:
                raise LogError(f"expected {self.name} to reach offset {position.offset}, but it ends before that now.")
            for record in records:
                self._view.fold(record)
        # All that it knows is in the store: whatever lies below the position was folded.
        self._ended.clear()
        self._view.ended = self._ended
        if self._view.epoch != position.epoch:
            raise self._differs(f"epoch {self._view.epoch} instead of {position.epoch}")
        for run_id in self._view.from_future:
            # A newer version folded it; this one would pass over what the run does next.
            raise self._from_future(run_id)

    async def _begin_view(self, offset: int) -> Beginning:
        try:
            return await begin(self._log, self._partition, before=offset)
        except LogDamagedError as error:
            if not (await self._log.ends(self._topic, self._partition)).start:
                raise
            raise PartitionStoppedError(StopReason.PREFIX_LOST, error.args[0], hint=error.hint) from error

    def _differs(self, what: str) -> PartitionStoppedError:
        return PartitionStoppedError(
            StopReason.HISTORY_DIFFERS,
            f"expected {self.name} to hold the records that were folded, but found {what}.",
            hint=REBUILD,
        )

    async def _catch_up(self, end: int) -> None:
        """Fold what is below an offset, as fast as it can be read; perhaps in another thread, while this one waits."""
        loop = asyncio.get_running_loop()
        before = self.position
        batch: list[LogRecord] = []

        def take(records: Sequence[LogRecord]) -> None:
            nonlocal batch
            batch += records
            if len(batch) >= PROJECTION_BATCH_RECORDS:
                full, batch = batch, []
                self._fold(full)
                loop.call_soon_threadsafe(self._moved)

        await self._log.scan(self._topic, self._partition, self.position.offset, end, take)
        if batch:
            self._fold(batch)
        # Records may have been taken away between looking and reading.
        await self._check_last(before)
        self._scanned = end
        self._goes_on()

    async def _follow(self) -> None:
        reader = self._log.reader(self._topic, self._partition, self.position.offset)
        self._moved()
        try:
            records = await reader.next()
            # Only a reader that has read something hears of it when records are taken away.
            await self._check_last(self.position)
            while True:
                turn = time.monotonic()
                for first in range(0, len(records), PROJECTION_BATCH_RECORDS):
                    self._fold(records[first : first + PROJECTION_BATCH_RECORDS])
                    self._moved()
                    if time.monotonic() - turn > PROJECTION_TURN_SECONDS:
                        await asyncio.sleep(0)
                        turn = time.monotonic()
                records = await reader.next()
        finally:
            reader.close()

    def _fold(self, records: Sequence[LogRecord]) -> None:
        stopped = None
        stretches: dict[str, Stretch] = {}
        if self._topic == EVENTS:
            try:
                self._fold_events(records, stretches)
            except _StoppedAt as stop:
                stopped, records = stop.error, [record for record in records if record.offset < stop.offset]
        if records:
            self._write(records, stretches)
        if stopped is not None:
            raise stopped

    def _fold_events(self, records: Sequence[LogRecord], stretches: dict[str, Stretch]) -> None:
        view = self._view
        unreadable = len(view.unreadable)
        for record in records:
            accepted = view.fold(record)
            if accepted is not None:
                stretch = stretches.get(record.key)
                if stretch is None:
                    stretch = stretches[record.key] = Stretch(record.key, [])
                stretch.commits.append(Commit(accepted, record))
            elif len(view.unreadable) > unreadable:
                unreadable = len(view.unreadable)
                self._unreadable(record)

    def _unreadable(self, record: LogRecord) -> None:
        """A commit that counts cannot be folded: wait for a newer version, or go on without its run, loudly."""
        if record.key in self._view.from_future:
            raise _StoppedAt(record.offset, self._from_future(record.key))
        why = self._view.unreadable[record.key]
        _LOGGER.error("%s: run %s is folded no further: %s", self.name, record.key, why)

    def _from_future(self, run_id: str) -> PartitionStoppedError:
        return PartitionStoppedError(
            StopReason.EVENT_FROM_FUTURE,
            f"expected events that this version knows in {self.name}, but found {self._view.unreadable[run_id]}.",
            hint="Use the version of Runline that wrote it, or a newer one.",
        )

    def _write(self, records: Sequence[LogRecord], stretches: dict[str, Stretch]) -> None:
        batch = self._store.batch()
        with Turn(self._lock) as turn:
            for projection in self._projections:
                self._project(projection, records, stretches.values(), Rows(self._store, batch, projection, turn))
            for stretch in stretches.values():
                if stretch.after.status.terminal:
                    batch.put(ENDED, stretch.run_id.encode(), b"")
            position = self.position.behind(records[-1], self._view.epoch)
            position.put(batch, self.position)
            crash_points.reached(CrashPoint.PROJECTION_BEFORE)
            self._store.write(batch)
        crash_points.reached(CrashPoint.PROJECTION_AFTER)
        self.position = position
        self._ended.clear()
        self._goes_on()

    def _project(
        self, projection: Projection, records: Sequence[LogRecord], stretches: Iterable[Stretch], rows: Rows
    ) -> None:
        try:
            projection.fold(records, stretches, rows)
        except (StoreError, ClosedError):
            raise
        except Exception as error:
            _LOGGER.exception("The projection %s failed", projection.name)
            raise self._failed(projection, records) from error

    def _failed(self, projection: Projection, records: Sequence[LogRecord]) -> PartitionStoppedError:
        return PartitionStoppedError(
            StopReason.PROJECTION_FAILED,
            f"expected the projection {projection.name} to fold the records from {records[0].offset} to "
            f"{records[-1].offset} of {self.name}, but it failed.",
            hint="The process's log has the traceback; nothing of these records was kept.",
        )

    def _stop(self, error: PartitionStoppedError) -> None:
        _LOGGER.error("%s is folded no further: %s", self.name, error)
        self.position = self.position.stop(error)
        self._goes_on()
        self.stopped = True
        self._save_position()
        self._moved()

    def _save_position(self) -> None:
        batch = self._store.batch()
        self.position.put(batch)
        self._store.write(batch)


class _StoppedAt(Exception):  # noqa: N818 - it says where, the error in it says what
    """A record must not be folded."""

    def __init__(self, offset: int, error: PartitionStoppedError) -> None:
        self.offset = offset
        self.error = error
