"""Pages of open work: the longest waiting first, nothing twice, nothing left out while runs end and come."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.errors import ArgumentError
from projections import CursorError, Page, Projector, RunFilter
from projections.views import Views
from projections.work import OpenWork
from tests.projections.folding import folded
from tests.projections.forging import created, forge, forge_runs, make_runs, run_in
from tests.simulation.log import SimulatedLog

CANCELLED: dict[str, object] = {"type": "run.cancelled", "reason": "no more", "output": {}, "command": "c"}


@pytest.fixture
async def work(quick: Path) -> AsyncIterator[tuple[SimulatedLog, Projector]]:
    """Give a log with runs that wait, and who folds it."""
    log = SimulatedLog()
    await make_runs(log, 1)
    forge_runs(log, 12, [created("w")])
    forge_runs(log, 5, [created("v")])
    async with folded(log, quick) as projector:
        yield log, projector


async def every_page(views: Views, limit: int, workflow: str | None = None) -> list[Page[OpenWork]]:
    found = [await views.page_open_work(workflow=workflow, limit=limit)]
    while (cursor := found[-1].cursor) is not None:
        found.append(await views.page_open_work(workflow=workflow, limit=limit, cursor=cursor))
    return found


@pytest.mark.parametrize("workflow", [None, "w", "v", "none"])
@pytest.mark.parametrize("limit", [1, 3, 5, 6, 12, 17, 18, 100])
async def test_pages_give_the_whole_list_and_the_last_one_names_no_other(
    work: tuple[SimulatedLog, Projector], limit: int, workflow: str | None
) -> None:
    views = Views.of(work[1])
    whole = await views.list_open_work(workflow=workflow, limit=1_000)
    found = await every_page(views, limit, workflow)
    assert [each for page in found for each in page.items] == whole
    assert all(len(page.items) == limit for page in found[:-1])
    assert len(found) == max(1, -(-len(whole) // limit)), "no page that is empty for nothing"
    assert whole == sorted(whole, key=lambda each: (each.since, each.run_id))


async def test_what_ends_and_what_comes_moves_no_later_page(work: tuple[SimulatedLog, Projector]) -> None:
    log, projector = work
    views = Views.of(projector)
    whole = await views.list_open_work(limit=1_000)
    first = await views.page_open_work(limit=4)
    for each in (whole[0], whole[3], whole[6]):
        forge(log, each.run_id, [CANCELLED])
    new = run_in(0, 1)
    forge(log, new, [created()], "2100-01-01T00:00:00Z")
    await projector.caught_up()
    rest = await views.page_open_work(limit=1_000, cursor=first.cursor)
    expected = [each.run_id for each in whole[4:] if each is not whole[6]]
    assert [each.run_id for each in rest.items] == [*expected, new]


async def test_a_page_that_looked_at_enough_rows_ends_and_the_list_goes_on(
    work: tuple[SimulatedLog, Projector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.open_work.LIST_LOOKED_MAX", 2)
    monkeypatch.setattr("projections.open_work.LIST_ITEMS_MAX", 2)
    views = Views.of(work[1])
    found = await every_page(views, 3, "v")
    assert len(found) > 3
    assert len([each for page in found for each in page.items]) == 5


async def test_a_cursor_belongs_to_its_list(work: tuple[SimulatedLog, Projector]) -> None:
    views = Views.of(work[1])
    cursor = (await views.page_open_work(limit=1)).cursor
    of_runs = (await views.list_runs(RunFilter(), limit=1)).cursor
    assert cursor is not None
    for workflow, wrong in (("w", cursor), (None, of_runs), (None, cursor[:-1]), (None, "")):
        with pytest.raises(CursorError, match="Begin with the first page"):
            await views.page_open_work(workflow=workflow, cursor=wrong)
    with pytest.raises(CursorError):
        await views.list_runs(cursor=cursor)
    with pytest.raises(ArgumentError):
        await views.page_open_work(workflow="", cursor=cursor)
