"""One service on one partition: its own reader, its own fold, its own position."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from consumers.host.attempts import Attempts, Failed
from consumers.host.care import Care
from consumers.host.errors import PartitionStoppedError
from consumers.host.item import Item, items_of
from consumers.host.lag import Lag
from consumers.host.parked import Parked
from consumers.host.partial import PartialView
from consumers.host.progress import Place, Progress, Seen, seen
from consumers.host.refold import fold_before
from consumers.host.standing import check_known, check_standing, fold_standing, too_many_parked
from consumers.host.track import Track
from consumers.host.wanted import Wanted
from engine.core.records import workflow_of
from engine.core.view import Accepted
from engine.errors import ClosedError, LogError
from engine.limits import (
    FENCE_RETRY_SECONDS_MAX,
    FENCE_RETRY_SECONDS_MIN,
    FOLLOW_DRAIN_SECONDS,
    FOLLOW_OPEN_CHANGES_MAX,
    FOLLOW_PARKED_MAX,
    FOLLOW_STALL_SECONDS,
    FOLLOW_TURN_RECORDS,
    FOLLOW_UNSAVED_CHANGES_MAX,
)
from engine.log.port import EVENTS, Log, LogRecord

_LOGGER = logging.getLogger("runline.follow")

_EVERYTHING: Final = ""
"""Stands for the whole partition where a run's id could stand."""
_ANY: Final = Wanted()


