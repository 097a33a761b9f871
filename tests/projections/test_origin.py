"""Views of another log: nobody keeps them as this log's, and what was being made of them is given up."""

from pathlib import Path

import pytest

from engine.log.port import EVENTS
from projections import VIEWS, ViewsError
from projections.directory import ViewsDirectory
from projections.partition_fold import PartitionFold
from projections.views import Views
from tests.projections.folding import fold, folded, stored
from tests.projections.forging import make_runs
from tests.simulation.log import SimulatedLog


async def test_views_of_another_log_are_refused_to_whoever_wants_to_keep_them(quick: Path) -> None:
    one, other = SimulatedLog(), SimulatedLog()
    await make_runs(one, 2)
    await make_runs(other, 2)
    before = await fold(one, quick)
    with pytest.raises(ViewsError, match="those of another log") as refused:
        async with Views.folded(quick).fold(other):
            pass
    assert "runline rebuild" in refused.value.hint
    async with Views.folded(quick).fold(one):
        pass
    assert await fold(one, quick) == before


async def begin(log: SimulatedLog, path: Path) -> None:
    """Begin to fold a log into a new store, and come half-way."""
    directory = ViewsDirectory(path, VIEWS)
    store = directory.open_writing(directory.add())
    own = [projection for projection in VIEWS if projection.topic == EVENTS]
    await PartitionFold(log, EVENTS, 0, store, projections=own, moved=lambda: None).fold_to(3)
    store.close()


@pytest.mark.parametrize("before", [0, 1])
async def test_what_another_log_was_being_folded_into_is_given_up(
    quick: Path,
    before: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    one, other = SimulatedLog(), SimulatedLog()
    runs = await make_runs(one, 4)
    await make_runs(other, 2)
    expected = await fold(one, quick / "expected")
    if before:
        await fold(one, quick / "views")
    await begin(other, quick / "views")
    async with folded(one, quick / "views", anew=bool(before)) as projector:
        assert not any(position.stopped for position in projector.positions)
        assert {run.run_id for run in (await Views.of(projector).list_runs()).items} == set(runs)
    assert stored(quick / "views") == expected
    assert "those of another log. All is folded anew." in caplog.text


async def test_what_this_log_was_being_folded_into_is_gone_on_with(
    quick: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = SimulatedLog()
    await make_runs(log, 4)
    await begin(log, quick / "views")
    begun = ViewsDirectory(quick / "views", VIEWS).building()
    assert await fold(log, quick / "views") == await fold(log, quick / "expected")
    complete = ViewsDirectory(quick / "views", VIEWS).complete()
    assert begun is not None
    assert complete is not None
    assert complete.store == begun.store
    assert "folded anew" not in caplog.text
