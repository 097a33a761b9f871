"""The projector: folds a log into the views of a directory, and keeps them fresh."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from engine.errors import ClosedError
from engine.limits import FENCE_RETRY_SECONDS_MAX
from engine.log.port import EVENTS, WORKFLOWS, Log
from engine.store.errors import StoreDamagedError, StoreFullError, StoreLockedError
from engine.store.rocks import RocksStore
from projections.directory import Entry, ViewsDirectory
from projections.errors import ViewsDamagedError, ViewsLockedError, ViewsNotReadyError
from projections.partition_fold import PartitionFold
from projections.position import Position, StopReason
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
        self._directory = ViewsDirectory(path, projections)
        self._projections = projections
        self._anew = anew
        self._folds: dict[Place, PartitionFold] = {}
        self._entry: Entry | None = None
        self._opened: RocksStore | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._event = asyncio.Event()
        self._trouble = ""

    async def __aenter__(self) -> Self:
        """Open the store and begin to fold.

        Raises:
            ViewsLockedError: Another process folds into this directory.
            ViewsNewerError: A newer version of Runline made the directory.
            StoreError: The store cannot be opened.
        """
        self._open()
        self._supervisor = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop folding, and keep what was folded."""
        assert self._supervisor is not None
        self._supervisor.cancel()
        await asyncio.gather(self._supervisor, return_exceptions=True)
        self._close()

    @property
    def store(self) -> RocksStore:
        """The store that is folded into.

        Raises:
            ViewsNotReadyError: It has not caught up with the log yet.
        """
        if self._opened is None or self._entry is None or not self._entry.complete:
            done, total = self.progress
            raise ViewsNotReadyError(
                f"the views in {self._directory.path} are being made: {done} of {total} records are folded.",
                hint="Wait until they have caught up with the log.",
            )
        return self._opened

    @property
    def trouble(self) -> str:
        """What keeps views from becoming fresher now, such as a full disk; an empty text when nothing does."""
        troubles = [self._trouble, *(fold.trouble for fold in self._folds.values())]
        return "; ".join(filter(None, [*troubles, *(fold.position.message for fold in self._folds.values())]))

    @property
    def positions(self) -> list[Position]:
        """How far each partition is folded."""
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
        if self._supervisor is None or self._supervisor.done():
            if self._supervisor is not None and not self._supervisor.cancelled():
                self._supervisor.result()
            raise ClosedError("the projector was closed.")
        await self._event.wait()

    async def caught_up(self, moved: Callable[[], None] | None = None) -> None:
        """Wait until all that the log has now is folded, except in partitions that are folded no further.

        Args:
            moved: Called after every step.

        Raises:
            StoreError: The store cannot be used.
            LogError: The log cannot be read.
            ClosedError: The projector was closed.
        """
        ends = {place: (await self._log.ends(*place)).end for place in self._places()}
        while not self._reached(ends):
            await self.moved()
            if moved is not None:
                moved()

    def _reached(self, ends: dict[Place, int]) -> bool:
        if self._entry is None or not self._entry.complete:
            return False
        return all(
            place in self._folds and (self._folds[place].position.offset >= end or _stopped(self._folds[place]))
            for place, end in ends.items()
        )

    def _places(self) -> list[Place]:
        topics = {projection.topic for projection in self._projections}
        places = [(WORKFLOWS, 0)] if WORKFLOWS in topics else []
        return places + [(EVENTS, number) for number in range(self._log.partitions) if EVENTS in topics]

    def _open(self) -> None:
        """Open the store that is to be folded into: the one that is there, or a new one."""
        directory = self._directory
        try:
            entry = directory.complete()
        except ViewsDamagedError as error:
            _LOGGER.error("%s All is folded anew.", error)  # noqa: TRY400 - the text says it all
            directory.reset()
            entry = None
        if entry is not None and self._anew:
            self._require_unlocked(entry)
            entry = None
        entry = entry or directory.building() or directory.add()
        try:
            self._opened = directory.open_writing(entry)
        except StoreLockedError as error:
            raise self._locked() from error
        except StoreDamagedError as error:
            _LOGGER.error("%s All is folded anew.", error)  # noqa: TRY400 - the text says it all
            directory.remove(entry)
            entry = directory.add()
            self._opened = directory.open_writing(entry)
        self._entry = entry
        self._anew = False

    def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _require_unlocked(self, entry: Entry) -> None:
        """Refuse to take the place of a store that another process goes on folding into."""
        try:
            self._directory.open_writing(entry).close()
        except StoreLockedError as error:
            raise self._locked() from error
        except StoreDamagedError:
            # The reason why it is folded anew, perhaps.
            pass

    def _locked(self) -> ViewsLockedError:
        return ViewsLockedError(
            f"expected nobody else to fold into the views in {self._directory.path}, but another process does.",
            hint="Stop it, or use another directory: --views DIR. Views can be read beside it.",
        )

    async def _supervise(self) -> None:
        """Fold, and begin anew when the store is lost."""
        try:
            while await self._fold_until_trouble():
                pass
        finally:
            self._wake()

    async def _fold_until_trouble(self) -> bool:
        """Fold, and return whether to try again."""
        try:
            await self._fold_all()
        except StoreFullError as error:
            self._trouble = str(error)
            _LOGGER.error("%s Folding goes on when there is space.", error)  # noqa: TRY400 - the text says it all
            self._lose()
            await asyncio.sleep(FENCE_RETRY_SECONDS_MAX)
            self._reopen()
            return True
        except StoreDamagedError as error:
            _LOGGER.error("%s All is folded anew.", error)  # noqa: TRY400 - the text says it all
            assert self._entry is not None
            self._lose()
            self._directory.remove(self._entry)
            self._open()
            return True
        if all(map(_stopped, self._folds.values())):
            # What was folded can still be asked.
            await asyncio.get_running_loop().create_future()
        return False

    def _lose(self) -> None:
        self._folds.clear()
        self._close()
        self._wake()

    def _reopen(self) -> None:
        """Open the store again, if there is space by now: RocksDB gets over a failed write only like this."""
        assert self._entry is not None
        try:
            self._opened = self._directory.open_writing(self._entry)
        except StoreFullError as error:
            _LOGGER.debug("still no space: %s", error)

    async def _fold_all(self) -> None:
        store, entry = self._opened, self._entry
        if store is None or entry is None:
            raise StoreFullError(self._trouble)
        self._folds = {
            place: PartitionFold(
                self._log,
                *place,
                store,
                projections=[projection for projection in self._projections if projection.topic == place[0]],
                moved=self._wake,
            )
            for place in self._places()
        }
        self._trouble = ""
        self._wake()
        tasks = [asyncio.create_task(fold.run()) for fold in self._folds.values()]
        if not entry.complete:
            tasks.append(asyncio.create_task(self._finish(entry)))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _finish(self, entry: Entry) -> None:
        """Wait until a new store has caught up; then it may be asked."""
        while not all(fold.caught_up or _stopped(fold) for fold in self._folds.values()):
            await self._event.wait()
        assert self._opened is not None
        self._opened.flush()
        self._entry = self._directory.finish(entry)
        self._wake()

    def _wake(self) -> None:
        self._event.set()
        self._event = asyncio.Event()


def _stopped(fold: PartitionFold) -> bool:
    return fold.position.stopped is not None


def stopped(positions: Sequence[Position]) -> dict[Place, tuple[StopReason, str]]:
    """Return the partitions that are folded no further, and why."""
    return {
        (position.topic, position.partition): (position.stopped, position.message)
        for position in positions
        if position.stopped is not None
    }
