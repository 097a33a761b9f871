"""The projector: folds a log into the views of a directory, and keeps them fresh."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from engine.errors import ClosedError, RunlineError
from engine.limits import FENCE_RETRY_SECONDS_MAX, FENCE_RETRY_SECONDS_MIN, PARTITIONS_MAX
from engine.log.port import EVENTS, WORKFLOWS, Log
from engine.stopping import StopReason
from engine.store.errors import StoreDamagedError, StoreError
from engine.store.rocks import RocksStore
from projections.errors import ViewsError, ViewsNotReadyError
from projections.folded_store import ANEW, FoldedStore
from projections.origin import is_own, require_own
from projections.partition_fold import PartitionFold
from projections.position import Position, read_positions
from projections.projection import Projection
from projections.runs import Runs
from projections.traces import Traces
from projections.work import Work
from projections.workflows import Workflows

_LOGGER = logging.getLogger("runline.projections")

VIEWS: Final[tuple[Projection, ...]] = (Runs(), Traces(), Work(), Workflows())
"""The projections that `Views` asks."""
Place = tuple[str, int]
"""A topic and a partition."""
_GONE: Final = (StopReason.LOG_TRUNCATED, StopReason.HISTORY_DIFFERS)
"""Why a store that is not complete is given up: it holds what the log no longer does."""


class Projector:
    """Folds a log into a directory for as long as it is entered. Use it with `async with`.

    Several projections share one reader for each partition and move together. One process folds into a directory.

    Args:
        log: The log; others may write it meanwhile.
        path: The directory of the views, made if it is not there.
        projections: What to fold.
        anew: Whether to fold all of the log into a new store, even where there is one, and then let it take its place.
    """

    def __init__(self, log: Log, path: Path, *, projections: Sequence[Projection] = VIEWS, anew: bool = False) -> None:
        self._log = log
        self._stored = FoldedStore(path, projections, anew=anew)
        self._path = path
        self._projections = projections
        self._anew = anew
        self._folds: dict[Place, PartitionFold] = {}
        self._damage: asyncio.Future[None] | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._event = asyncio.Event()
        self._trouble = ""
        self._begun_at = 0

    async def __aenter__(self) -> Self:
        """Open the store and begin to fold.

        Raises:
            ViewsLockedError: Another process folds into this directory.
            ViewsNewerError: A newer version of Runline made the directory.
            ViewsError: What is there cannot be folded anew: the log no longer begins where it began.
            StoreError: The store cannot be opened.
            LogError: The log cannot be read.
        """
        try:
            if self._anew:
                await self._require_whole_log()
            self._stored.open()
            await self._give_up_foreign()
        except BaseException:
            self._stored.close()
            raise
        self._supervisor = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop folding, and keep what was folded."""
        assert self._supervisor is not None
        self._supervisor.cancel()
        await asyncio.gather(self._supervisor, return_exceptions=True)
        self._stored.close()

    @property
    def store(self) -> RocksStore:
        """The store that holds the views: the one that is folded into, or the one that it is to take the place of.

        Raises:
            ViewsNotReadyError: There is none that may be asked yet.
            ClosedError: The projector was closed.
        """
        self._require_open()
        store = self._stored.asked
        if store is None:
            done, total = self.progress
            raise ViewsNotReadyError(
                f"the views in {self._path} are being made: {done} of {total} records are folded.",
                hint=self._trouble or "Wait until they have caught up with the log.",
            )
        return store

    @property
    def trouble(self) -> str:
        """What keeps views from becoming fresher now, such as a full disk; an empty text when nothing does."""
        troubles = [self._trouble, *(fold.trouble for fold in self._folds.values())]
        return "; ".join(filter(None, [*troubles, *(fold.position.message for fold in self._folds.values())]))

    @property
    def positions(self) -> list[Position]:
        """How far each partition is folded; nothing while the store cannot be used."""
        return [fold.position for fold in self._folds.values()]

    @property
    def progress(self) -> tuple[int, int]:
        """How many records are folded, of how many that the log had when folding began."""
        return sum(fold.position.offset for fold in self._folds.values()), sum(
            max(fold.aim, fold.position.offset) for fold in self._folds.values()
        )

    async def moved(self) -> None:
        """Wait until something was folded, or folding stopped.

        Raises:
            ClosedError: The projector was closed, or cannot go on.
        """
        self._require_open()
        await self._event.wait()

    def damaged(self, error: StoreDamagedError) -> StoreDamagedError:
        """Fold all anew, because somebody who asked found the store damaged; return the error that he shall see."""
        if self._stored.damaged() and self._damage is not None and not self._damage.done():
            self._stored.lose()
            self._damage.set_exception(error)
        return StoreDamagedError(error.args[0], hint=ANEW)

    async def require_own(self) -> None:
        """Refuse to fold into the views of another log.

        Raises:
            ViewsError: They are of another one.
            StoreError: They cannot be read.
            LogError: The log cannot be read.
        """
        if self._stored.complete:
            await require_own(read_positions(self._stored.open(), PARTITIONS_MAX + 1), self._log, self._path)

    async def caught_up(self, moved: Callable[[], None] | None = None) -> None:
        """Wait until all that the log has now is folded, except in partitions that are folded no further.

        Args:
            moved: Called after every step.

        Raises:
            StoreError: The store cannot be used.
            LogDamagedError: The log is damaged where it is to be folded next; all else is folded, unless the views
                are being made, which cannot be finished.
            LogError: The log cannot be read.
            ClosedError: The projector was closed.
        """
        ends = {place: await self._end_of_records(*place) for place in self._places()}
        while not self._reached(ends):
            self._require_whole(ends)
            await self.moved()
            if moved is not None:
                moved()

    async def _end_of_records(self, topic: str, partition: int) -> int:
        """Return the offset behind the last record, where others may follow that no record has."""
        start, end = await self._log.ends(topic, partition)
        fold = self._folds.get((topic, partition))
        count = 1
        while start < end and (fold is None or fold.position.offset < end):
            first = max(start, end - count)
            if records := await self._log.read(topic, partition, first, end - first):
                return records[-1].offset + 1
            end, count = first, count * 4
        return end

    def _reached(self, ends: dict[Place, int]) -> bool:
        return self._stored.complete and all(
            place in self._folds and self._folds[place].reached(end) for place, end in ends.items()
        )

    def _require_whole(self, ends: dict[Place, int]) -> None:
        """Raise the damage of the log that keeps something from being folded, once nothing else is left to fold."""
        damaged = [fold.damage for fold in self._folds.values() if fold.damage is not None]
        if damaged and not (
            self._stored.complete
            and any(fold.damage is None and not fold.reached(ends[place]) for place, fold in self._folds.items())
        ):
            raise copy(damaged[0])

    def _places(self) -> list[Place]:
        topics = {projection.topic for projection in self._projections}
        places = [(WORKFLOWS, 0)] if WORKFLOWS in topics else []
        return places + [(EVENTS, number) for number in range(self._log.partitions) if EVENTS in topics]

    def _require_open(self) -> None:
        if self._supervisor is None or self._supervisor.done():
            raise ClosedError(f"the views in {self._path} are not folded by this process any more.")

    async def _require_whole_log(self) -> None:
        """Refuse to replace views that could not be made again."""
        if not self._stored.replaces:
            return
        for topic, partition in self._places():
            start = (await self._log.ends(topic, partition)).start
            if start:
                raise ViewsError(
                    f"expected {topic}/{partition} to begin at offset 0, but it begins at {start}: the views in "
                    f"{self._path} hold what is gone from the log, and cannot be folded anew.",
                    hint="Restore the deleted records, or fold into another directory: --views DIR.",
                )

    async def _give_up_foreign(self) -> None:
        """Begin anew where what was being made is another log's: finished, it would take the place of whole views."""
        if self._stored.complete:
            return
        for position in read_positions(self._stored.open(), PARTITIONS_MAX + 1):
            if not await is_own(position, self._log):
                _LOGGER.warning("The views that are being made in %s are those of another log. %s", self._path, ANEW)
                self._stored.lose()
                return

    async def _supervise(self) -> None:
        """Fold, and begin again when the store fails, or anew when it is damaged."""
        delay = FENCE_RETRY_SECONDS_MIN
        try:
            while True:
                try:
                    await self._fold_all(self._stored.open())
                except StoreDamagedError as error:
                    self._stored.lose()
                    self._fail(error, ANEW)
                except (StoreError, ViewsError) as error:
                    self._stored.fail()
                    self._fail(error, "Folding goes on when that is over.")
                else:
                    return
                went_on = self.progress[0] > self._begun_at
                self._folds.clear()
                self._wake()
                delay = FENCE_RETRY_SECONDS_MIN if went_on else min(2 * delay, FENCE_RETRY_SECONDS_MAX)
                await asyncio.sleep(delay)
        except Exception:
            _LOGGER.exception("The views in %s are not folded any more", self._path)
            raise
        finally:
            self._wake()

    def _fail(self, error: RunlineError, then: str) -> None:
        """Say what is wrong, once."""
        if self._trouble != str(error):
            self._trouble = str(error)
            _LOGGER.error("%s %s", error, then)

    async def _fold_all(self, store: RocksStore) -> None:
        lock = threading.Lock()
        self._folds = {
            place: PartitionFold(
                self._log,
                *place,
                store,
                lock=lock,
                projections=[projection for projection in self._projections if projection.topic == place[0]],
                moved=self._wake,
            )
            for place in self._places()
        }
        self._begun_at = self.progress[0]
        self._trouble = ""
        self._wake()
        folding = [asyncio.create_task(fold.run()) for fold in self._folds.values()]
        finishing = [] if self._stored.complete else [asyncio.create_task(self._finish())]
        try:
            await self._until_ended(folding, finishing)
        finally:
            for task in (*folding, *finishing):
                task.cancel()
            await asyncio.gather(*folding, *finishing, return_exceptions=True)

    async def _until_ended(
        self, folding: Sequence[asyncio.Task[None]], finishing: Sequence[asyncio.Task[None]]
    ) -> None:
        """Wait until the log is closed; raise what goes wrong at the store."""
        damage = self._damage = asyncio.get_running_loop().create_future()
        pending: set[asyncio.Future[None]] = {*folding, *finishing, damage}
        try:
            # Where all partitions are folded no further, what was folded can still be asked.
            while not all(task.done() for task in folding) or all(fold.stopped for fold in self._folds.values()):
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()
        finally:
            damage.cancel()

    async def _finish(self) -> None:
        """Wait until a new store has caught up; then it may be asked.

        Raises:
            StoreDamagedError: It was begun before records were lost that it has: another one must be begun.
        """
        while not all(fold.reached(fold.aim) for fold in self._folds.values()):
            await self._event.wait()
        for fold in self._folds.values():
            if fold.position.stopped in _GONE:
                raise StoreDamagedError(
                    f"the store {self._stored.open().directory} is of no use: {fold.position.message}"
                )
        self._stored.finish()
        self._wake()

    def _wake(self) -> None:
        self._event.set()
        self._event = asyncio.Event()


def stopped(positions: Sequence[Position]) -> dict[Place, tuple[StopReason, str]]:
    """Return the partitions that are folded no further, and why."""
    return {
        (position.topic, position.partition): (position.stopped, position.message)
        for position in positions
        if position.stopped is not None
    }
