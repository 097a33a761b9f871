"""Folds for tests: views of a log made in one go, and all bytes of a store."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.log.port import Log
from engine.store.port import Store
from engine.store.rocks import RocksStore
from projections import VIEWS, Page, Projection, Projector, RunFilter, RunSummary, Views
from projections.directory import ViewsDirectory
from projections.ended import FAMILY as ENDED
from projections.position import FAMILY as POSITIONS
from projections.projection import family_name

Rows = dict[str, list[tuple[bytes, bytes]]]
ALL = 10_000_000


def small_batches(patch: pytest.MonkeyPatch, records: int) -> None:
    """Let batches have so many records."""
    patch.setattr("projections.partition_fold.PROJECTION_BATCH_RECORDS", records)
    patch.setattr("engine.log.scanning._AT_ONCE", records)


@asynccontextmanager
async def folded(
    log: Log, path: Path, projections: Sequence[Projection] = VIEWS, *, anew: bool = False
) -> AsyncIterator[Projector]:
    """Give a projector that has folded all that the log has."""
    async with Projector(log, path, projections=projections, anew=anew) as projector:
        await projector.caught_up()
        yield projector


async def fold(log: Log, path: Path, projections: Sequence[Projection] = VIEWS) -> Rows:
    """Fold all that the log has, close, and return every byte of the store."""
    async with folded(log, path, projections):
        pass
    return stored(path, projections)


def stored(path: Path, projections: Sequence[Projection] = VIEWS) -> Rows:
    """Return every row of the views in a directory that nobody folds into."""
    directory = ViewsDirectory(path, projections)
    entry = directory.complete()
    assert entry is not None, directory.listing()
    store = RocksStore.inspect(path / entry.store, families(projections))
    rows = dump(store, projections)
    store.close()
    return rows


def dump(store: Store, projections: Sequence[Projection] = VIEWS) -> Rows:
    """Return every row of a store."""
    return {family: store.scan(family, b"", None, limit=ALL) for family in families(projections)}


def families(projections: Sequence[Projection]) -> list[str]:
    own = [family_name(projection.name, family) for projection in projections for family in projection.families]
    return [POSITIONS, ENDED, *own]


async def every_page(views: Views, wanted: RunFilter, limit: int) -> list[RunSummary]:
    """Return all runs of a list, page by page."""
    found: list[RunSummary] = []
    page: Page[RunSummary] = await views.list_runs(wanted, limit=limit)
    while page.cursor is not None:
        assert len(page.items) == limit
        found += page.items
        page = await views.list_runs(wanted, limit=limit, cursor=page.cursor)
    return found + page.items
