"""Lists of open work, the longest waiting first, in pages that stay stable while runs go on."""

from typing import Final

from engine.limits import LIST_ITEMS_MAX, LIST_LOOKED_MAX
from engine.store.port import Store, pages
from projections.cursors import make_cursor, read_cursor
from projections.listing import Page, check_limit, check_text
from projections.work import ROWS_FAMILY, OpenWork, decode_row

_LIST: Final = "work"
"""Tells its cursors from those of other lists."""


def list_work(store: Store, workflow: str | None, limit: int, cursor: str | None) -> Page[OpenWork]:
    """Return a page of what runs wait for, the longest waiting first.

    Args:
        store: The views' store.
        workflow: Only runs of the workflow with this id; None for all.
        limit: How many at most; at most `LIST_LOOKED_MAX` rows, and those of one step more, are looked at.
        cursor: Of the page before; None for the first page.

    Raises:
        ArgumentError: The limit is no number from 1 to `LIST_ITEMS_MAX`, or the workflow is no id.
        CursorError: The cursor is not one of this list.
    """
    check_limit(limit)
    if workflow is not None:
        check_text("workflow", workflow)
    of = (_LIST, workflow)
    start = b"" if cursor is None else read_cursor(cursor, of) + b"\0"
    found: list[OpenWork] = []
    last = b""
    looked = 0
    # One more than is asked for tells whether there is a next page.
    for rows in pages(store, ROWS_FAMILY, start, None, limit + 1 if workflow is None else LIST_ITEMS_MAX):
        for key, value in rows:
            if workflow in {None, (each := decode_row(value)).workflow_id}:
                if len(found) == limit:
                    return Page(found, make_cursor(last, of))
                found.append(each)
                last = key
        looked += len(rows)
        if looked >= LIST_LOOKED_MAX:
            return Page(found, make_cursor(rows[-1][0], of))
    return Page(found, None)
