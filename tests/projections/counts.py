"""A user's own projection, which keeps counts: what is applied twice, or left out, shows in it for ever."""

import time
from collections.abc import Iterable, Sequence
from typing import ClassVar

from engine.log.port import EVENTS, LogRecord
from projections import VIEWS, Projection, Rows, Stretch
from projections.projection import family_name


class Counts:
    """Counts for each workflow its runs, its commits and its ended runs."""

    name: ClassVar[str] = "counts"
    version: ClassVar[int] = 1
    topic: ClassVar[str] = EVENTS
    families: ClassVar[Sequence[str]] = ("workflows", "ended")

    def fold(self, records: Sequence[LogRecord], stretches: Iterable[Stretch], rows: Rows) -> None:  # noqa: ARG002 - the protocol's
        for stretch in stretches:
            workflow = stretch.after.workflow.encode()
            count(rows, "workflows", workflow + b" commits", len(stretch.commits))
            if stretch.before is None:
                count(rows, "workflows", workflow + b" runs", 1)
            if stretch.after.status.terminal:
                count(rows, "ended", workflow, 1)


def count(rows: Rows, family: str, key: bytes, more: int) -> None:
    before = rows.get(family, key)
    time.sleep(0)  # lets another thread in, which may want to read the same row
    rows.put(family, key, b"%d" % (more + (0 if before is None else int(before))))


COUNTED = (family_name(Counts.name, "workflows"), family_name(Counts.name, "ended"))
WITH_COUNTS: tuple[Projection, ...] = (*VIEWS, Counts())
