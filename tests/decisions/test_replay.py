"""Which runs of a log are decided once more."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine import EngineService
from engine.errors import LogDamagedError
from engine.log.embedded import EmbeddedLog
from engine.log.kafka import KafkaLog
from engine.log.port import EVENTS, Ends, Log, LogRecord
from engine.ports import SystemIds
from projections.decisions import DecisionReport, replay_decisions
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock
from tests.support.logs import new_location
from tests.support.workflows import END, chain, code, registry

SECONDS = 60
BEGIN = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Hours:
    """A clock that stands still until it is moved, for the engine and for its log.

    Attributes:
        time: The time.
    """

    def __init__(self) -> None:
        self.time = BEGIN

    def seconds(self) -> float:
        """Return the time in seconds since 1970."""
        return self.time.timestamp()

    def now(self) -> str:
        """Return the time as RFC 3339 text."""
        return self.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def milliseconds(self) -> int:
        """Return the time in milliseconds since 1970."""
        return int(self.seconds() * 1000)

    async def sleep(self, seconds: float) -> None:
        """Wait for nothing."""
        await QuickClock().sleep(seconds)


class CountingLog(SimulatedLog):
    """Counts the records of events that are read by offset."""

    count = 0

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        records = await super().read(topic, partition, offset, count)
        self.count += len(records) if topic == EVENTS else 0
        return records


def opened(log: Log, clock: Hours | QuickClock) -> EngineService:
    return EngineService.open(log, registry(), clock=clock, ids=SystemIds(clock))


async def days(log: SimulatedLog, clock: Hours, count: int = 10) -> list[list[str]]:
    """Finish three runs every three hours; the last of them waits to be started until the end. Return their ids."""
    runs: list[list[str]] = []
    async with opened(log, clock) as service:
        await service.publish_workflow(chain(code("a", "add"), END))
        for _ in range(count):
            runs.append([(await service.run_workflow("chain", timeout=SECONDS)).run_id for _ in range(2)])
            runs[-1].append(await service.create_workflow_run("chain"))
            clock.time += timedelta(hours=3)
        for day in runs:
            await service.start_workflow_run_and_wait(day[-1], timeout=SECONDS)
    return runs


@pytest.mark.parametrize("shared", [False, True], ids=["indexed", "not indexed"])
async def test_runs_are_chosen_by_the_time_they_were_created_and_looked_at_to_their_ends(*, shared: bool) -> None:
    clock = Hours()
    log = SimulatedLog(2, clock.seconds, shared=shared)
    await days(log, clock)
    whole = await replay_decisions(log.client())
    assert (whole.same, whole.runs, whole.commits) == (True, 30, 70)
    since, until = BEGIN + timedelta(hours=6), BEGIN + timedelta(hours=12)
    for given, count in (((since, None), 24), ((None, until), 12), ((since, until), 6), ((until, until), 0)):
        found = await replay_decisions(log.client(), since=given[0], until=given[1])
        assert (found.same, found.runs, found.commits) == (True, count, 7 * count // 3)


async def test_no_more_of_the_log_is_read_than_the_times_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.commit_reader._STRETCH_RECORDS", 100)
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_BYTES_MIN", 5_000)
    clock = Hours()
    log = CountingLog(1, clock.seconds)
    async with opened(log, clock) as service:
        await service.publish_workflow(chain(END))
        for _ in range(100):
            for _ in range(20):
                await service.run_workflow("chain", timeout=SECONDS)
            clock.time += timedelta(hours=3)
    whole = await replay_decisions(log)
    assert (whole.same, whole.runs) == (True, 2_000)
    log.count, read = 0, 0

    def advance(count: int) -> None:
        nonlocal read
        read += count

    since = BEGIN + timedelta(hours=150)
    part = await replay_decisions(log, since=since, until=since + timedelta(hours=3), advance=advance)
    assert (part.same, part.runs) == (True, 20)
    assert 20 <= read <= log.count <= 600
    assert log.partition(EVENTS, 0).end > 2_000


@pytest.mark.parametrize("shared", [False, True], ids=["indexed", "not indexed"])
async def test_single_runs_are_looked_at_and_unknown_ones_are_named(*, shared: bool) -> None:
    clock = Hours()
    log = SimulatedLog(3, clock.seconds, shared=shared)
    runs = await days(log, clock)
    unknown = [SystemIds(clock).run_id(), "no run", SystemIds(clock).run_id()]
    wanted = [runs[0][2], runs[9][0], *unknown, runs[4][1], runs[4][1]]
    report = await replay_decisions(log.client(), runs=wanted)
    assert (report.runs, report.commits, report.differing_runs) == (3, 7, 0)
    assert sorted(report.unknown_runs) == sorted(unknown)
    assert not report.same
    later = await replay_decisions(log.client(), runs=wanted, since=BEGIN + timedelta(hours=12))
    assert later.runs == 2
    none = await replay_decisions(log.client(), runs=[])
    assert (none.runs, none.same) == (0, True)


async def test_the_steps_that_are_told_are_the_records_that_were_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.commit_reader._STRETCH_RECORDS", 300)
    log, clock = SimulatedLog(), QuickClock()
    async with opened(log, clock) as service:
        await service.publish_workflow(chain(code("a", "add"), END))
        for _ in range(400):
            await service.run_workflow("chain", timeout=SECONDS)
    steps: list[int] = []
    report = await replay_decisions(log.client(), advance=steps.append)
    assert report.runs == 400
    assert sum(steps) == log.partition(EVENTS, 0).end
    assert len(steps) == -(-sum(steps) // 300)


@pytest.mark.parametrize("shared", [False, True], ids=["indexed", "not indexed"])
async def test_times_and_ids_from_the_ends_of_time_choose_all_runs_or_none(*, shared: bool) -> None:
    log = SimulatedLog(shared=shared)
    async with opened(log, QuickClock()) as service:
        await service.publish_workflow(chain(END))
        run_id = (await service.run_workflow("chain", timeout=SECONDS)).run_id
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert (await replay_decisions(log, since=first, until=last)).runs == 1
    assert (await replay_decisions(log, since=last)).runs == 0
    assert (await replay_decisions(log, until=first)).runs == 0
    ancient = "00000000-0000-7000-8000-000000000000"
    report = await replay_decisions(log, runs=[ancient, run_id])
    assert (report.runs, report.unknown_runs) == (1, [ancient])


class BusyLog(SimulatedLog):
    """A log that somebody writes to in the moment in which a reader asks where it ends."""

    busy: Callable[[], Awaitable[None]] | None = None

    async def ends(self, topic: str, partition: int) -> Ends:
        busy, self.busy = self.busy, None
        if busy is not None:
            await busy()
        return await super().ends(topic, partition)


async def test_a_version_that_is_published_and_run_while_the_log_is_read_is_known() -> None:
    log = BusyLog()
    async with opened(log, QuickClock()) as service:

        async def busy() -> None:
            await service.publish_workflow(chain(END))
            await service.run_workflow("chain", timeout=SECONDS)

        log.busy = busy
        report = await replay_decisions(log)
    assert (report.same, report.runs, report.skipped) == (True, 1, {})


@pytest.mark.parametrize("name", ["since", "until"])
async def test_a_time_without_a_time_zone_is_refused(name: str) -> None:
    moment = datetime(2026, 11, 22)  # noqa: DTZ001 - what is refused
    with pytest.raises(ValueError, match="expected a time with a time zone, but found 2026-11-22T00:00:00"):
        await replay_decisions(SimulatedLog(), **{name: moment})  # type: ignore[arg-type]  # one of two names


async def test_an_empty_log_has_nothing_to_decide() -> None:
    report = await replay_decisions(SimulatedLog(4))
    assert report == DecisionReport()
    assert report.same


async def test_a_log_whose_beginning_is_gone_is_refused_as_a_whole_and_decided_from_a_later_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_BYTES_MIN", 5_000)
    clock = Hours()
    log = SimulatedLog(1, clock.seconds)
    await days(log, clock)
    events = log.partition(EVENTS, 0)
    events.start, events.records = 20, events.records[20:]
    with pytest.raises(LogDamagedError, match="expected a usable checkpoint"):
        await replay_decisions(log.client())
    report = await replay_decisions(log.client(), since=BEGIN + timedelta(hours=18))
    assert (report.same, report.runs) == (True, 12)


async def test_what_an_engine_on_the_embedded_log_writes_is_decided_beside_it(tmp_path: Path) -> None:
    async with EngineService.open(tmp_path / "log", registry()) as service:
        await service.publish_workflow(chain(code("a", "add"), END))
        await service.publish_workflow(chain(code("a", "fail"), END, workflow_id="failing"))
        run_ids = [(await service.run_workflow(name)).run_id for name in ("chain", "failing", "chain")]
        log = await EmbeddedLog.open_reading(tmp_path / "log")
        try:
            for wanted in (None, run_ids, run_ids[1:]):
                report = await replay_decisions(log, runs=wanted)
                assert report.same, report.differences
                assert report.runs == (3 if wanted is None else len(wanted))
        finally:
            await log.close()


async def test_what_an_engine_on_kafka_writes_is_decided_once_more(broker: str) -> None:
    location = await new_location(broker, 2)
    async with EngineService.open(str(location), registry()) as service:
        await service.publish_workflow(chain(code("a", "add"), END))
        run_ids = [(await service.run_workflow("chain", timeout=SECONDS)).run_id for _ in range(5)]
    log = await KafkaLog.open(location)
    try:
        begin = datetime.now(UTC) - timedelta(minutes=5)
        for wanted, since, count in ((None, None, 5), (run_ids[:2], None, 2), (None, begin, 5)):
            report = await replay_decisions(log, runs=wanted, since=since)
            assert report.same, report.differences
            assert report.runs == count
    finally:
        await log.close()
