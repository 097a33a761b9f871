"""A whole log, folded and decided once more."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import orjson
import pytest

import engine.core.decide as core
import projections.runs
from engine.core.events import Event
from engine.core.plan import PlannedNode
from engine.core.state import RunState
from engine.errors import LogError
from engine.log.partitioner import partition_of
from engine.log.port import EVENTS, WORKFLOWS, LogRecord
from projections import VIEWS, Projector, ViewsError
from projections.ended import FAMILY as ENDED
from projections.position import FAMILY as POSITIONS
from projections.position import position_key
from projections.replay import Replay, RowKind
from projections.replay.replay import Advance
from projections.runs import ROWS_FAMILY
from projections.traces import COMMITS_FAMILY
from tests.decisions.storms import weathered
from tests.projections.counts import COUNTED, WITH_COUNTS
from tests.projections.folding import families, fold, stored
from tests.replay.worlds import breaking, change, differences, essence, folded_log, full_log
from tests.simulation.log import SimulatedLog

_GIVEN = os.environ.get("RUNLINE_REPLAY_SEED")
SEEDS = [int(_GIVEN)] if _GIVEN else list(range(12))


@pytest.fixture
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.commit_reader._STRETCH_RECORDS", 3)
    monkeypatch.setattr("projections.partition_fold.PROJECTION_BATCH_RECORDS", 2)
    monkeypatch.setattr("engine.log.scanning._AT_ONCE", 2)
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_BYTES_MIN", 2_000)


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_storms_leave_behind_is_folded_and_decided_the_same(
    seed: int, quick: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    print(f"RUNLINE_REPLAY_SEED={seed}")
    world = await weathered(seed, monkeypatch)
    log = world.log.client()
    rows = await fold(log, quick / "views")
    report = await Replay(log, quick / "views", quick / "work").whole()
    assert report.same, (report.views.rows.differences, report.decisions)
    # The marks behind the positions are the framework's own, and looked at whenever a store is opened.
    found = {family: sum(not key.startswith(b"~") for key, _ in pairs) for family, pairs in rows.items()}
    assert report.views.rows.rows == {family: count for family, count in found.items() if count}
    assert report.decisions.runs == found[ROWS_FAMILY] > 0
    assert not (quick / "work").exists()


@pytest.mark.parametrize("kind", list(RowKind))
@pytest.mark.parametrize("family", [family for family in families(VIEWS) if family != POSITIONS])
async def test_one_changed_row_of_any_family_is_found_and_named(family: str, kind: RowKind, quick: Path) -> None:
    log = SimulatedLog(2)
    await folded_log(log, quick / "views")
    rows = stored(quick / "views")[family]
    key, value = rows[len(rows) // 2]
    if kind is RowKind.EXTRA:
        key, value = key[:-1] + bytes((key[-1] ^ 0x80,)), value + b"x"
        assert key not in dict(rows)
        change(quick / "views", family, key, value)
    elif kind is RowKind.MISSING:
        change(quick / "views", family, key, None)
    else:
        change(quick / "views", family, key, value[:-1] + b"?")
    report = await Replay(log, quick / "views", quick / "work").whole()
    assert not report.same
    assert report.decisions.same
    assert report.views.rows.differing == {family: 1}
    (found,) = report.views.rows.differences
    assert (found.family, found.key, found.kind) == (family, key, kind)
    assert f"{family}, {found.key_text}: {kind}" in str(found)
    assert (found.run_id is None) == (family == "workflows.rows")


async def test_a_changed_position_is_found(quick: Path) -> None:
    log = SimulatedLog(2)
    await folded_log(log, quick / "views")
    key = position_key(EVENTS, 1)
    value = orjson.loads(dict(stored(quick / "views")[POSITIONS])[key])
    change(quick / "views", POSITIONS, key, orjson.dumps(value | {"digest": "0" * 64}))
    report = await Replay(log, quick / "views", quick / "work").whole()
    assert differences(report) == [(POSITIONS, "different", None)]
    assert "positions, events/000001: different from byte" in str(report.views.rows.differences[0])


async def test_many_changed_rows_are_all_counted_and_the_first_are_named(
    quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.replay.rows.REPLAY_DIFFERENCES_MAX", 3)
    # Pages that end between two rows everywhere.
    monkeypatch.setattr("projections.replay.rows.REPLAY_PAGE_ROWS", 2)
    log = SimulatedLog(1)
    runs = await folded_log(log, quick / "views")
    encode = projections.runs._encode

    def changed(state: RunState) -> bytes:
        return encode(state).replace(b'"traces"', b'"steps"')

    monkeypatch.setattr("projections.runs._encode", changed)
    report = await Replay(log, quick / "views", quick / "work").whole()
    assert report.views.rows.differing == {ROWS_FAMILY: len(runs)}
    assert differences(report) == [(ROWS_FAMILY, "different", run_id) for run_id in sorted(runs.values())[:3]]
    assert "the views have" in str(report.views.rows.differences[0])


@pytest.mark.parametrize("limit", [1, 60, 4_000_000])
async def test_pages_are_cut_by_bytes_too(limit: int, quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.replay.rows.REPLAY_PAGE_BYTES", limit)
    log = SimulatedLog(1)
    await folded_log(log, quick / "views")
    rows = stored(quick / "views")[COMMITS_FAMILY]
    change(quick / "views", COMMITS_FAMILY, rows[0][0], None)
    change(quick / "views", COMMITS_FAMILY, rows[-1][0], b"")
    change(quick / "views", COMMITS_FAMILY, rows[-1][0] + b"\0", b"")
    report = await Replay(log, quick / "views", quick / "work").whole()
    assert [each.kind.value for each in report.views.rows.differences] == ["missing", "different", "extra"]
    assert report.views.rows.rows[COMMITS_FAMILY] == len(rows) + 1


async def test_another_decision_is_found_with_the_run_and_the_event(
    quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SimulatedLog(1)
    runs = await folded_log(log, quick / "views")
    plant_titles(monkeypatch)
    report = await Replay(log, quick / "views", quick / "work").whole()
    assert report.views.same
    assert not report.same
    assert {each.run_id for each in report.decisions.differences} == {runs[n] for n in ("chain", "failing", "hanging")}
    assert {each.place for each in report.decisions.differences} == {"title"}


@pytest.mark.usefixtures("_small_steps")
@pytest.mark.parametrize("planted", [False, True], ids=["same", "differing"])
async def test_a_replay_interrupted_again_and_again_finds_the_same(
    quick: Path, monkeypatch: pytest.MonkeyPatch, *, planted: bool
) -> None:
    log = SimulatedLog(3)
    for _ in range(4):
        await full_log(log.client())
    await fold(log, quick / "views")
    if planted:
        key, _ = stored(quick / "views")[ENDED][0]
        change(quick / "views", ENDED, key, None)
        plant_titles(monkeypatch)
    expected = await Replay(log.client(), quick / "views", quick / "work").whole()
    assert expected.same is not planted
    random = Random(11)
    interruptions = 0
    while True:
        dying = breaking(log)
        dying.reads_left = random.randint(10, 30) + 4 * interruptions
        try:
            report = await Replay(dying, quick / "views", quick / "work").whole()
        except LogError as error:
            assert "planted" in str(error)  # noqa: PT017 - what else it is must not go unnoticed
            interruptions += 1
            assert interruptions < 100, "it does not go on"
            continue
        break
    assert interruptions > 3
    assert essence(report) == essence(expected)
    assert not (quick / "work").exists()


@pytest.mark.usefixtures("_small_steps")
async def test_what_was_done_before_an_interruption_is_not_done_again(quick: Path) -> None:
    log = SimulatedLog(1)
    for _ in range(4):
        await full_log(log.client())
    await fold(log, quick / "views")
    told: list[tuple[str, int | None, list[int]]] = []

    @contextmanager
    def stage(title: str, unit: str, total: int | None) -> Iterator[Advance]:
        del unit
        steps: list[int] = []
        told.append((title, total, steps))
        yield steps.append

    dying = breaking(log)
    dying.reads_left = 70
    with pytest.raises(LogError, match="planted"):
        await Replay(dying, quick / "views", quick / "work", stage=stage).whole()
    (_, folded, _), _, (title, total, steps) = told
    assert title == "deciding once more"
    assert folded is not None
    assert total == log.partition(EVENTS, 0).end
    done = sum(steps)
    assert 0 < done < total
    told.clear()
    assert (await Replay(log, quick / "views", quick / "work", stage=stage).whole()).same
    assert told[0][:2] == ("folding once more", folded)
    # All of it at once: what was folded before.
    assert [count for count in told[0][2] if count] == [folded - 3, 3]
    assert (told[2][:2], sum(told[2][2])) == (("deciding once more", total - done), total - done)


@pytest.mark.usefixtures("_small_steps")
async def test_views_that_moved_on_meanwhile_are_compared_where_they_are_then(quick: Path) -> None:
    log = SimulatedLog(1)
    await folded_log(log, quick / "views")
    await interrupted(log, quick, 12)
    await full_log(log.client())
    await fold(log, quick / "views")
    report = await Replay(log, quick / "views", quick / "work").whole()
    assert report.same, report.views.rows.differences
    assert report.views.rows.rows[ROWS_FAMILY] == report.decisions.runs == 10


@pytest.mark.usefixtures("_small_steps")
async def test_a_scratch_store_that_is_ahead_of_the_views_or_damaged_is_begun_anew(quick: Path) -> None:
    log = SimulatedLog(1)
    await folded_log(log, quick / "older")
    await full_log(log.client())
    await fold(log, quick / "newer")
    for views, reads in (("newer", 25), ("older", 10)):
        (quick / "views").unlink(missing_ok=True)
        (quick / "views").symlink_to(quick / views)
        await interrupted(log, quick, reads)
    report = await Replay(log, quick / "views", quick / "work").whole()
    assert report.same, report.views.rows.differences
    assert report.views.rows.rows[ROWS_FAMILY] == 5
    await interrupted(log, quick, 10)
    (quick / "work" / "replay" / "CURRENT").write_text("nonsense")
    assert (await Replay(log, quick / "views", quick / "work").whole()).same


async def interrupted(log: SimulatedLog, quick: Path, reads: int) -> None:
    """Begin a replay that does not come to its end."""
    dying = breaking(log)
    dying.reads_left = reads
    with pytest.raises(LogError, match="planted"):
        await Replay(dying, quick / "views", quick / "work").whole()
    assert (quick / "work" / "replay").is_dir()


async def test_the_log_may_grow_and_the_views_be_folded_meanwhile(quick: Path) -> None:
    log = SimulatedLog(2)
    await full_log(log.client())
    async with Projector(log.client(), quick / "views") as projector:
        await projector.caught_up()
        grown = False

        class Growing(SimulatedLog):
            async def topic_id(self, topic: str) -> str:
                nonlocal grown
                if not grown:
                    grown = True
                    await full_log(log.client())
                    await projector.caught_up()
                return await super().topic_id(topic)

        growing = Growing(2)
        growing.__dict__.update(log.__dict__)
        report = await Replay(growing, quick / "views", quick / "work").whole()
    assert grown
    assert report.same, report.views.rows.differences
    assert report.views.rows.rows[ROWS_FAMILY] == 5
    assert report.decisions.runs == 10


async def test_views_that_cannot_be_compared_are_named_and_decisions_are_compared_all_the_same(quick: Path) -> None:
    log = SimulatedLog(1)
    await full_log(log)
    none = await Replay(log, quick / "views", quick / "work").whole()
    assert none.views.why_not == f"there are no views in {quick / 'views'}."
    assert (none.same, none.decisions.runs) == (True, 5)
    await fold(log, quick / "views", VIEWS[:1])
    others = await Replay(log, quick / "views", quick / "work").whole()
    assert others.views.why_not.endswith("were folded by other versions of the projections: runs 1.")
    assert others.views.rows.rows == {}


async def test_views_of_another_log_are_refused(quick: Path) -> None:
    await folded_log(SimulatedLog(1), quick / "views")
    with pytest.raises(ViewsError, match="those of another log"):
        await Replay(SimulatedLog(1), quick / "views", quick / "work").whole()


async def test_a_log_that_lost_records_is_named_and_its_other_partitions_are_compared(quick: Path) -> None:
    log = SimulatedLog(2)
    runs = await folded_log(log, quick / "views")
    expected = await Replay(log, quick / "views", quick / "work").whole()
    partition = log.partition(EVENTS, 1)
    partition.records = partition.records[:-1]
    report = await Replay(log, quick / "views", quick / "work").whole()
    assert not report.same
    assert not report.views.same
    (trouble,) = [each for each in report.views.partitions if each.trouble]
    assert trouble.name == "events/1"
    assert f"up to which the views are folded, but it ends at {partition.end}" in trouble.trouble
    assert report.views.rows.differing == {}
    # Where the runs are, their ids have drawn.
    elsewhere = sum(partition_of(run_id, 2) == 0 for run_id in runs.values())
    assert report.views.rows.rows.get(ROWS_FAMILY, 0) == elsewhere
    assert expected.views.rows.rows[ROWS_FAMILY] == len(runs)


async def test_a_projection_that_fails_today_is_named(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = SimulatedLog(1)
    await folded_log(log, quick / "views")
    monkeypatch.setattr("projections.runs._encode", failing)
    report = await Replay(log, quick / "views", quick / "work").whole()
    (trouble,) = [each for each in report.views.partitions if each.trouble]
    assert "expected the projection runs to fold" in trouble.trouble
    assert set(report.views.rows.rows) == {POSITIONS, "workflows.rows"}


async def test_views_that_stopped_are_compared_up_to_there(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = SimulatedLog(1)
    await folded_log(log, quick / "views")
    await full_log(log)
    with monkeypatch.context() as patch:
        patch.setattr("projections.runs._encode", failing)
        async with Projector(log, quick / "views") as projector:
            while not projector.trouble:
                await projector.moved()
    report = await Replay(log, quick / "views", quick / "work").whole()
    assert report.same, report.views.rows.differences
    (stopped,) = [each for each in report.views.partitions if each.position.stopped is not None]
    assert stopped.name == "events/0"
    assert report.views.rows.rows[ROWS_FAMILY] == 5
    assert report.decisions.runs == 10


@pytest.mark.parametrize("gone", [0, 2], ids=["in the middle", "the last one"])
async def test_a_workflow_record_that_compaction_took_away_makes_no_difference(gone: int, quick: Path) -> None:
    log = CompactedLog(1)
    await folded_log(log, quick / "views")
    partition = log.partition(WORKFLOWS, 0)
    # Published once more behind the position of the views.
    partition.records.append(partition.records[gone]._replace(offset=partition.end))
    log.gone.add(gone)
    report = await Replay(log, quick / "views", quick / "work").whole()
    assert report.same, report.views.rows.differences
    assert report.views.rows.rows["workflows.rows"] == 2
    key, value = stored(quick / "views")["workflows.rows"][1]
    change(quick / "views", "workflows.rows", key, value.replace(b'"offset":1', b'"offset":9'))
    assert (await Replay(log, quick / "views", quick / "work").whole()).views.rows.differing == {"workflows.rows": 1}


class CompactedLog(SimulatedLog):
    """A log whose `workflows` lack records, as they may on Kafka when newer ones have their keys."""

    def __init__(self, partitions: int) -> None:
        super().__init__(partitions)
        self.gone: set[int] = set()

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        """Leave records out."""
        records = await super().read(topic, partition, offset, count)
        return [record for record in records if topic != WORKFLOWS or record.offset not in self.gone]


async def test_a_users_own_projections_are_compared_when_they_are_given(quick: Path) -> None:
    log = SimulatedLog(1)
    await full_log(log)
    await fold(log, quick / "views", WITH_COUNTS)
    replay = Replay(log, quick / "views", quick / "work", projections=WITH_COUNTS)
    report = await replay.whole()
    assert report.same
    assert set(COUNTED) <= report.views.rows.rows.keys()
    without = await Replay(log, quick / "views", quick / "work").whole()
    assert without.same
    assert not set(COUNTED) & without.views.rows.rows.keys()


def plant_titles(patch: pytest.MonkeyPatch) -> None:
    """Let nodes begin with other titles, from now on."""
    started = core._Draft._started

    def changed(self: core._Draft, node: PlannedNode, number: int, attempt: int, *, work: bool) -> Event:
        event = started(self, node, number, attempt, work=work)
        assert event["type"] == "trace.started"
        return {**event, "title": "another"} if node.id == "a" else event

    patch.setattr(core._Draft, "_started", changed)


def failing(state: RunState) -> bytes:
    """Encode no run."""
    raise ValueError(state.run_id)
