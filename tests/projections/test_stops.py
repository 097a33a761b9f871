"""What cannot be folded stops its partition by name; others go on, the view says so, and what is mended goes on."""

import asyncio
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from confluent_kafka.admin import AdminClient

from engine import Run
from engine.core import evolve
from engine.core.events import Event
from engine.core.state import RunState
from engine.errors import LogError
from engine.history import read_history
from engine.log.embedded import EmbeddedLog
from engine.log.kafka import KafkaLocation, KafkaLog
from engine.log.kafka.topics import apply_topics
from engine.log.partitioner import partition_of
from engine.log.port import EVENTS, WORKFLOWS, Ends, LogRecord, Record
from projections import (
    VIEWS,
    Position,
    Projector,
    Rows,
    RunFilter,
    StopReason,
    Stretch,
    Views,
    ViewsBehindError,
    ViewsError,
)
from tests.kafka.foreign import Foreign
from tests.projections.counts import Counts
from tests.projections.folding import fold, folded, small_batches, stored
from tests.projections.forging import SECONDS, created, forge, forge_runs, make_runs, moved_until, run_in
from tests.simulation.log import SimulatedLog, SimulatedReader
from tests.support.engines import until
from tests.support.logs import new_location

PARTITIONS = 2
Mend = Callable[[], None]
Break = Callable[[SimulatedLog, int, pytest.MonkeyPatch], Mend]


def lose_end(log: SimulatedLog, position: int, _: pytest.MonkeyPatch) -> Mend:
    place = log.partition(EVENTS, 0)
    lost = place.from_offset(position - 2, 10_000)
    log.truncate_from(EVENTS, 0, position - 2)
    return lambda: place.records.extend(lost)


def lose_beginning(log: SimulatedLog, position: int, _: pytest.MonkeyPatch) -> Mend:
    place = log.partition(EVENTS, 0)
    lost = place.from_offset(0, position + 2)
    log.truncate_before(EVENTS, 0, position + 2)

    def mend() -> None:
        place.start, place.records[:0] = 0, lost

    return mend


def lose_what_was_folded(log: SimulatedLog, position: int, _: pytest.MonkeyPatch) -> Mend:
    """The next record is there, but nothing that says in which state it finds its run."""
    place = log.partition(EVENTS, 0)
    lost = place.from_offset(0, position - 1)
    log.truncate_before(EVENTS, 0, position - 1)

    def mend() -> None:
        place.start, place.records[:0] = 0, lost

    return mend


def write_otherwise(log: SimulatedLog, position: int, _: pytest.MonkeyPatch) -> Mend:
    place = log.partition(EVENTS, 0)
    last = place.records[position - 1]
    place.records[position - 1] = last._replace(value=last.value + b" ")

    def mend() -> None:
        place.records[position - 1] = last

    return mend


def fence_otherwise(log: SimulatedLog, position: int, _: pytest.MonkeyPatch) -> Mend:
    """The last record is the same, but not what stands before it."""
    place = log.partition(EVENTS, 0)
    fence = place.records[0]
    assert fence.headers["ce_type"] == "runline.fence"
    assert position > 1
    place.records[0] = fence._replace(headers={**fence.headers, "nonce": "another"})

    def mend() -> None:
        place.records[0] = fence

    return mend


def make_anew(log: SimulatedLog, _: int, __: pytest.MonkeyPatch) -> Mend:
    before, records = log._topic_ids[EVENTS], {number: log.partition(EVENTS, number).records[:] for number in range(2)}
    log.recreate(EVENTS)

    def mend() -> None:
        log._topic_ids[EVENTS] = before
        for number, each in records.items():
            log.partition(EVENTS, number).records[:] = each

    return mend


def come_from_future(log: SimulatedLog, _: int, patch: pytest.MonkeyPatch) -> Mend:
    forge(log, run_in(0, PARTITIONS), [created(), {"type": "run.flew"}])
    forge(log, run_in(0, PARTITIONS), [created()])
    known = evolve.step

    def newer(state: RunState | None, event: Event, run_id: str, time: str) -> RunState:
        flew = str(event["type"]) == "run.flew"
        return state if flew and state is not None else known(state, event, run_id, time)

    return lambda: patch.setattr(evolve, "step", newer)