@dataclass
class _Lane:
    """The changes of one run, in order."""

    items: deque[Item] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class Follower:
    """Delivers the changes of one partition to one service: in order for each run, different runs in parallel.

    Args:
        log: The log.
        partition: The partition of `events`.
        topic_id: The identity of the topic that is followed.
        attempts: Calls the service.
        progress: How far the service has come.
        wanted: Which changes are delivered.
        parked: What is parked of this service and partition.
        care: Writes calls down before they are made.
        careful: Whether to take care first: a process may have ended in a call.
        before: The follower of the service before, which hears of a change first as long as it does not stall.
        dealt: Called after each change that was dealt with.
        ended: Called with each task that has ended, whatever its outcome.

    Attributes:
        trouble: What keeps the service from going on, or an empty text.
        stopped: Whether it goes on no further for this reason.
    """

    def __init__(
        self,
        log: Log,
        partition: int,
        topic_id: str,
        attempts: Attempts,
        progress: Progress,
        *,
        wanted: Wanted,
        parked: list[Parked],
        care: Care,
        careful: bool,
        before: "Follower | None",
        dealt: Callable[[], None],
        ended: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self.track = Track(progress)
        self.trouble = ""
        self.stopped = False
        self.partition = partition
        self._log = log
        self._topic_id = topic_id
        self._attempts = attempts
        self._wanted = wanted
        self._care = care
        self._careful_changes = FOLLOW_UNSAVED_CHANGES_MAX + FOLLOW_OPEN_CHANGES_MAX if careful else 0
        self._careful_up_to: Place = (-1, 0)
        self._unsaved = 0
        self._before = before
        self._dealt = dealt
        self._ended = ended
        self._view: PartialView | None = None
        self._seen = progress.seen
        self._read_last: LogRecord | None = None
        self._lanes: dict[str, _Lane] = {}
        self._parked = {each.key: each for each in parked}
        self._held = {each.run_id: each.key for each in parked if each.held}
        self._counted: set[str] = set()
        self._stalled: set[str] = set()
        # In the order in which they began, so that they also end in the same order each time.
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._draining = False
        self._reader: asyncio.Task[object] | None = None

    @property
    def service(self) -> str:
        """The service's name."""
        return self._attempts.service.name

    @property
    def name(self) -> str:
        """The service and the partition, as people write them."""
        return f"{self.service} on {EVENTS}/{self.partition}"

    @property
    def progress(self) -> Progress:
        """How far the service has come."""
        return self.track.progress._replace(seen=self._last_seen())

    def _last_seen(self) -> Seen | None:
        """Return the last record that was read, here or before; what is read again lies below that."""
        if self._read_last is not None and (self._seen is None or self._read_last.offset > self._seen.offset):
            self._seen = seen(self._read_last)
        return self._seen

    def lag(self, end: int) -> Lag:
        """Return how far the service is behind, given where the partition ends."""
        position = self.track.progress.position[0]
        return Lag(self.service, self.partition, position, end, self.track.open, len(self._parked), self.trouble)

    async def run(self) -> None:
        """Deliver what is there and what comes, until the partition cannot be followed further."""
        for parked in list(self._parked.values()):
            if parked.asked:
                self.ask(parked)
        self._reader = asyncio.current_task()
        delay = FENCE_RETRY_SECONDS_MIN
        while True:
            before = self.track.read
            try:
                await self._begin()
                await self._follow()
            except ClosedError:
                return
            except PartitionStoppedError as stopped:
                self.stop(stopped)
                return
            except LogError as error:
                self.trouble = str(error)
                _LOGGER.error("%s cannot go on now: %s; trying again", self.name, error)  # noqa: TRY400 - the text says it all
            moved = self.track.read > before
            delay = FENCE_RETRY_SECONDS_MIN if moved else min(2 * delay, FENCE_RETRY_SECONDS_MAX)
            await asyncio.sleep(delay)

    def stop(self, error: PartitionStoppedError) -> None:
        """Go on no further in this partition, loudly; nobody waits for this service any more."""
        _LOGGER.error("%s goes on no further: %s", self.name, error)
        self.trouble, self.stopped = str(error), True
        self.track.wake()

    def ask(self, parked: Parked) -> None:
        """Deliver a parked change again, or skip it, and what is held behind it; nothing else waits for that.

        While that is under way, what is asked is done afterwards, if the change is parked still.

        Args:
            parked: The change, with what is asked.
        """
        if parked.key not in self._parked:
            return
        self._parked[parked.key] = parked
        if self.releases(parked.key):
            self._counted.add(parked.key)
            return
        task = asyncio.create_task(self._release(parked), name=parked.key)
        self._tasks[task] = None
        task.add_done_callback(lambda task: self._released(task, parked.asked))
        task.add_done_callback(self._over)

    def _released(self, task: asyncio.Task[None], done: str) -> None:
        del self._tasks[task]
        if task.cancelled() or task.exception() is not None or self._leaving():
            return
        parked = self._parked.get(task.get_name())
        if parked is not None and parked.asked not in ("", done):
            self.ask(parked)

    def releases(self, key: str) -> bool:
        """Return whether a parked change is being delivered again, or skipped, by its key."""
        return any(task.get_name() == key for task in self._tasks)

    def find(self, key: str) -> Parked | None:
        """Return a parked change by its key."""
        return self._parked.get(key)

    @property
    def unsaved(self) -> int:
        """How many changes were taken beyond what is recorded."""
        return self._unsaved

    def saved(self, count: int) -> None:
        """Hear that so many of the changes taken are recorded now."""
        self._unsaved -= count
        self.track.wake()

    async def drain(self) -> None:
        """Take no more changes, and wait until the calls under way are over."""
        self._draining = True
        self.track.wake()
        lanes = [lane.task for lane in self._lanes.values() if lane.task is not None]
        if lanes:
            await asyncio.wait(lanes)

    async def drop(self) -> None:
        """Let go of everything at once; a call in a thread goes on, and nobody waits for it.

        Nor does anybody wait, beyond a bound, for an asynchronous call that takes no notice of its cancellation.
        """
        # A call that is left behind and ends after all is the last of its task.
        self._draining = True
        tasks = [*self._tasks, *(lane.task for lane in self._lanes.values() if lane.task is not None)]
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=FOLLOW_DRAIN_SECONDS)
        if left:
            _LOGGER.error(
                "%s: %d calls do not end although they were cancelled; they are left behind", self.name, len(left)
            )

    # Reading.

    async def _begin(self) -> None:
        """Make sure that the partition is the one that was followed, and fold up to where reading stands."""
        offset = self.track.read[0]
        await self._check(offset)
        if self._view is None or self._view.position != offset:
            self._view = await fold_standing(self._log, self.partition, offset, self._wanted.workflows)
        self.trouble = ""

    async def _check(self, offset: int) -> None:
        await check_standing(self._log, self.partition, self._topic_id, offset, self._last_seen())

    async def _follow(self) -> None:
        assert self._view is not None, "reading has begun"
        reader = self._log.reader(EVENTS, self.partition, self._view.position)
        try:
            records = await reader.next()
            # Only a reader that has read something hears of it when records are taken away.
            await self._check(self._view.position)
            while True:
                for record in records:
                    await self._take(self._view, record)
                await asyncio.sleep(0)
                records = await reader.next()
        finally:
            reader.close()

    async def _take(self, view: PartialView, record: LogRecord) -> None:
        unreadable = view.unreadable(record.key)
        accepted = view.fold(record)
        if accepted is not None:
            for item in items_of(self.partition, record, accepted, self._wanted):
                if self.track.wants(item.place):
                    self.track.reach(item.place)
                    await self._put(item)
        elif not unreadable and (why := view.unreadable(record.key)):
            check_known(self.partition, view, record, why)
            _LOGGER.error("%s: run %s is followed no further: %s", self.name, record.key, why)
        self._read_last = record
        self.track.reach((record.offset + 1, 0))

    # Delivering.

    async def _put(self, item: Item) -> None:
        while self._unsaved >= FOLLOW_UNSAVED_CHANGES_MAX:
            await self.track.moved()
        if item.run_id not in self._held:
            await self.track.room()
        self._unsaved += 1
        if self._careful_changes:
            # No process goes further than this beyond what is recorded.
            self._careful_changes -= 1
            self._careful_up_to = item.place
        if item.run_id in self._held:
            self._hold_back(item)
            self._dealt()
            return
        self.track.begin(item.place, item.size)
        lane = self._lanes.get(item.run_id)
        if lane is None:
            lane = self._lanes[item.run_id] = _Lane()
            lane.task = asyncio.create_task(self._work(item.run_id, lane))
            lane.task.add_done_callback(self._over)
        lane.items.append(item)

    async def _work(self, run_id: str, lane: _Lane) -> None:
        try:
            while lane.items and not self._draining:
                item = lane.items[0]
                if self._before is not None:
                    await self._before.pass_by(item.place, run_id)
                    if self._leaving():
                        return
                care = self._care if item.place <= self._careful_up_to else None
                failed = await self._attempts.deliver(item.subject, item.delivery, self._leaving, care)
                if failed is not None and (
                    failed.given_up or not await self._park(item, failed, held=self._attempts.hold)
                ):
                    return
                self._finish(lane.items.popleft())
                while run_id in self._held and lane.items:
                    self._hold_back(lane.items[0])
                    self._finish(lane.items.popleft())
        finally:
            self._stalled.discard(run_id)
            if not lane.items:
                del self._lanes[run_id]

    def _leaving(self) -> bool:
        # The end of an event loop cancels all its tasks, whether or not the host was closed before.
        reader = self._reader
        return self._draining or (reader is not None and (reader.cancelled() or reader.cancelling() > 0))

    def _over(self, task: asyncio.Task[None]) -> None:
        # Whoever lets go cancels all tasks; otherwise one that is cancelled leaves changes behind that nobody delivers.
        if not (task.cancelled() and self._leaving()):
            self._ended(task)

    def _finish(self, item: Item) -> None:
        self.track.finish(item.place)
        self._dealt()

    async def pass_by(self, place: Place, run_id: str) -> None:
        """Wait until this service has dealt with a change, or has stalled, or takes no more changes."""
        until = asyncio.get_running_loop().time() + FOLLOW_STALL_SECONDS
        while not (self.stopped or self._draining or self.track.has_dealt_with(place)):
            slow = run_id if place < self.track.read else _EVERYTHING
            if slow in self._stalled:
                return
            try:
                async with asyncio.timeout_at(until):
                    await self.track.moved()
            except TimeoutError:
                self._stalled.add(slow)
                what = f"run {run_id}" if slow else "the partition"
                _LOGGER.warning("%s stalls; the services after it go on without it in %s", self.name, what)
        if place < self.track.read:
            self._stalled.discard(_EVERYTHING)

    # Parking.

    def _hold_back(self, item: Item) -> None:
        key = self._held[item.run_id]
        parked = self._parked[key]
        self._parked[key] = replace(parked, behind=parked.behind + 1)
        self._counted.add(key)

    async def save_counts(self) -> None:
        """Record how many changes are held behind the parked ones."""
        counted, self._counted = self._counted, set()
        for key in sorted(counted):
            # Others of them may go on while one is written.
            if (parked := self._parked.get(key)) is not None:
                await self._attempts.store.park(parked)

    async def _park(
        self, item: Item, failed: Failed, *, held: bool, behind: int = 0, asked: Literal["", "retry", "skip"] = ""
    ) -> bool:
        """Park a change; return False, and stop, when too many are."""
        if len(self._parked) >= FOLLOW_PARKED_MAX:
            if not self.stopped:
                self.stop(too_many_parked(self.name))
            return False
        parked = Parked(
            service=self.service,
            partition=self.partition,
            run_id=item.run_id,
            offset=item.place[0],
            index=item.place[1],
            event_id=item.delivery.event_id,
            event_type=item.delivery.event_type,
            error=failed.error,
            attempts=failed.attempts,
            time=self._attempts.now(),
            held=held,
            behind=behind,
            asked=asked,
        )
        self._parked[parked.key] = parked
        await self._attempts.record(self._attempts.store.park, parked)
        self._care.forget(self._attempts.call(item.delivery))
        if held:
            self._held[parked.run_id] = parked.key
        _LOGGER.error(
            "%s failed on event %s (%s) of run %s, %d attempts; it is parked%s: %s",
            self.name, parked.event_id, parked.event_type, parked.run_id, failed.attempts,
            ", and the run's later changes wait behind it" if held else "", failed.error,
        )  # fmt: skip
        return True

    async def _release(self, parked: Parked) -> None:
        """Deliver a parked change again, or skip it, and what is held behind it, until the run is where others are."""
        while parked.held and not self.stopped and self.track.read <= parked.place:
            # A process has ended before it recorded that it was here: reading comes past once more, and holds back.
            await self.track.moved()
        found = parked.asked == "skip"
        view = await self._attempts.record(self._fold_again, parked)
        while view.position < (end := max(self.track.read[0] if parked.held else 0, parked.offset + 1)):
            count = min(FOLLOW_TURN_RECORDS, end - view.position)
            records = await self._attempts.record(self._read, (view.position, count))
            for record in records:
                for item in self._items_again(parked, record, view.fold(record)):
                    found = found or (item.place == parked.place and item.delivery.event_id == parked.event_id)
                    if found and not await self._deliver_again(parked, item):
                        return
            if not (records and found):
                self._stays(parked, view)
                return
        if self._held.get(parked.run_id) == parked.key:
            del self._held[parked.run_id]
        del self._parked[parked.key]
        await self._attempts.record(self._attempts.store.unpark, parked.key)
        _LOGGER.info("%s goes on with run %s", self.name, parked.run_id)

    def _items_again(self, parked: Parked, record: LogRecord, accepted: Accepted | None) -> Iterator[Item]:
        """Yield a parked change, whatever is wanted now, and of those behind it what is wanted."""
        if accepted is None or record.key != parked.run_id:
            return
        workflows = self._wanted.workflows
        indexes = self._wanted.indexes(record) if not workflows or accepted.after.workflow in workflows else []
        if indexes or record.offset == parked.offset:
            for item in items_of(self.partition, record, accepted, _ANY):
                if item.place[1] in indexes or item.place == parked.place:
                    yield item

    def _stays(self, parked: Parked, view: PartialView) -> None:
        why = view.unreadable(parked.run_id) or f"{EVENTS}/{self.partition} does not hold what it did"
        _LOGGER.error(
            "%s cannot be called again with event %s (%s) of run %s, offset %d; it stays parked: %s",
            self.name, parked.event_id, parked.event_type, parked.run_id, parked.offset, why,
        )  # fmt: skip

    async def _deliver_again(self, parked: Parked, item: Item) -> bool:
        """Deliver a change of a release; when that fails, park it in place of the one before and return False."""
        first = parked.place if parked.asked == "retry" else (parked.offset, parked.index + 1)
        if item.place < first or not (parked.held or item.place == parked.place):
            return True
        # People ask for it once, and it may be what ended a process: so always with care.
        failed = await self._attempts.deliver(item.subject, item.delivery, self._leaving, self._care)
        now = self._parked[parked.key]
        if item.place != parked.place:
            now = self._parked[parked.key] = replace(now, behind=max(0, now.behind - 1))
        if failed is None:
            return True
        if not failed.given_up:
            if item.place == parked.place:
                failed = failed._replace(attempts=failed.attempts + parked.attempts)
            asked = now.asked if item.place == parked.place and now.asked != parked.asked else ""
            del self._parked[parked.key]
            if not await self._park(item, failed, held=parked.held, behind=now.behind, asked=asked):
                self._parked[parked.key] = now
            elif item.place != parked.place:
                await self._attempts.record(self._attempts.store.unpark, parked.key)
        return False

    async def _fold_again(self, parked: Parked) -> PartialView:
        # Only runs of its workflow, which need not be wanted any more.
        named = [workflow_of(record.headers) for record in await self._read((parked.offset, 1))]
        return await fold_before(self._log, self.partition, parked.offset, [each for each in named if each])

    async def _read(self, stretch: tuple[int, int]) -> list[LogRecord]:
        return list(await self._log.read(EVENTS, self.partition, *stretch))
