"""Lists of runs: filters, the index that serves them, and pages that stay stable while runs arrive."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from engine.core.state import RunStatus
from engine.errors import ArgumentError
from engine.limits import ID_CHARACTERS_MAX, LIST_ITEMS_MAX, LIST_LOOKED_MAX
from engine.store.port import Store
from projections.cursors import make_cursor, read_cursor
from projections.keys import moment_key, run_of_place, text_key
from projections.runs import INDEX_FAMILY, ROWS_FAMILY, RunSummary, decode_row, prefix

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """A page of a list.

    Attributes:
        items: The items; fewer than asked for at the end, or where few of the rows looked at fitted several filters.
        cursor: Gives the next page, or None at the end.
    """

    items: list[T]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs a list shows; what is None does not matter.

    Attributes:
        workflow: Runs of the workflow with this id.
        status: Runs in this status.
        tag: Runs with this tag.
        error: Runs that failed with an error of this type.
        created_from: Runs created at this time or later; with a time zone.
        created_before: Runs created before this time; with a time zone.

    Raises:
        ArgumentError: One of them is something else.
    """

    workflow: str | None = None
    status: RunStatus | None = None
    tag: str | None = None
    error: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("workflow", "tag", "error"):
            if (text := getattr(self, name)) is not None:
                check_text(name, text)
        for name in ("created_from", "created_before"):
            _check_time(name, getattr(self, name))
        _check_status(self.status)

    @property
    def known(self) -> tuple[str | None, ...]:
        """What tells a list with this filter from all others: the same moment is the same in every time zone."""
        times = (None if time is None else moment_key(time).hex() for time in (self.created_from, self.created_before))
        return (self.workflow, self.status, self.tag, self.error, *times)

    def index(self) -> bytes:
        """Return the beginning of the index keys that serve this filter best."""
        if self.error is not None:
            return (
                prefix("error", self.error)
                if self.workflow is None
                else prefix("workflow error", self.workflow, self.error)
            )
        if self.tag is not None:
            return prefix("tag", self.tag)
        if self.workflow is not None:
            if self.status is not None:
                return prefix("workflow status", self.workflow, self.status.value)
            return prefix("workflow", self.workflow)
        return prefix("all") if self.status is None else prefix("status", self.status.value)

    def fits(self, run: RunSummary) -> bool:
        """Return whether a run is to be shown, but for the time it was created, which the index knows."""
        return (
            self.workflow in {None, run.workflow_id}
            and self.status in {None, run.run_status}
            and (self.tag is None or self.tag in run.tags)
            and (self.error is None or (run.error is not None and run.error.type == self.error))
        )


def list_runs(store: Store, wanted: RunFilter, limit: int, cursor: str | None) -> Page[RunSummary]:
    """Return a page of runs, the newest first.

    Args:
        store: The views' store.
        wanted: Which runs.
        limit: How many at most.
        cursor: Of the page before; None for the first page.

    Raises:
        ArgumentError: The limit is no number from 1 to `LIST_ITEMS_MAX`.
        CursorError: The cursor is not one of a list with this filter.
    """
    check_limit(limit)
    start = wanted.index()
    low = start if wanted.created_from is None else start + moment_key(wanted.created_from)
    high = start + (b"\xff" if wanted.created_before is None else moment_key(wanted.created_before))
    if cursor is not None:
        high = min(high, start + read_cursor(cursor, wanted.known))
    found: list[RunSummary] = []
    looked = 0
    last = b""
    while (room := limit - len(found)) and looked < LIST_LOOKED_MAX:
        rows = store.scan(INDEX_FAMILY, low, high, limit=room, reverse=True)
        for key, _ in rows:
            last = key[len(start) :]
            value = store.get(ROWS_FAMILY, text_key(run_of_place(last)))
            # None when the row was removed since the index was read, beside another process.
            if value is not None and wanted.fits(run := decode_row(value)):
                found.append(run)
        looked += len(rows)
        if len(rows) < room:
            return Page(found, None)
        high = rows[-1][0]
    more = store.scan(INDEX_FAMILY, low, high, limit=1, reverse=True)
    return Page(found, make_cursor(last, wanted.known) if more else None)


def check_limit(limit: object) -> None:
    """Require a number of items that a page may have.

    Raises:
        ArgumentError: It is something else.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= LIST_ITEMS_MAX:
        raise ArgumentError(f"Expected a limit from 1 to {LIST_ITEMS_MAX}, but found {limit!r:.80}.")


def check_text(name: str, value: object) -> None:
    """Require a text that can be looked for.

    Raises:
        ArgumentError: It is something else.
    """
    if not isinstance(value, str) or not 0 < len(value) <= ID_CHARACTERS_MAX or not _whole(value):
        raise ArgumentError(
            f"Expected a text of 1 to {ID_CHARACTERS_MAX} characters as {name}, but found {value!r:.80}."
        )


def _whole(text: str) -> bool:
    """Return whether a text has no halves of characters, as JSON from outside may."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_status(value: object) -> None:
    if value is not None and not isinstance(value, RunStatus):
        known = ", ".join(status.value for status in RunStatus)
        raise ArgumentError(f"Expected a RunStatus as status ({known}), but found {value!r:.80}.")


def _check_time(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, datetime) or value.utcoffset() is None):
        raise ArgumentError(f"Expected a datetime with a time zone as {name}, but found {value!r:.80}.")