BREAKS: dict[Break, StopReason] = {
    lose_end: StopReason.LOG_TRUNCATED,
    lose_beginning: StopReason.PREFIX_LOST,
    lose_what_was_folded: StopReason.PREFIX_LOST,
    write_otherwise: StopReason.HISTORY_DIFFERS,
    fence_otherwise: StopReason.HISTORY_DIFFERS,
    make_anew: StopReason.TOPIC_RECREATED,
    come_from_future: StopReason.EVENT_FROM_FUTURE,
}


def stops(positions: Sequence[Position]) -> dict[tuple[str, int], StopReason]:
    return {(each.topic, each.partition): each.stopped for each in positions if each.stopped is not None}


@pytest.mark.parametrize("breaks", BREAKS, ids=lambda breaks: breaks.__name__)
async def test_a_partition_stops_by_name_and_others_go_on_until_the_stop_is_over(
    breaks: Break, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reason = BREAKS[breaks]
    log = SimulatedLog(PARTITIONS)
    await make_runs(log, 10)
    async with folded(log, tmp_path) as projector:
        position = next(each.offset for each in projector.positions if (each.topic, each.partition) == (EVENTS, 0))
    runs = await make_runs(log, 10)
    first = next(run for run in runs if partition_of(run, PARTITIONS) == 0)
    other = next(run for run in runs if partition_of(run, PARTITIONS) == 1)
    mend = breaks(log, position, monkeypatch)
    expected = {(EVENTS, 0): reason} | ({(EVENTS, 1): reason} if breaks is make_anew else {})
    for _ in range(2):
        caplog.clear()
        async with folded(log, tmp_path) as projector:
            views = Views.of(projector)
            assert stops(projector.positions) == stops(await views.positions()) == expected
            assert projector.trouble
            assert any(
                record.levelname == "ERROR" and "events/0 is folded no" in record.message for record in caplog.records
            )
            message = next(each.message for each in await views.positions() if each.stopped is not None)
            with pytest.raises(ViewsBehindError) as refusal:
                await views.reach_offset(first, 10_000)
            assert message in str(refusal.value)
            with pytest.raises(ViewsBehindError):
                await views.get_run(first, as_fresh_as=replace(await a_run(views), run_id=first))
            if breaks is not make_anew:
                assert (await views.get_run(other)).run_id == other
    mend()
    async with folded(log, tmp_path) as projector:
        assert stops(projector.positions) == {}
        assert projector.trouble == ""
        assert (await Views.of(projector).get_run(first)).run_id == first
    assert stored(tmp_path) == await fold(log, tmp_path / "from zero")


async def a_run(views: Views) -> Run:
    """Return any run."""
    page = await views.list_runs(limit=1)
    return await views.get_run(page.items[0].run_id)


async def test_a_log_that_breaks_while_it_is_followed_stops_too(tmp_path: Path) -> None:
    for breaks in (lose_end, make_anew):
        log = SimulatedLog(PARTITIONS)
        await make_runs(log, 10)
        async with folded(log, tmp_path / breaks.__name__) as projector:
            position = next(each.offset for each in projector.positions if (each.topic, each.partition) == (EVENTS, 0))
            breaks(log, position, pytest.MonkeyPatch())
            log.partition(EVENTS, 0).wake()
            await moved_until(projector, lambda: (EVENTS, 0) in stops(projector.positions))
            assert stops(projector.positions)[EVENTS, 0] == BREAKS[breaks]


class AwayLog(SimulatedLog):
    """A log that cannot be read for a while."""

    failures = 0

    async def topic_id(self, topic: str) -> str:
        if self.failures and topic == EVENTS:
            self.failures -= 1
            raise LogError("nobody is there")
        return await super().topic_id(topic)


class Replaced(SimulatedLog):
    """A client at one of whose looks at the events an election takes away their end, and others come in its place."""

    def __init__(self, log: SimulatedLog, look: int, kept: int) -> None:
        super().__init__(log.partitions, log.clock)
        self._share_with(log)
        self._left = look
        self._kept = kept

    def look(self) -> None:
        self._left -= 1
        if self._left == 0:
            replace_end(self, self._kept)

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        found = await super().read(topic, partition, offset, count)
        if topic == EVENTS:
            self.look()
        return found

    async def ends(self, topic: str, partition: int) -> Ends:
        found = await super().ends(topic, partition)
        if topic == EVENTS:
            self.look()
        return found

    def reader(self, topic: str, partition: int, offset: int) -> SimulatedReader:
        if topic == EVENTS:
            self.look()
        return super().reader(topic, partition, offset)

    @property
    def replaced(self) -> bool:
        return self._left <= 0


def replace_end(log: SimulatedLog, kept: int) -> None:
    """Let other records stand from an offset on, more than there were."""
    count = log.partition(EVENTS, 0).end - kept
    log.truncate_from(EVENTS, 0, kept)
    forge_runs(log, count + 1, [created()])


async def begin_while_replaced(path: Path, look: int) -> bool:
    """Begin where others stand at one of the looks; return whether the projector looked so often, and then stopped."""
    log = SimulatedLog()
    await make_runs(log, 2)
    await fold(log, path)
    folded_to = log.partition(EVENTS, 0).end
    await make_runs(log, 2)
    client = Replaced(log, look, folded_to - 2)
    reading = log.partition(EVENTS, 0).readers
    async with Projector(client, path) as projector:
        await until(lambda: client.replaced or bool(reading))
        if client.replaced:
            await moved_until(projector, lambda: (EVENTS, 0) in stops(projector.positions))
            assert stops(projector.positions)[EVENTS, 0] == StopReason.HISTORY_DIFFERS
        return client.replaced


async def test_a_log_that_is_replaced_at_whatever_moment_a_projector_begins_stops(tmp_path: Path) -> None:
    looks = 0
    while await begin_while_replaced(tmp_path / str(looks), looks + 1):
        looks += 1
    assert looks > 5


async def test_a_log_that_is_replaced_while_a_projector_waits_for_its_next_record_stops(tmp_path: Path) -> None:
    log = SimulatedLog()
    await make_runs(log, 2)
    await fold(log, tmp_path)
    async with asyncio.timeout(SECONDS), Projector(log, tmp_path) as projector:
        await until(lambda: bool(log.partition(EVENTS, 0).readers))
        replace_end(log, log.partition(EVENTS, 0).end - 2)
        await moved_until(projector, lambda: (EVENTS, 0) in stops(projector.positions))
        assert stops(projector.positions)[EVENTS, 0] == StopReason.HISTORY_DIFFERS


async def test_a_rebuild_that_had_begun_before_records_were_lost_begins_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    small_batches(monkeypatch, 1)
    log = SimulatedLog()
    await make_runs(log, 4)
    await fold(log, tmp_path / "views")
    end = log.partition(EVENTS, 0).end
    async with Projector(log, tmp_path / "views", anew=True) as projector:
        await moved_until(projector, lambda: any(each.topic == EVENTS and each.offset for each in projector.positions))
        begun = next(each.offset for each in projector.positions if each.topic == EVENTS)
        assert begun < end - 1
    replace_end(log, begun - 1)
    async with asyncio.timeout(SECONDS), folded(log, tmp_path / "views", anew=True) as projector:
        assert not stops(projector.positions)
    assert "All is folded anew" in caplog.text
    assert stored(tmp_path / "views") == await fold(log, tmp_path / "from zero")


async def test_a_log_that_is_away_is_waited_for_and_that_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("projections.partition_fold.FENCE_RETRY_SECONDS_MAX", 0.001)
    monkeypatch.setattr("projections.partition_fold.FENCE_RETRY_SECONDS_MIN", 0.001)
    log = AwayLog()
    await make_runs(log, 5)
    log.failures = 20
    async with Projector(log, tmp_path) as projector:
        await moved_until(projector, lambda: projector.trouble == "nobody is there")
        await projector.caught_up()
        assert log.failures == 0
        assert projector.trouble == ""
        assert len((await Views.of(projector).list_runs()).items) == 5
    assert caplog.text.count("events/0 cannot be folded now: nobody is there") == 1


async def test_workflows_that_lost_their_beginning_stop_and_runs_go_on(tmp_path: Path) -> None:
    log = SimulatedLog(PARTITIONS)
    await make_runs(log, 5)
    log.truncate_before(WORKFLOWS, 0, 1)
    async with folded(log, tmp_path) as projector:
        assert stops(projector.positions) == {(WORKFLOWS, 0): StopReason.PREFIX_LOST}
        assert (await Views.of(projector).list_runs()).items


async def test_when_all_partitions_stop_what_was_folded_can_still_be_asked(tmp_path: Path) -> None:
    log = SimulatedLog()
    runs = await make_runs(log, 5)
    await fold(log, tmp_path)
    for topic in (EVENTS, WORKFLOWS):
        log.recreate(topic)
    async with folded(log, tmp_path) as projector:
        views = Views.of(projector)
        assert len(stops(await views.positions())) == 2
        assert {run.run_id for run in (await views.list_runs()).items} == set(runs)
        assert await views.list_workflows()


async def test_an_older_version_does_not_go_on_behind_what_only_a_newer_one_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SimulatedLog()
    await make_runs(log, 3)
    run_id = run_in(0, 1)
    mend = come_from_future(log, 0, monkeypatch)
    mend()
    forge(log, run_id, [created()])
    await fold(log, tmp_path)
    monkeypatch.undo()
    async with folded(log, tmp_path) as projector:
        assert stops(projector.positions) == {(EVENTS, 0): StopReason.EVENT_FROM_FUTURE}


class Faulty(Counts):
    """A projection with a fault: it cannot fold the runs of one workflow."""

    name: ClassVar[str] = "faulty"

    def fold(self, records: Sequence[LogRecord], stretches: Iterable[Stretch], rows: Rows) -> None:
        stretches = list(stretches)
        super().fold(records, stretches, rows)
        for stretch in stretches:
            assert stretch.after.workflow != "bad", "a planted fault"


async def test_a_projection_with_a_fault_stops_the_partition_that_meets_it_and_keeps_nothing_of_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    small_batches(monkeypatch, 3)
    log = SimulatedLog(PARTITIONS)
    await make_runs(log, 10)
    bad = forge(log, run_in(0, PARTITIONS), [created("bad")])
    forge(log, run_in(0, PARTITIONS), [created()])
    async with folded(log, tmp_path, (*VIEWS, Faulty())) as projector:
        assert stops(projector.positions) == {(EVENTS, 0): StopReason.PROJECTION_FAILED}
        assert bad - 3 <= next(each.offset for each in projector.positions if each.stopped) <= bad
        assert not (await Views.of(projector).list_runs(RunFilter(workflow="bad"))).items
        assert "a planted fault" in caplog.text
    monkeypatch.setattr(Faulty, "fold", Counts.fold)
    async with folded(log, tmp_path, (*VIEWS, Faulty())) as projector:
        assert stops(projector.positions) == {}
        assert len((await Views.of(projector).list_runs(RunFilter(workflow="bad"))).items) == 1


async def test_a_commit_whose_time_is_none_stops_nothing_else(tmp_path: Path) -> None:
    log = SimulatedLog(PARTITIONS)
    runs = await make_runs(log, 10)
    forge(log, run_in(0, PARTITIONS), [created()], time="yesterday")
    async with folded(log, tmp_path) as projector:
        assert stops(projector.positions) == {(EVENTS, 0): StopReason.PROJECTION_FAILED}
        other = next(run for run in runs if partition_of(run, PARTITIONS) == 1)
        assert (await Views.of(projector).get_run(other)).run_id == other


async def test_what_is_no_workflow_is_passed_over_and_a_time_that_is_none_is_left_out(tmp_path: Path) -> None:
    log = SimulatedLog()
    await make_runs(log, 1)
    published = log.partition(WORKFLOWS, 0).records[0]
    for value in (b"", b"{}", b"\xff", b"[" * 100_000):
        log.land(WORKFLOWS, 0, Record("k", value, {}))
    for time in ("", "yesterday", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z"):
        log.land(WORKFLOWS, 0, Record("k", published.value, {"ce_time": time}))
        async with folded(log, tmp_path) as projector:
            (found,) = [each for each in await Views.of(projector).list_workflows() if each.workflow_id == "w"]
            assert (found.published is None) == (time != "2026-01-01T00:00:00Z")
            assert found.offset == log.partition(WORKFLOWS, 0).end - 1


async def test_an_epoch_of_any_text_leaves_the_histories_readable(tmp_path: Path) -> None:
    log = SimulatedLog()
    await make_runs(log, 1)
    for nonce in ("a\nb", "\0", "é" * 300, ""):
        headers = {"ce_type": "runline.fence", "nonce": nonce, "checkpoint": "none"}
        log.land(EVENTS, 0, Record("fence", b"{}", headers))
        run_id = run_in(0, 1)
        forge(log, run_id, [created()])
        async with folded(log, tmp_path) as projector:
            assert Views.of(projector).get_history(run_id) == await read_history(log, run_id)


async def test_another_logs_views_stop_and_say_so(tmp_path: Path) -> None:
    one, other = await EmbeddedLog.open(tmp_path / "one"), await EmbeddedLog.open(tmp_path / "other")
    runs = await make_runs(one, 5)
    await make_runs(other, 5)
    await fold(one, tmp_path / "views")
    async with folded(other, tmp_path / "views") as projector:
        both = {(EVENTS, 0): StopReason.TOPIC_RECREATED, (WORKFLOWS, 0): StopReason.TOPIC_RECREATED}
        assert stops(projector.positions) == both
        assert {run.run_id for run in (await Views.of(projector).list_runs()).items} == set(runs)
    async with Projector(other, tmp_path / "views", anew=True) as projector:
        await projector.caught_up()
        assert stops(projector.positions) == {}
    assert stored(tmp_path / "views") == await fold(other, tmp_path / "from zero")
    await one.close()
    await other.close()


async def test_a_log_that_was_restored_from_a_copy_and_went_another_way_stops(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path / "log")
    await make_runs(log, 5)
    await log.close()
    shutil.copytree(tmp_path / "log", tmp_path / "copy")
    log = await EmbeddedLog.open(tmp_path / "log")
    await make_runs(log, 5)
    await fold(log, tmp_path / "views")
    await log.close()
    copy = await EmbeddedLog.open(tmp_path / "copy")
    async with folded(copy, tmp_path / "views") as projector:
        assert stops(projector.positions)[EVENTS, 0] == StopReason.LOG_TRUNCATED
    await make_runs(copy, 10)
    async with folded(copy, tmp_path / "views") as projector:
        assert stops(projector.positions)[EVENTS, 0] == StopReason.HISTORY_DIFFERS
    await copy.close()


async def test_a_directory_that_is_replaced_while_its_log_is_followed_stops(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path / "log")
    await make_runs(log, 5)
    await log.close()
    following = await EmbeddedLog.open_reading(tmp_path / "log")
    async with folded(following, tmp_path / "views") as projector:
        (tmp_path / "log").rename(tmp_path / "gone")
        other = await EmbeddedLog.open(tmp_path / "log")
        await make_runs(other, 1)
        await moved_until(projector, lambda: len(stops(projector.positions)) == 2)
        assert set(stops(projector.positions).values()) == {StopReason.TOPIC_RECREATED}
    await following.close()
    await other.close()


async def test_views_of_a_log_without_its_beginning_are_not_replaced(tmp_path: Path) -> None:
    log = SimulatedLog()
    runs = await make_runs(log, 5)
    before = await fold(log, tmp_path)
    log.truncate_before(EVENTS, 0, 3)
    with pytest.raises(ViewsError, match="hold what is gone from the log"):
        async with Projector(log, tmp_path, anew=True):
            pass
    assert stored(tmp_path) == before
    async with folded(log, tmp_path) as projector:
        assert {run.run_id for run in (await Views.of(projector).list_runs()).items} == set(runs)


def make_topic_again(location: KafkaLocation, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": location.brokers})
    (deleted,) = admin.delete_topics([location.topic(topic)], operation_timeout=SECONDS).values()
    deleted.result(SECONDS)
    apply_topics(location, {}, 1)


async def test_a_topic_that_is_deleted_and_made_again_on_kafka_stops_while_others_go_on(
    broker: str, tmp_path: Path
) -> None:
    location = await new_location(broker)
    log = await KafkaLog.open(location)
    runs = await make_runs(log, 3)
    await fold(log, tmp_path)
    await log.close()
    with Foreign(location) as foreign:
        await asyncio.to_thread(make_topic_again, location, EVENTS)
        log = await KafkaLog.open(location)
        async with folded(log, tmp_path) as projector:
            assert stops(projector.positions) == {(EVENTS, 0): StopReason.TOPIC_RECREATED}
            views = Views.of(projector)
            assert {run.run_id for run in (await views.list_runs()).items} == set(runs)
            (published,) = [each for each in await views.list_workflows() if each.workflow_id == "w"]
            record = published.definition.canonical()
            await asyncio.to_thread(foreign.put, WORKFLOWS, record, key=f"w/{published.version}")
            await projector.caught_up()
            assert max(each.offset for each in await views.list_workflows()) > published.offset
        await log.close()
