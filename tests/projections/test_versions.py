"""What is new is made beside the old, and takes its place when it is whole; what is not ours is left alone."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from engine.errors import ArgumentError
from engine.log.embedded import EmbeddedLog
from engine.log.embedded.lock import DirectoryLock
from engine.log.port import EVENTS, WORKFLOWS
from projections import (
    VIEWS,
    Projection,
    Projector,
    Views,
    ViewsLockedError,
    ViewsNewerError,
    ViewsNotReadyError,
)
from projections.directory import Entry, Listing, ViewsDirectory
from projections.runs import Runs
from projections.source import Beside
from tests.projections.counts import WITH_COUNTS, Counts
from tests.projections.folding import dump, fold, folded, small_batches, stored
from tests.projections.forging import make_runs, moved_until
from tests.simulation.log import SimulatedLog

ROOT = Path(__file__).parents[2]


class NewRuns(Runs):
    """The runs in another version, whose rows are the same."""

    version: ClassVar[int] = 2


NEWER: tuple[Projection, ...] = (NewRuns(), *VIEWS[1:])
CHANGES = {"another version": NEWER, "one projection more": WITH_COUNTS, "all anew": VIEWS}


def has_folded(projector: Projector, records: int) -> bool:
    return projector.progress[0] >= records


def listing(path: Path) -> Listing:
    return ViewsDirectory(path, VIEWS).listing()


def stores(path: Path) -> list[str]:
    """Return which stores there are, by their numbers."""
    return sorted(store.name.rsplit("-", 1)[0] for store in path.glob("store-*-*"))


@pytest.mark.parametrize("change", CHANGES)
async def test_a_changed_set_is_made_beside_the_old_one_which_is_asked_until_it_is_whole(
    change: str, quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, anew = CHANGES[change], change == "all anew"
    log = SimulatedLog(2)
    runs = await make_runs(log, 20)
    before = await fold(log, quick)
    small_batches(monkeypatch, 2)
    async with Views.open(quick) as readers:
        for part in (5, 20):
            # Interrupted, and then gone on with.
            async with Projector(log, quick, projections=new, anew=anew) as projector:
                await moved_until(projector, partial(has_folded, projector, part))
                assert [entry.complete for entry in listing(quick).stores] == [True, False]
                assert stores(quick) == ["store-1", "store-2"]
                assert {run.run_id for run in (await readers.list_runs()).items} == set(runs)
                if anew:
                    assert {run.run_id for run in (await Views.of(projector).list_runs()).items} == set(runs)
                else:
                    with pytest.raises(ViewsNotReadyError, match="are being made"):
                        await Views.of(projector).list_runs()
        async with folded_as(log, quick, new, anew=anew) as projector:
            assert [entry.complete for entry in listing(quick).stores] == [True]
            assert stores(quick) == ["store-2"]
            after = dump(projector.store, new)
        assert {family: after[family] for family in before} == before
        if change != "another version":
            assert {run.run_id for run in (await readers.list_runs()).items} == set(runs)
    await fold(log, quick, new)
    assert stores(quick) == ["store-2"]
    assert stored(quick, new) == await fold(log, quick / "from zero", new)


class folded_as:  # noqa: N801 - it reads as the function it stands beside
    """A projector that has folded all that the log has, perhaps anew."""

    def __init__(self, log: SimulatedLog, path: Path, projections: Sequence[Projection], *, anew: bool) -> None:
        self._projector = Projector(log, path, projections=projections, anew=anew)

    async def __aenter__(self) -> Projector:
        await self._projector.__aenter__()
        await self._projector.caught_up()
        return self._projector

    async def __aexit__(self, *_: object) -> None:
        await self._projector.__aexit__(None, None, None)


async def test_nobody_folds_into_a_store_that_is_being_replaced(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = SimulatedLog()
    await make_runs(log, 20)
    await fold(log, quick)
    small_batches(monkeypatch, 1)
    async with Projector(log, quick, anew=True) as projector:
        assert not projector._stored.complete
        for anew in (False, True):
            with pytest.raises(ViewsLockedError):
                async with Projector(log, quick, anew=anew):
                    pass
        await projector.caught_up()
    async with folded(log, quick):
        pass


async def test_a_store_that_somebody_still_folds_is_not_replaced_before_he_stops(quick: Path) -> None:
    log = SimulatedLog()
    await make_runs(log, 5)
    async with folded(log, quick) as projector:
        await fold(log, quick, WITH_COUNTS)
        await fold(log, quick, NEWER)
        assert stores(quick) == ["store-1", "store-2", "store-3"]
        (new, *_) = await make_runs(log, 2)
        await projector.caught_up()
        async with Views.open(quick) as views:
            assert (await views.get_run(new)).run_id == new, "readers ask the one that is kept fresh"
    await fold(log, quick, NEWER)
    assert stores(quick) == ["store-2", "store-3"]


async def test_an_older_version_does_not_take_the_place_of_a_newer_one(quick: Path) -> None:
    log = SimulatedLog()
    await make_runs(log, 5)
    newer = await fold(log, quick, NEWER)
    for anew in (False, True):
        with pytest.raises(ViewsNewerError, match=r"expected views with version 1 of 'runs' .* but found version 2"):
            async with Projector(log, quick, anew=anew):
                pass
    assert stores(quick) == ["store-1"]
    assert await fold(log, quick, NEWER) == newer


async def test_what_was_begun_by_a_version_in_between_is_removed(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = SimulatedLog()
    await make_runs(log, 20)
    await fold(log, quick)
    with monkeypatch.context() as slow:
        small_batches(slow, 1)
        async with Projector(log, quick, projections=NEWER) as projector:
            await moved_until(projector, lambda: projector.progress[0] > 3)
    assert len(listing(quick).stores) == 2
    monkeypatch.setattr(NewRuns, "version", 3)
    await fold(log, quick, NEWER)
    (entry,) = listing(quick).stores
    assert entry.projections["runs"] == 3
    assert stores(quick) == [entry.store.rsplit("-", 1)[0]]


async def test_readers_go_on_while_another_process_folds_and_replaces_the_store(quick: Path) -> None:
    log = SimulatedLog(2)
    runs = set(await make_runs(log, 10))
    asked = 0
    stop = asyncio.Event()

    async def ask(views: Views) -> None:
        nonlocal asked
        while not stop.is_set():
            found = {run.run_id for run in (await views.list_runs(limit=1_000)).items}
            assert found >= runs
            for run_id in sorted(found)[:2]:
                assert (await views.get_run(run_id)).run_id == run_id
                assert await views.get_traces(run_id) is not None
            asked += 1
            await asyncio.sleep(0)

    await fold(log, quick)
    async with Views.open(quick) as one, Views.open(quick) as other:
        asking = [asyncio.create_task(ask(views)) for views in (one, other)]
        for _ in range(4):
            async with folded_as(log, quick, VIEWS, anew=True):
                await make_runs(log, 3)
            async with folded(log, quick, WITH_COUNTS):
                await make_runs(log, 3)
            await fold(log, quick)
        stop.set()
        await asyncio.gather(*asking)
    print(f"asked {asked} times")
    assert asked > 20


async def test_a_reader_asks_a_set_that_holds_more_than_it_needs(quick: Path) -> None:
    log = SimulatedLog()
    runs = await make_runs(log, 5)
    async with folded(log, quick, WITH_COUNTS):
        async with Views.open(quick) as views:
            assert {run.run_id for run in (await views.list_runs()).items} == set(runs)
        counts = Beside(quick, [Counts()])
        assert counts.store.get("counts.workflows", b"w runs") is not None
        counts.close()
    with pytest.raises(ViewsNotReadyError, match="there are none"):
        _ = Beside(quick, NEWER).store


async def test_views_of_a_newer_version_are_left_alone(quick: Path) -> None:
    log = SimulatedLog()
    await make_runs(log, 3)
    before = await fold(log, quick)
    file = quick / "views.json"
    text = file.read_text()
    file.write_text(json.dumps({**json.loads(text), "format": 2, "something": "new"}))
    for anew in (False, True):
        with pytest.raises(ViewsNewerError, match="format 2"):
            async with Projector(log, quick, anew=anew):
                pass
    with pytest.raises(ViewsNewerError, match="format 2"):
        async with Views.open(quick):
            pass
    file.write_text(text)
    assert stored(quick) == before


async def test_a_directory_that_another_process_folds_into_is_locked_and_can_be_read(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path / "log")
    runs = await make_runs(log, 5)
    await log.close()
    log = await EmbeddedLog.open(tmp_path / "log")
    await fold(log, tmp_path / "views", WITH_COUNTS)
    command = (sys.executable, "-m", "tests.projections.worker", str(tmp_path / "log"), str(tmp_path / "views"))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    child = int(await process.stdout.readline())
    try:
        await make_runs(log, 2)
        assert await process.stdout.readline() == b"folds\n"
        for anew in (False, True):
            with pytest.raises(ViewsLockedError, match="Views can be read beside it") as refusal:
                async with Projector(log, tmp_path / "views", projections=WITH_COUNTS, anew=anew):
                    pass
            assert str(tmp_path / "views") in str(refusal.value)
        async with Views.open(tmp_path / "views") as views:
            assert {run.run_id for run in (await views.list_runs()).items} >= set(runs)
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdin.close()
        assert await process.wait() == 0
    await fold(log, tmp_path / "views", WITH_COUNTS)
    await log.close()


async def test_two_that_begin_at_once_do_not_both_fold(quick: Path) -> None:
    log = SimulatedLog()
    await make_runs(log, 3)

    async def begin() -> bool:
        try:
            async with Projector(log, quick) as projector:
                await projector.caught_up()
                await asyncio.sleep(0)
        except ViewsLockedError:
            return False
        return True

    begun = await asyncio.gather(*(begin() for _ in range(5)))
    assert any(begun)
    assert stores(quick) == ["store-1"]


def precious(path: Path) -> list[Path]:
    return list(path.glob("*/precious"))


async def test_a_list_that_somebody_else_goes_on_changing_is_not_waited_for_for_ever(
    quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.directory.VIEWS_CHANGE_SECONDS_MAX", 0.05)
    log = SimulatedLog()
    await make_runs(log, 2)
    await fold(log, quick)
    lock = DirectoryLock(quick)
    with pytest.raises(ViewsLockedError):
        async with Projector(log, quick):
            pass
    async with Views.open(quick) as views:
        assert len((await views.list_runs()).items) == 2
    lock.release()
    await fold(log, quick)


async def test_what_is_not_ours_in_the_directory_stays(quick: Path) -> None:
    log = SimulatedLog()
    await make_runs(log, 3)
    for name in ("2024", "1", "store", "store-1", "store-x-y"):
        (quick / name).mkdir()
        (quick / name / "precious").write_text("mine")
    await fold(log, quick)
    await fold(log, quick, NEWER)
    (quick / "views.json").write_text("")
    await fold(log, quick)
    assert len(precious(quick)) == 5


async def test_a_directory_that_is_a_file_is_refused(quick: Path) -> None:
    (quick / "file").write_text("")
    for path in (quick / "file", quick / "file" / "inside"):
        with pytest.raises(Exception, match="cannot be"):
            async with Projector(SimulatedLog(), path):
                pass
        with pytest.raises(Exception, match="cannot be"):
            async with Views.open(path):
                pass


def named(name: str, topic: str = EVENTS, families: Sequence[str] = ("rows",)) -> Projection:
    made = Counts()
    vars(made).update(name=name, topic=topic, families=families)
    return made


@pytest.mark.parametrize(
    "wrong",
    [
        [named("a"), named("a")],
        [*VIEWS, named("runs")],
        [named("a.b")],
        [named("")],
        [named("a", families=["x/y"])],
        [named("a", topic="commands")],
    ],
)
def test_projections_that_cannot_be_folded_together_are_refused(wrong: Sequence[Projection], quick: Path) -> None:
    with pytest.raises(ArgumentError, match="Expected"):
        Projector(SimulatedLog(), quick, projections=wrong)


async def test_a_set_of_one_topic_reads_only_that(quick: Path) -> None:
    log = SimulatedLog(2)
    await make_runs(log, 5)
    async with folded(log, quick, [Counts()]) as projector:
        assert {position.topic for position in projector.positions} == {EVENTS}
    (workflows,) = [projection for projection in VIEWS if projection.topic == WORKFLOWS]
    async with folded(log, quick, [workflows]) as projector:
        assert {position.topic for position in projector.positions} == {WORKFLOWS}


def test_the_list_holds_nothing_but_names_of_stores() -> None:
    for name in ("../elsewhere", "/", "store-1", "store-1-00000000/..", "store-1-00000000\n", "1"):
        with pytest.raises(ValueError, match="pattern"):
            Entry(store=name, projections={}, complete=True)
