"""The views of some runs beside what the log gives for these."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from typing import Final

from engine.core.state import RunStatus
from engine.limits import REPLAY_PAGE_BYTES, REPLAY_PAGE_ROWS
from engine.store.port import Row, Store, pages, prefix_end
from projections.commit_reader import Created
from projections.ended import FAMILY as ENDED
from projections.keys import SEPARATOR, moment_key, text_key
from projections.replay.row_keys import run_of
from projections.replay.rows import RowComparison
from projections.runs import INDEX_FAMILY, RunSummary, decode_row, prefix
from projections.runs import ROWS_FAMILY as RUNS_FAMILY
from projections.traces import COMMITS_FAMILY
from projections.work import ROWS_FAMILY as WORK_FAMILY

FAMILIES: Final = (RUNS_FAMILY, INDEX_FAMILY, COMMITS_FAMILY, WORK_FAMILY, ENDED)
"""The families whose rows are each of one run."""
_ALL: Final = prefix("all")


class SomeRuns:
    """Compares the rows of some runs.

    Every row that the log gives must be in the views; and the views must have no other row of these runs, wherever
    one of them could be found by any question.

    Args:
        views: The views.
        folded: The rows of these runs and no others, as they are folded now.
        comparison: Takes what is found.
    """

    def __init__(self, views: Store, folded: Store, comparison: RowComparison) -> None:
        self._views = views
        self._folded = folded
        self._comparison = comparison

    async def compare(self, runs: Collection[str] | Created) -> AsyncIterator[int]:
        """Compare; give the number of rows of each step.

        Args:
            runs: The runs, or when they were created.
        """
        for family in FAMILIES:
            async for page in _pages(self._folded, family):
                for key, value in page:
                    self._comparison.compare(family, key, self._views.get(family, key), value)
                yield len(page)
        if isinstance(runs, Created):
            async for count in self._extras_within(runs):
                yield count
        else:
            for run_id in runs:
                self._extras(run_id)
        async for page in _pages(self._views, WORK_FAMILY):
            for key, value in page:
                run_id = run_of(WORK_FAMILY, key) or ""
                if self._created(run_id, runs) if isinstance(runs, Created) else run_id in runs:
                    self._extra(WORK_FAMILY, key, value)
            yield len(page)

    async def _extras_within(self, created: Created) -> AsyncIterator[int]:
        async for page in _pages(self._folded, RUNS_FAMILY):
            for key, _ in page:
                self._extras(key.decode())
            yield len(page)
        async for count in self._unknown_runs(created):
            yield count

    async def _unknown_runs(self, created: Created) -> AsyncIterator[int]:
        """Find runs that the views have within a time, and the log has not."""
        start = _ALL if created.since is None else _ALL + moment_key(created.since)
        end = prefix_end(_ALL) if created.until is None else _ALL + moment_key(created.until)
        async for page in _pages(self._views, INDEX_FAMILY, start, end):
            for key, value in page:
                if self._folded.get(INDEX_FAMILY, key) is None:
                    run_id = run_of(INDEX_FAMILY, key) or ""
                    if self._knows(run_id) or key not in self._extras(run_id):
                        self._extra(INDEX_FAMILY, key, value)
            yield len(page)
        first, last = created.ids()
        async for page in _pages(self._views, RUNS_FAMILY, first.encode(), None if last is None else last.encode()):
            for key, value in page:
                run_id = run_of(RUNS_FAMILY, key) or ""
                if not self._knows(run_id) and self._created(run_id, created):
                    row = _row(value)
                    assert row is not None, "it was created at some time"
                    if self._views.get(INDEX_FAMILY, _ALL + _place(row)) is None:
                        self._extras(run_id)
            yield len(page)

    def _extras(self, run_id: str) -> set[bytes]:
        """Find what the views have of a run and the log has not; return the keys of the index that were looked for."""
        for family, key in ((RUNS_FAMILY, text_key(run_id)), (ENDED, run_id.encode())):
            self._extra(family, key, self._views.get(family, key))
        start = text_key(run_id) + SEPARATOR
        for page in pages(self._views, COMMITS_FAMILY, start, prefix_end(start), REPLAY_PAGE_ROWS):
            for key, value in page:
                self._extra(COMMITS_FAMILY, key, value)
        rows = (_row(store.get(RUNS_FAMILY, text_key(run_id))) for store in (self._views, self._folded))
        keys = {key for row in rows if row is not None for key in index_keys(row)}
        for key in sorted(keys):
            self._extra(INDEX_FAMILY, key, self._views.get(INDEX_FAMILY, key))
        return keys

    def _extra(self, family: str, key: bytes, views: bytes | None) -> None:
        if views is not None and self._folded.get(family, key) is None:
            self._comparison.compare(family, key, views, None)

    def _knows(self, run_id: str) -> bool:
        return self._folded.get(RUNS_FAMILY, text_key(run_id)) is not None

    def _created(self, run_id: str, created: Created) -> bool:
        if self._knows(run_id):
            return True
        row = _row(self._views.get(RUNS_FAMILY, text_key(run_id)))
        return row is not None and created.covers(row.created)


def index_keys(row: RunSummary) -> Iterator[bytes]:
    """Give the keys under which a run could ever have been found: also those of other statuses than it has."""
    workflow = row.workflow_id
    words = [("all",), ("workflow", workflow), *(("tag", tag) for tag in row.tags)]
    for status in RunStatus:
        words += [("status", status.value), ("workflow status", workflow, status.value)]
    if row.error is not None:
        words += [("error", row.error.type), ("workflow error", workflow, row.error.type)]
    return (prefix(*each) + _place(row) for each in words)


def _place(row: RunSummary) -> bytes:
    return moment_key(row.created) + text_key(row.run_id)


def _row(value: bytes | None) -> RunSummary | None:
    """Return a row, or None where it is not there, or is none: then that is found when it is compared."""
    try:
        return None if value is None else decode_row(value)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


async def _pages(store: Store, family: str, start: bytes = b"", end: bytes | None = None) -> AsyncIterator[list[Row]]:
    """Walk a range with few rows in memory, and let others have their turn."""
    while page := store.scan(family, start, end, limit=REPLAY_PAGE_ROWS, bytes_max=REPLAY_PAGE_BYTES):
        yield page
        await asyncio.sleep(0)
        start = page[-1][0] + b"\0"
