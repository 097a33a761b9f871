"""Rows of views beside those that the log gives, byte for byte."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from engine.limits import REPLAY_DIFFERENCES_MAX, REPLAY_PAGE_BYTES, REPLAY_PAGE_ROWS
from engine.store.port import Row, Store
from projections.replay.row_keys import key_text, run_of

_BEFORE: Final = 20
_BEHIND: Final = 60
"""Bytes of a value that are shown before and behind the first one that differs."""


class RowKind(StrEnum):
    """How a row of the views differs."""

    MISSING = "missing"
    """The log gives it, and the views do not have it."""
    EXTRA = "extra"
    """The views have it, and the log does not give it."""
    DIFFERENT = "different"
    """The views have another value than the log gives."""


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row of the views that is not what the log gives.

    Attributes:
        family: The family of rows.
        key: Its key.
        views: Its value in the views, or None.
        folded: Its value as it is folded now, or None.
    """

    family: str
    key: bytes
    views: bytes | None
    folded: bytes | None

    @property
    def kind(self) -> RowKind:
        """How it differs."""
        if self.views is None:
            return RowKind.MISSING
        return RowKind.EXTRA if self.folded is None else RowKind.DIFFERENT

    @property
    def run_id(self) -> str | None:
        """The run it belongs to, or None where it belongs to none."""
        return run_of(self.family, self.key)

    @property
    def key_text(self) -> str:
        """Its key for people."""
        return key_text(self.family, self.key)

    def __str__(self) -> str:
        """Return the difference in one line."""
        text = f"{self.family}, {self.key_text}: {self.kind}"
        if self.views is None or self.folded is None:
            return text
        pairs = zip(self.views, self.folded, strict=False)
        place = next((at for at, (old, new) in enumerate(pairs) if old != new), min(len(self.views), len(self.folded)))
        old, new = (value[max(0, place - _BEFORE) : place + _BEHIND] for value in (self.views, self.folded))
        return f"{text} from byte {place} on: the views have {_text(old)}, the log gives {_text(new)}"


@dataclass(slots=True)
class RowComparison:
    """What came of comparing rows.

    Attributes:
        rows: Rows that were compared, by family.
        differing: Those of them that differ.
        differences: The first of these, `REPLAY_DIFFERENCES_MAX` at most.
    """

    rows: Counter[str] = field(default_factory=Counter)
    differing: Counter[str] = field(default_factory=Counter)
    differences: list[RowDifference] = field(default_factory=list)

    def compare(self, family: str, key: bytes, views: bytes | None, folded: bytes | None) -> None:
        """Compare a row that at least one of the two has."""
        self.rows[family] += 1
        if views != folded:
            self.differing[family] += 1
            if len(self.differences) < REPLAY_DIFFERENCES_MAX:
                self.differences.append(RowDifference(family, key, views, folded))


async def compare_family(
    views: Store, folded: Store, family: str, comparison: RowComparison, passes: Callable[[bytes], bool]
) -> AsyncIterator[int]:
    """Compare a family of two stores row by row, with few rows in memory; give the number of rows of each step.

    Args:
        views: The one store.
        folded: The other store.
        family: The family.
        comparison: Takes what is found.
        passes: Whether a row with this key is not to be compared.
    """
    start: bytes | None = b""
    while start is not None:
        pages = [_page(store, family, start) for store in (views, folded)]
        lasts = [last for _, last in pages if last is not None]
        # Up to there both pages have all that there is.
        last = min(lasts, default=None)
        old, new = ({key: value for key, value in rows if last is None or key <= last} for rows, _ in pages)
        for key in sorted(old.keys() | new.keys()):
            if not passes(key):
                comparison.compare(family, key, old.get(key), new.get(key))
        yield len(old.keys() | new.keys())
        await asyncio.sleep(0)
        start = None if last is None else last + b"\0"


def _page(store: Store, family: str, start: bytes) -> tuple[list[Row], bytes | None]:
    """Return some rows, and the key of the last of them where more may follow."""
    rows = store.scan(family, start, None, limit=REPLAY_PAGE_ROWS, bytes_max=REPLAY_PAGE_BYTES)
    full = len(rows) == REPLAY_PAGE_ROWS or sum(len(value) for _, value in rows) >= REPLAY_PAGE_BYTES
    return rows, rows[-1][0] if rows and full else None


def _text(value: bytes) -> str:
    return repr(value.decode(errors="backslashreplace"))
