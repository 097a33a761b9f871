"""Pages of lists: stable while runs arrive and change, and closed to whatever is no cursor, filter or limit."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine import EngineService
from engine.core.state import RunStatus
from engine.errors import ArgumentError
from engine.limits import ID_CHARACTERS_MAX, LIST_ITEMS_MAX, TAG_CHARACTERS_MAX
from projections import CursorError, Page, Projector, RunFilter, RunSummary, Views
from projections.cursors import make_cursor, read_cursor
from tests.projections.folding import every_page, folded
from tests.projections.forging import created, forge, forge_runs, make_runs, run_in
from tests.simulation.log import SimulatedLog
from tests.support.workflows import registry

SEEDS = 30
STARTED: dict[str, object] = {"type": "run.started", "context": {}, "next": "a", "command": "s"}
CANCELLED: dict[str, object] = {"type": "run.cancelled", "reason": "no more", "output": {}, "command": "c"}
FAILED: dict[str, object] = {
    "type": "run.failed",
    "error": {"type": "ValueError", "message": "no", "node": "a"},
    "output": {},
}


class Changing:
    """A log whose runs come and change, with a projector that folds them.

    Attributes:
        runs: The status of every run.
    """

    def __init__(self, log: SimulatedLog, projector: Projector, chance: Random) -> None:
        self._log = log
        self._projector = projector
        self._chance = chance
        self.views = Views.of(projector)
        self.runs: dict[str, RunStatus] = {}

    async def create(self) -> None:
        run_id = run_in(self._chance.randrange(2), 2)
        forge(self._log, run_id, [created(self._chance.choice("wv"))], self._time())
        self.runs[run_id] = RunStatus.CREATED
        await self._projector.caught_up()

    async def change(self) -> None:
        going = [run for run, status in self.runs.items() if not status.terminal]
        if going:
            run_id = self._chance.choice(going)
            event, status = self._chance.choice(
                [(CANCELLED, RunStatus.CANCELLED)]
                if self.runs[run_id] is RunStatus.CREATED
                else [(CANCELLED, RunStatus.CANCELLED), (FAILED, RunStatus.FAILED)]
            )
            if self.runs[run_id] is RunStatus.CREATED and self._chance.random() < 0.7:
                event, status = STARTED, RunStatus.RUNNING
            forge(self._log, run_id, [event], self._time())
            self.runs[run_id] = status
            await self._projector.caught_up()

    def _time(self) -> str:
        # Clocks of executors differ: a run that comes later may have been created earlier.
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self._chance.randrange(300))
        return moment.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_pages_show_nothing_twice_and_leave_out_nothing_that_was_there_all_along(seed: int, quick: Path) -> None:
    chance = Random(seed)
    log = SimulatedLog(2)
    await make_runs(log, 1)
    async with folded(log, quick) as projector:
        changing = Changing(log, projector, chance)
        for _ in range(40):
            await chance.choice((changing.create, changing.change))()
        for wanted in (
            RunFilter(),
            RunFilter(status=RunStatus.CREATED),
            RunFilter(status=RunStatus.RUNNING),
            RunFilter(status=RunStatus.CANCELLED),
            RunFilter(workflow="w"),
            RunFilter(workflow="w", status=RunStatus.RUNNING),
            RunFilter(error="ValueError"),
            RunFilter(created_from=datetime(2026, 1, 1, tzinfo=UTC)),
        ):
            await check_pages(changing, wanted, chance)


async def check_pages(changing: Changing, wanted: RunFilter, chance: Random) -> None:
    all_along = {run.run_id for run in (await changing.views.list_runs(wanted, limit=LIST_ITEMS_MAX)).items}
    shown: list[RunSummary] = []
    page: Page[RunSummary] = await changing.views.list_runs(wanted, limit=chance.choice((1, 3, 7)))
    while True:
        assert all(wanted.fits(run) for run in page.items)
        shown += page.items
        if page.cursor is None:
            break
        for _ in range(chance.randrange(3)):
            await chance.choice((changing.create, changing.change))()
            now = await changing.views.list_runs(wanted, limit=LIST_ITEMS_MAX)
            all_along &= {run.run_id for run in now.items}
        page = await changing.views.list_runs(wanted, limit=chance.choice((1, 3, 7)), cursor=page.cursor)
    ids = [run.run_id for run in shown]
    assert len(ids) == len(set(ids)), "shown twice"
    assert all_along <= set(ids), "left out"
    assert shown == sorted(shown, key=lambda run: (run.created, run.run_id), reverse=True)


@pytest.fixture
async def views(quick: Path) -> AsyncIterator[Views]:
    log = SimulatedLog()
    await make_runs(log, 10)
    async with folded(log, quick) as projector:
        yield Views.of(projector)


async def test_a_page_that_looked_at_enough_rows_ends_and_the_list_goes_on(
    quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.listing.LIST_LOOKED_MAX", 2)
    log = SimulatedLog()
    await make_runs(log, 1)
    forge_runs(log, 5, [created(), STARTED, FAILED])
    async with folded(log, quick) as projector:
        views = Views.of(projector)
        pages = [await views.list_runs(RunFilter(error="ValueError", status=RunStatus.SUCCESS), limit=1)]
        while (cursor := pages[-1].cursor) is not None:
            wanted = RunFilter(error="ValueError", status=RunStatus.SUCCESS)
            pages.append(await views.list_runs(wanted, limit=1, cursor=cursor))
        assert [page.items for page in pages] == [[], [], []]
        assert len(await every_page(views, RunFilter(error="ValueError"), 1)) == 5


def test_no_cursor_looks_like_an_option_of_a_command() -> None:
    cursors = {make_cursor(b"place", [f"error {number}"]) for number in range(1_000)}
    assert len(cursors) == 1_000
    assert not [cursor for cursor in cursors if cursor.startswith("-")]


async def test_a_cursor_belongs_to_its_filter(views: Views) -> None:
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    cursors = {}
    filters = [
        RunFilter(),
        RunFilter(workflow="w"),
        RunFilter(status=RunStatus.SUCCESS),
        RunFilter(workflow="w", status=RunStatus.SUCCESS),
        RunFilter(created_from=moment),
        RunFilter(created_before=moment + timedelta(days=100_000)),
    ]
    for wanted in filters:
        cursors[wanted] = (await views.list_runs(wanted, limit=1)).cursor
        assert cursors[wanted] is not None
    for wanted in filters:
        for other, cursor in cursors.items():
            if wanted == other:
                assert (await views.list_runs(wanted, limit=1, cursor=cursor)).items
            else:
                with pytest.raises(CursorError, match="Begin with the first page"):
                    await views.list_runs(wanted, cursor=cursor)
    elsewhere = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    again = RunFilter(created_from=elsewhere)
    assert (await views.list_runs(again, limit=1, cursor=cursors[RunFilter(created_from=moment)])).items


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(),
        st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()),
        st.binary(min_size=1).map(lambda place: make_cursor(place, RunFilter().known)),
        st.integers(),
        st.binary(),
        st.lists(st.integers()),
    )
)
@example("A" * 2_000)
@example("\ud800")
@example("")
@example("====")
def test_whatever_is_no_cursor_is_refused_and_nothing_else_happens(cursor: object) -> None:
    try:
        place = read_cursor(cursor, RunFilter().known)
    except CursorError:
        return
    assert make_cursor(place, RunFilter().known) == cursor


@settings(max_examples=300, deadline=None)
@given(place=st.binary(max_size=60), at=st.integers(0, 200), other=st.characters(codec="ascii"))
@example(place=b"place", at=0, other="=")
def test_a_cursor_that_was_changed_cut_or_lengthened_is_refused(place: bytes, at: int, other: str) -> None:
    of = ["a list"]
    cursor = make_cursor(place, of)
    assert read_cursor(cursor, of) == place
    at %= len(cursor)
    for wrong in (
        cursor[:at] + other + cursor[at + 1 :],
        cursor[:at],
        cursor[at + 1 :],
        cursor[:at] + other + cursor[at:],
        cursor + other,
        cursor + "=",
        cursor.swapcase(),
    ):
        if wrong != cursor:
            with pytest.raises(CursorError, match="exactly as a page gave it") as refused:
                read_cursor(wrong, of)
            assert refused.value.hint == "Begin with the first page."


@pytest.mark.parametrize("place", [b"\0" * 9, b"\xff" * 9, b"\xff" * 500, b"\0" * 500])
async def test_a_cursor_of_any_place_gives_a_page(views: Views, place: bytes) -> None:
    page = await views.list_runs(cursor=make_cursor(place, RunFilter().known))
    assert len(page.items) in {0, 10}


@pytest.mark.parametrize("limit", [0, -1, LIST_ITEMS_MAX + 1, True, 1.0, "1", None, 10**100])
async def test_a_limit_is_a_number_within_bounds(views: Views, limit: int) -> None:
    with pytest.raises(ArgumentError, match=f"from 1 to {LIST_ITEMS_MAX}"):
        await views.list_runs(limit=limit)
    with pytest.raises(ArgumentError, match=f"from 1 to {LIST_ITEMS_MAX}"):
        await views.list_open_work(limit=limit)


WRONG_TEXTS = ["", "x" * (ID_CHARACTERS_MAX + 1), "\ud800", 5, b"w", ["w"], True]
WRONG_TIMES = [datetime(2026, 1, 1), "2026-01-01", 5, datetime(2026, 1, 1).date()]  # noqa: DTZ001 - that is what is wrong


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("workflow", value) for value in WRONG_TEXTS),
        *(("tag", value) for value in WRONG_TEXTS),
        *(("error", value) for value in WRONG_TEXTS),
        *(("status", value) for value in ("Failed", "failed", 5, "")),
        *(("created_from", value) for value in WRONG_TIMES),
        *(("created_before", value) for value in WRONG_TIMES),
    ],
)
def test_a_filter_of_the_wrong_type_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ArgumentError, match=name):
        RunFilter(**{name: value})  # type: ignore[arg-type]  # that is what is tested


async def test_other_questions_with_wrong_types_are_refused_too(views: Views) -> None:
    for wrong in WRONG_TEXTS:
        with pytest.raises(ArgumentError):
            await views.list_open_work(workflow=wrong)  # type: ignore[arg-type]  # that is what is tested
        with pytest.raises(ArgumentError):
            await views.get_run(wrong)  # type: ignore[arg-type]  # the same
        with pytest.raises(ArgumentError):
            await views.get_traces(wrong)  # type: ignore[arg-type]  # the same


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=ID_CHARACTERS_MAX),
    begin=st.datetimes(timezones=st.timezones()),
    end=st.datetimes(timezones=st.timezones()),
)
@example(text="\0", begin=datetime.min.replace(tzinfo=UTC), end=datetime.max.replace(tzinfo=UTC))
async def test_any_filter_of_the_right_types_is_answered(
    views: Views, text: str, begin: datetime, end: datetime
) -> None:
    for wanted in (
        RunFilter(workflow=text),
        RunFilter(error=text),
        RunFilter(tag=text, status=RunStatus.FAILED),
        RunFilter(workflow="w", created_from=begin, created_before=end),
    ):
        found = (await views.list_runs(wanted)).items
        assert all(wanted.fits(run) for run in found)


async def test_tags_go_with_every_other_filter(quick: Path) -> None:
    chance = Random("tags")
    log = SimulatedLog(2)
    tags = ["a", "b", "a b", "\U0001f600", "x" * TAG_CHARACTERS_MAX]
    await make_runs(log, 1)
    async with EngineService.open(log, registry()) as engine, folded(log, quick) as projector:
        tagged = {}
        for _ in range(60):
            chosen = chance.sample(tags, chance.randrange(4))
            run_id = await engine.create_workflow_run(chance.choice("wv"), tags=chosen)
            tagged[run_id] = tuple(chosen)
            if chance.random() < 0.6:
                await engine.start_workflow_run_and_wait(run_id)
        await projector.caught_up()
        views = Views.of(projector)
        everything = await every_page(views, RunFilter(), 7)
        assert {run.run_id: run.tags for run in everything if run.run_id in tagged} == tagged
        for tag, workflow, status, error in product(
            [*tags, "c", "ab"], (None, "w", "v"), (None, *RunStatus), (None, "ValueError")
        ):
            wanted = RunFilter(tag=tag, workflow=workflow, status=status, error=error)
            assert await every_page(views, wanted, 5) == [
                run
                for run in everything
                if tag in run.tags
                and workflow in {None, run.workflow_id}
                and status in {None, run.run_status}
                and (error is None or run.error is not None)
            ]
