"""The views: runs, traces, open work and workflows, as they were folded from the log."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from engine.core.view import Accepted
from engine.errors import ClosedError, RunNotFoundError
from engine.history import run_in, traces_in
from engine.limits import LIST_ITEMS_MAX, PARTITIONS_MAX, VIEWS_FRESH_SECONDS
from engine.log.partitioner import partition_of
from engine.log.port import EVENTS, Log
from engine.run import Run, Trace
from engine.store.errors import StoreDamagedError
from engine.store.port import Store, pages
from projections import workflows
from projections.errors import ViewsBehindError
from projections.keys import text_key
from projections.listing import Page, RunFilter, check_text, list_runs
from projections.open_work import list_work
from projections.position import Position, read_position, read_positions
from projections.projector import VIEWS, Projector
from projections.runs import ROWS_FAMILY, RunSummary, decode_row
from projections.source import Beside, Source
from projections.traces import read_commits
from projections.work import OpenWork
from projections.workflows import PublishedWorkflow

_ALL: Final = RunFilter()


class Views:
    """Answers questions about runs from the views of a directory.

    Made by `Views.open`, which reads beside whoever folds the views; by `Views.folded`, which lets an engine fold them;
    or by `Views.of` from a projector. What an answer shows is a moment of the log; `as_fresh_as` asks for one that is
    not before a given commit.

    Args:
        source: Gives the store.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    @classmethod
    def open(cls, path: Path) -> "OpenViews":
        """Return the views of a directory, to be entered with `async with`; another process may fold them meanwhile.

        Args:
            path: The directory.
        """
        return OpenViews(Beside(path, VIEWS))

    @classmethod
    def folded(cls, path: Path) -> "FoldedViews":
        """Return views that are folded in this process, such as `EngineService.open(..., views=Views.folded(path))`.

        Args:
            path: The directory, made if it is not there.
        """
        return FoldedViews(path)

    @classmethod
    def of(cls, projector: Projector) -> "Views":
        """Return the views that a projector of this process folds."""
        return cls(projector)

    async def get_run(
        self, run_id: str, *, as_fresh_as: Run | None = None, timeout: float = VIEWS_FRESH_SECONDS
    ) -> Run:
        """Return a run.

        Args:
            run_id: The run.
            as_fresh_as: The answer is not older than this snapshot; None takes what there is.
            timeout: Seconds to wait for that.

        Raises:
            RunNotFoundError: The views have no such run.
            ViewsBehindError: The views did not become as fresh in time.
            ViewsNotReadyError: There are no views yet.
            StoreError: They cannot be read.
        """
        await self.reach(as_fresh_as, timeout=timeout)
        run = run_in(self.get_history(run_id))
        assert run is not None, "a history has a run"
        return run

    async def get_traces(
        self, run_id: str, *, as_fresh_as: Run | None = None, timeout: float = VIEWS_FRESH_SECONDS
    ) -> list[Trace]:
        """Return a run's traces with their contexts, in the order in which they began; arguments as in `get_run`.

        Raises:
            RunNotFoundError: The views have no such run.
            ViewsBehindError: The views did not become as fresh in time.
            ViewsNotReadyError: There are no views yet.
            StoreError: They cannot be read.
        """
        await self.reach(as_fresh_as, timeout=timeout)
        return traces_in(self.get_history(run_id))

    def get_history(self, run_id: str) -> list[Accepted]:
        """Return a run's accepted commits with the states between them, oldest first, at least one.

        Raises:
            ArgumentError: The run's id is no text.
            RunNotFoundError: The views have no such run.
            ViewsNotReadyError: There are no views yet.
            StoreError: They cannot be read.
        """
        check_text("run id", run_id)
        with self._asking() as store:
            row = store.get(ROWS_FAMILY, text_key(run_id))
            history = read_commits(store, run_id)
            # What is written between the two looks can only be more commits.
            if row is not None and decode_row(row).commit_id not in {accepted.id for accepted in history}:
                raise StoreDamagedError(f"the store {store.directory} is damaged: it lacks commits of run {run_id}.")
        if not history:
            raise RunNotFoundError(f"Expected the id of a run, but the views have no run with the id {run_id}.")
        return history

    async def list_runs(
        self,
        wanted: RunFilter = _ALL,
        *,
        limit: int = 50,
        cursor: str | None = None,
        as_fresh_as: Run | None = None,
        timeout: float = VIEWS_FRESH_SECONDS,
    ) -> Page[RunSummary]:
        """Return a page of runs, the newest first. New runs do not move what later pages show.

        Args:
            wanted: Which runs.
            limit: How many at most, up to `LIST_ITEMS_MAX`.
            cursor: Of the page before; None for the first page.
            as_fresh_as: The answer is not older than this snapshot of a run.
            timeout: Seconds to wait for that.

        Raises:
            ArgumentError: The limit is out of bounds.
            CursorError: The cursor is of another list, or not as a page gave it.
            ViewsBehindError: The views did not become as fresh in time.
            ViewsNotReadyError: There are no views yet.
            StoreError: They cannot be read.
        """
        await self.reach(as_fresh_as, timeout=timeout)
        with self._asking() as store:
            return list_runs(store, wanted, limit, cursor)

    async def list_open_work(self, *, workflow: str | None = None, limit: int = 50) -> list[OpenWork]:
        """Return what runs wait for, the longest waiting first; `page_open_work` tells too whether there is more.

        Args:
            workflow: Only runs of the workflow with this id.
            limit: How many at most, up to `LIST_ITEMS_MAX`.

        Raises:
            ArgumentError: The limit is out of bounds, or the workflow is no id.
            ViewsNotReadyError: There are no views yet.
            StoreError: They cannot be read.
        """
        return (await self.page_open_work(workflow=workflow, limit=limit)).items

    async def page_open_work(
        self, *, workflow: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[OpenWork]:
        """Return a page of what runs wait for, the longest waiting first. What ends or comes moves no later page.

        Args:
            workflow: Only runs of the workflow with this id.
            limit: How many at most, up to `LIST_ITEMS_MAX`.
            cursor: Of the page before; None for the first page.

        Raises:
            ArgumentError: The limit is out of bounds, or the workflow is no id.
            CursorError: The cursor is of another list, or not as a page gave it.
            ViewsNotReadyError: There are no views yet.
            StoreError: They cannot be read.
        """
        with self._asking() as store:
            return list_work(store, workflow, limit, cursor)

    async def list_workflows(self) -> list[PublishedWorkflow]:
        """Return all published workflow versions, in the order of publication.

        Raises:
            ViewsNotReadyError: There are no views yet.
            StoreError: They cannot be read.
        """
        with self._asking() as store:
            found = [
                workflows.decode_row(value)
                for page in pages(store, workflows.ROWS_FAMILY, b"", None, LIST_ITEMS_MAX)
                for _, value in page
            ]
        return sorted(found, key=lambda each: each.offset)

    async def positions(self) -> list[Position]:
        """Return how far each partition is folded, and why those are stopped that are folded no further.

        Raises:
            ViewsNotReadyError: There are no views yet.
            StoreError: They cannot be read.
        """
        with self._asking() as store:
            return read_positions(store, PARTITIONS_MAX + 1)

    async def reach(self, run: Run | None, *, timeout: float = VIEWS_FRESH_SECONDS) -> None:
        """Wait until the views have folded the commit that a snapshot of a run shows; None returns at once.

        Raises:
            ViewsBehindError: They did not in time, or the run's partition is folded no further.
            ViewsNotReadyError: There are no views yet.
            StoreError: They cannot be read.
        """
        if run is not None:
            await self._wait(lambda store: _has(store, run), run.run_id, f"run {run.run_id}", timeout)

    async def reach_offset(self, run_id: str, offset: int, *, timeout: float = VIEWS_FRESH_SECONDS) -> None:
        """Wait until the partition of a run is folded up to an offset of `events`.

        Raises:
            ViewsBehindError: It was not in time, or the partition is folded no further.
            ViewsNotReadyError: There are no views yet.
            StoreError: They cannot be read.
        """

        def reached(store: Store) -> bool:
            position = _position(store, run_id)
            return position is not None and position.offset >= offset

        await self._wait(reached, run_id, f"offset {offset}", timeout)

    async def _wait(self, reached: Callable[[Store], bool], run_id: str, what: str, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                while not self._reached(reached, run_id, what):
                    await self._source.moved()
        except TimeoutError:
            raise ViewsBehindError(
                f"expected the views to show {what} within {timeout} s, but they are behind.",
                hint="Is anybody folding them? runline projections run keeps them fresh.",
            ) from None

    def _reached(self, reached: Callable[[Store], bool], run_id: str, what: str) -> bool:
        with self._asking() as store:
            if reached(store):
                return True
            position = _position(store, run_id)
        if position is not None and position.stopped is not None:
            raise ViewsBehindError(f"expected the views to show {what}, but {position.message}")
        return False

    @contextmanager
    def _asking(self) -> Iterator[Store]:
        """Give the store; what is found damaged in it is reported to whoever can do something about it."""
        store = self._source.store
        try:
            yield store
        except StoreDamagedError as error:
            raise self._source.damaged(error) from error


class OpenViews(Views):
    """Views that are read beside whoever folds them. Use it with `async with`.

    Args:
        beside: Gives the store.
    """

    def __init__(self, beside: Beside) -> None:
        super().__init__(beside)
        self._beside = beside

    async def __aenter__(self) -> Self:
        """Look whether there are views.

        Raises:
            ViewsNotReadyError: There are none yet.
            ViewsNewerError: A newer version of Runline made them.
            StoreError: They cannot be read.
        """
        try:
            _ = self._beside.store
        except BaseException:
            self._beside.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the store."""
        self._beside.close()

    @asynccontextmanager
    async def fold(self, log: Log) -> AsyncIterator[None]:  # noqa: ARG002 - another process folds it
        """Read for as long as the context is entered."""
        async with self:
            yield


class FoldedViews(Views):
    """Views that are folded in this process, from the log of the engine that they are given to.

    Args:
        path: The directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._projector: Projector | None = None
        super().__init__(self)

    @property
    def store(self) -> Store:
        """The store that is folded into."""
        return self._folding.store

    async def moved(self) -> None:
        """Wait until something was folded."""
        await self._folding.moved()

    def damaged(self, error: StoreDamagedError) -> StoreDamagedError:
        """Let all be folded anew."""
        return self._folding.damaged(error)

    @property
    def trouble(self) -> str:
        """What keeps the views from becoming fresher now; an empty text when nothing does."""
        return self._folding.trouble

    @asynccontextmanager
    async def fold(self, log: Log) -> AsyncIterator[None]:
        """Fold this log for as long as the context is entered.

        Raises:
            ViewsLockedError: Another process folds into the directory.
            ViewsNewerError: A newer version of Runline made it.
            ViewsError: The views are of another log.
            StoreError: It cannot be opened.
        """
        async with Projector(log, self._path) as projector:
            await projector.require_own()
            self._projector = projector
            try:
                yield
            finally:
                self._projector = None

    @property
    def _folding(self) -> Projector:
        if self._projector is None:
            raise ClosedError(
                "the views are not folded.", hint="Give them to an engine: EngineService.open(views=...)."
            )
        return self._projector


def _has(store: Store, run: Run) -> bool:
    """Return whether a commit is folded: it is the run's last one, or one before that."""
    row = store.get(ROWS_FAMILY, text_key(run.run_id))
    if row is None:
        return False
    return decode_row(row).commit_id == run.commit_id or any(
        accepted.id == run.commit_id for accepted in read_commits(store, run.run_id)
    )


def _position(store: Store, run_id: str) -> Position | None:
    """Return the position of a run's partition, or None before any of it was folded."""
    first = read_position(store, EVENTS, 0)
    return None if first is None else read_position(store, EVENTS, partition_of(run_id, first.partitions))
