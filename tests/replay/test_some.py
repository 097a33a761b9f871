"""Some runs of a log, and the runs of a time, folded and decided once more."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from engine.core.state import RunStatus
from engine.errors import LogError
from engine.log.embedded import EmbeddedLog
from engine.log.port import EVENTS, Log
from engine.ports import SystemIds
from projections.ended import FAMILY as ENDED
from projections.keys import moment_key, offset_key, text_key
from projections.replay import Created, Replay, ReplayReport
from projections.replay.replay import Advance
from projections.replay.row_keys import key_text, run_of
from projections.runs import INDEX_FAMILY, ROWS_FAMILY, decode_row, prefix
from projections.traces import COMMITS_FAMILY
from projections.work import ROWS_FAMILY as WORK_FAMILY
from tests.decisions.storms import weathered
from tests.decisions.test_replay import BEGIN, Hours, days
from tests.projections.folding import Rows, fold, stored
from tests.replay.test_whole import plant_titles
from tests.replay.worlds import breaking, change, differences, essence, folded_log, full_log
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock
from tests.support.logs import open_kafka

ALWAYS = Created(datetime.min.replace(tzinfo=UTC))
SHARED = pytest.mark.parametrize("shared", [False, True], ids=["indexed", "not indexed"])


def rows_of(rows: Rows, runs: set[str]) -> dict[str, int]:
    """Return how many rows of some runs each family has."""
    counts = {
        family: sum(run_of(family, key) in runs for key, _ in rows[family])
        for family in (ROWS_FAMILY, INDEX_FAMILY, COMMITS_FAMILY, WORK_FAMILY, ENDED)
    }
    return {family: count for family, count in counts.items() if count}


@pytest.mark.parametrize("seed", range(20, 28))
async def test_runs_of_storms_are_the_same_alone_and_within_times(
    seed: int, quick: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    world = await weathered(seed, monkeypatch)
    log = world.log.client()
    rows = await fold(log, quick / "views")
    created = {run.run_id: run.created for run in (decode_row(value) for _, value in rows[ROWS_FAMILY])}
    chance = Random(seed)
    some = chance.sample(sorted(created), 3)
    report = await Replay(log, quick / "views", quick / "work").runs(some)
    assert report.same, (report.views.rows.differences, report.decisions)
    assert report.views.rows.rows == rows_of(rows, set(some))
    since, until = sorted(chance.sample(sorted(created.values()), 2))
    for times in (Created(since), Created(None, until), Created(since, until), ALWAYS):
        report = await Replay(log, quick / "views", quick / "work").created(times)
        assert report.same, (times, report.views.rows.differences, report.decisions)
        runs = {run_id for run_id, moment in created.items() if times.covers(moment)}
        assert report.views.rows.rows == rows_of(rows, runs)
        assert report.decisions.runs == len(runs)


def planted_extras(row: bytes) -> list[tuple[str, bytes, bytes]]:
    """Return rows that the log of a run that succeeded does not give."""
    run = decode_row(row)
    place = moment_key(run.created) + text_key(run.run_id)
    return [
        (COMMITS_FAMILY, text_key(run.run_id) + b"\0" + offset_key(10_000), b"x"),
        (INDEX_FAMILY, prefix("status", RunStatus.RUNNING.value) + place, b""),
        (INDEX_FAMILY, prefix("workflow status", run.workflow_id, RunStatus.FAILED.value) + place, b""),
        (WORK_FAMILY, moment_key(run.created) + text_key(run.run_id) + b"\0" + offset_key(3), b"{}"),
    ]


@pytest.mark.parametrize("alone", [False, True], ids=["within times", "alone"])
async def test_each_changed_missing_and_extra_row_of_a_run_is_found_and_no_other(quick: Path, *, alone: bool) -> None:
    log = SimulatedLog(2, shared=True)
    runs = await folded_log(log, quick / "views")
    rows = stored(quick / "views")
    run_id = runs["chain"]
    own = [
        (family, key, value) for family, pairs in rows.items() for key, value in pairs if run_of(family, key) == run_id
    ]
    plants: list[tuple[str, bytes, bytes | None, bytes | None]] = [
        (family, key, value, None) for family, key, value in own
    ]
    plants += [(family, key, value, value + b" ") for family, key, value in own]
    plants += [
        (family, key, None, value) for family, key, value in planted_extras(dict(rows[ROWS_FAMILY])[run_id.encode()])
    ]
    assert len(plants) > 15
    for family, key, before, after in plants:
        change(quick / "views", family, key, after)
        replay = Replay(log, quick / "views", quick / "work")
        report = await (replay.runs([run_id]) if alone else replay.created(ALWAYS))
        kind = "missing" if after is None else "extra" if before is None else "different"
        assert differences(report) == [(family, kind, run_id)], (family, key, report.views.rows.differences)
        other = await Replay(log, quick / "views", quick / "work").runs([runs["failing"], runs["hanging"]])
        assert other.same, (family, key, other.views.rows.differences)
        change(quick / "views", family, key, before)


async def test_open_work_of_a_run_is_compared_too(quick: Path) -> None:
    log = SimulatedLog(1)
    runs = await folded_log(log, quick / "views")
    ((key, value),) = [
        pair for pair in stored(quick / "views")[WORK_FAMILY] if run_of(WORK_FAMILY, pair[0]) == runs["hanging"]
    ]
    for changed, kind in ((None, "missing"), (value + b" ", "different")):
        change(quick / "views", WORK_FAMILY, key, changed)
        report = await Replay(log, quick / "views", quick / "work").runs([runs["hanging"]])
        assert differences(report) == [(WORK_FAMILY, kind, runs["hanging"])]


async def test_runs_that_only_the_views_have_are_found(quick: Path) -> None:
    log = SimulatedLog(1)
    runs = await folded_log(log, quick / "views")
    rows = stored(quick / "views")
    other = SystemIds(QuickClock()).run_id()
    for family in (ROWS_FAMILY, INDEX_FAMILY, COMMITS_FAMILY, ENDED):
        for key, value in rows[family]:
            if run_of(family, key) == runs["chain"]:
                found, row = (each.replace(runs["chain"].encode(), other.encode()) for each in (key, value))
                change(quick / "views", family, found, row)
    count = sum(rows_of(rows, {runs["chain"]}).values())
    for report in (
        await Replay(log, quick / "views", quick / "work").created(ALWAYS),
        await Replay(log, quick / "views", quick / "work").runs([other]),
    ):
        assert {(kind, run_id) for _, kind, run_id in differences(report)} == {("extra", other)}
        assert report.views.rows.differing.total() == count
    # A row that no list shows.
    for key, _ in stored(quick / "views")[INDEX_FAMILY]:
        if run_of(INDEX_FAMILY, key) == other:
            change(quick / "views", INDEX_FAMILY, key, None)
    report = await Replay(log, quick / "views", quick / "work").created(ALWAYS)
    assert (ROWS_FAMILY, "extra", other) in differences(report)
    assert (await Replay(log, quick / "views", quick / "work").runs([runs["chain"]])).same


@SHARED
async def test_only_what_was_created_within_a_time_is_compared(quick: Path, *, shared: bool) -> None:
    clock = Hours()
    log = SimulatedLog(2, clock.seconds, shared=shared)
    runs = await days(log, clock)
    await fold(log, quick / "views")
    key = dict(stored(quick / "views")[ROWS_FAMILY])
    change(quick / "views", ROWS_FAMILY, runs[3][0].encode(), key[runs[3][0].encode()] + b" ")
    for hours, same in (((0, 9), True), ((9, 12), False), ((12, 30), True), ((0, 30), False)):
        since, until = (BEGIN + timedelta(hours=each) for each in hours)
        report = await Replay(log.client(), quick / "views", quick / "work").created(Created(since, until))
        assert report.same is same
        assert report.views.rows.rows[ROWS_FAMILY] == report.decisions.runs == hours[1] - hours[0]


@SHARED
async def test_a_run_that_nobody_knows_is_named(quick: Path, *, shared: bool) -> None:
    log = SimulatedLog(2, shared=shared)
    await folded_log(log, quick / "views")
    unknown = SystemIds(QuickClock()).run_id()
    report = await Replay(log, quick / "views", quick / "work").runs([unknown, "no run"])
    assert (report.views.same, sorted(report.decisions.unknown_runs)) == (True, sorted(["no run", unknown]))
    assert not report.same


async def test_a_time_without_a_time_zone_is_refused(quick: Path) -> None:
    with pytest.raises(ValueError, match="expected a time with a time zone"):
        await Replay(SimulatedLog(), quick / "views", quick / "work").created(Created(datetime(2026, 1, 1)))  # noqa: DTZ001 - what is refused


@pytest.mark.parametrize("planted", [False, True], ids=["same", "differing"])
async def test_an_interrupted_replay_of_a_time_goes_on_while_the_log_and_the_views_do(
    quick: Path, monkeypatch: pytest.MonkeyPatch, *, planted: bool
) -> None:
    monkeypatch.setattr("projections.commit_reader._STRETCH_RECORDS", 3)
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_BYTES_MIN", 2_000)
    log = SimulatedLog(2)
    for _ in range(3):
        await full_log(log.client())
    await fold(log, quick / "views")
    if planted:
        plant_titles(monkeypatch)
    chance = Random(5)
    interruptions = 0
    while True:
        dying = breaking(log)
        dying.reads_left = chance.randint(5, 12) + interruptions
        try:
            report = await Replay(dying, quick / "views", quick / "work").created(ALWAYS)
        except LogError as error:
            assert "planted" in str(error)  # noqa: PT017 - what else it is must not go unnoticed
            interruptions += 1
            if interruptions % 4 == 1 and interruptions < 12:
                await full_log(log.client())
                if interruptions % 8 == 1:
                    await fold(log, quick / "views")
            assert interruptions < 100, "it does not go on"
            continue
        break
    assert interruptions > 5
    assert report.views.same, report.views.rows.differences
    expected = await Replay(log, quick / "views", quick / "again").created(ALWAYS)
    assert essence(report) == essence(expected)
    assert bool(report.decisions.differences) is planted


async def test_nothing_is_decided_twice_when_the_views_catch_up_between_two_parts_of_a_replay(
    quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.commit_reader._STRETCH_RECORDS", 3)
    log = SimulatedLog(1)
    await folded_log(log, quick / "views")
    for _ in range(7):
        await full_log(log.client())
    totals: list[int | None] = []

    @contextmanager
    def stage(title: str, unit: str, total: int | None) -> Iterator[Advance]:
        del unit
        totals.append(total)
        told = 0

        def advance(count: int) -> None:
            nonlocal told
            told += count
            # Far behind where the views end, and not yet at the end of the log.
            if len(totals) <= 2 and told > (40 if len(totals) == 1 else 5):
                raise LogError(f"planted: {title}")

        yield advance

    for _ in range(2):
        with pytest.raises(LogError, match="planted: folding and deciding once more"):
            await Replay(log, quick / "views", quick / "work", stage=stage).created(ALWAYS)
    first, second = totals
    assert first == log.partition(EVENTS, 0).end > 60
    assert second is not None
    assert second <= first - 40
    await fold(log, quick / "views")
    report = await Replay(log, quick / "views", quick / "work", stage=stage).created(ALWAYS)
    assert report.same, report.views.rows.differences
    assert report.views.rows.rows[ROWS_FAMILY] == report.decisions.runs == 40
    assert essence(report) == essence(await Replay(log, quick / "views", quick / "again").created(ALWAYS))


async def test_views_behind_the_log_are_compared_where_they_are(quick: Path) -> None:
    log = SimulatedLog(1)
    runs = await folded_log(log, quick / "views")
    later = await full_log(log)
    report = await Replay(log, quick / "views", quick / "work").created(ALWAYS)
    assert report.same, report.views.rows.differences
    assert (report.views.rows.rows[ROWS_FAMILY], report.decisions.runs) == (5, 10)
    for run_id, rows in ((runs["hanging"], 1), (later["chain"], 0)):
        alone = await Replay(log, quick / "views", quick / "work").runs([run_id])
        assert alone.same, alone.views.rows.differences
        assert alone.views.rows.rows[ROWS_FAMILY] == rows
        assert alone.decisions.runs == 1


async def replays(log: Log, quick: Path, runs: dict[str, str]) -> Sequence[ReplayReport]:
    """Replay a log in every way."""
    return [
        await Replay(log, quick / "views", quick / "work").whole(),
        await Replay(log, quick / "views", quick / "work").created(Created(datetime.now(UTC) - timedelta(minutes=5))),
        await Replay(log, quick / "views", quick / "work").runs(runs.values()),
    ]


async def check_everywhere(log: Log, quick: Path, runs: dict[str, str]) -> None:
    """Find a log and its views the same, and then one row that is not."""
    for report in await replays(log, quick, runs):
        assert report.same, (report.views.rows.differences, report.decisions)
        assert report.views.rows.rows[ROWS_FAMILY] == report.decisions.runs == 5
    change(quick / "views", ENDED, runs["chain"].encode(), None)
    for report in await replays(log, quick, runs):
        assert differences(report) == [(ENDED, "missing", runs["chain"])]


async def test_an_embedded_log_is_replayed_beside_its_writer(quick: Path) -> None:
    log = await EmbeddedLog.open(quick / "log", durability="process")
    beside = await EmbeddedLog.open_reading(quick / "log")
    try:
        runs = await folded_log(log, quick / "views")
        await check_everywhere(beside, quick, runs)
    finally:
        await beside.close()
        await log.close()


async def test_a_log_on_kafka_is_replayed(broker: str, quick: Path) -> None:
    log = await open_kafka(broker, 2)
    try:
        runs = await folded_log(log, quick / "views")
        await check_everywhere(log, quick, runs)
    finally:
        await log.close()


async def test_keys_are_shown_for_what_they_are(quick: Path) -> None:
    log = SimulatedLog(1)
    await full_log(log)
    rows = await fold(log, quick / "views")
    runs = {key.decode() for key, _ in rows[ROWS_FAMILY]}
    for family in (ROWS_FAMILY, INDEX_FAMILY, COMMITS_FAMILY, WORK_FAMILY, ENDED):
        for key, _ in rows[family]:
            run_id = run_of(family, key)
            assert run_id in runs
            assert run_id in key_text(family, key)
    shown = {key_text(INDEX_FAMILY, key).partition(" 20")[0] for key, _ in rows[INDEX_FAMILY]}
    assert {"all", "status Failed", "workflow chain", "workflow status failing Failed", "tag a tag"} <= shown
    assert {"error ValueError", "workflow error failing ValueError"} <= shown
    for hostile in (b"", b"\0", b"all", b"\xff" * 40, b"workflow error\0x"):
        for family in (ROWS_FAMILY, INDEX_FAMILY, COMMITS_FAMILY, WORK_FAMILY, ENDED, "another"):
            run_of(family, hostile)
            assert isinstance(key_text(family, hostile), str)
