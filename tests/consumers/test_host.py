"""The host of progress services on logs of one process: order, restarts, services that misbehave, parked changes."""

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn, cast

import orjson
import pytest

from consumers.host import Delivery, LocalProgress, Service, ServiceHost, ServiceInvalidError, Start, Wanted
from consumers.host.local import ask_local, read_local
from consumers.host.parked import Parked, Request
from consumers.host.progress import read_progress
from consumers.host.wanted import STATUS_OF
from engine import EngineService, Run, Trace
from engine.errors import ArgumentError
from engine.log.embedded import EmbeddedLog
from engine.log.port import EVENTS, Log, Record
from tests.checkers import accepted_commits
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock, until
from tests.support.workflows import END, chain, code, registry

SECONDS = 60
RAISED = (ValueError, SystemExit, StopIteration, MemoryError, GeneratorExit, KeyboardInterrupt)


class Book:
    """A service that writes down what it hears, and fails when it is told to."""

    def __init__(self, name: str = "book", shared: list[tuple[str, str]] | None = None) -> None:
        self.name = name
        self.heard: list[tuple[Run | Trace, Delivery]] = []
        self.shared = [] if shared is None else shared
        self.failing: set[str] = set()
        self.calls = 0

    async def run_progress(self, run: Run, delivery: Delivery) -> None:
        await self.hear(run, delivery)

    async def trace_progress(self, trace: Trace, delivery: Delivery) -> None:
        await self.hear(trace, delivery)

    async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:
        self.calls += 1
        if subject.run_id in self.failing or delivery.event_type in self.failing:
            raise ValueError("not today")
        self.heard.append((subject, delivery))
        self.shared.append((self.name, delivery.event_id))

    @property
    def ids(self) -> list[str]:
        return [delivery.event_id for _, delivery in self.heard]

    def of(self, run_id: str) -> list[str]:
        return [delivery.event_type for subject, delivery in self.heard if subject.run_id == run_id]


async def told(log: Log) -> dict[str, list[tuple[str, str]]]:
    """Return each run's changes as (event id, type), read from the log by other code."""
    found: dict[str, list[tuple[str, str]]] = {}
    for number in range(log.partitions):
        end = (await log.ends(EVENTS, number)).end
        records = list(await log.read(EVENTS, number, 0, end))
        for run_id, commits in accepted_commits(records).items():
            ids = [r.headers["ce_id"] for r in records if r.key == run_id and r.headers["ce_type"] == "runline.commit"]
            assert len(ids) == len(commits)
            found[run_id] = [
                (f"{commit}.{index}", event["type"])
                for commit, value in zip(ids, commits, strict=True)
                for index, event in enumerate(cast("list[dict[str, str]]", value["events"]))
                if event["type"] != "command.refused"
            ]
    return found


async def check_complete(log: Log, book: Book, *, once: bool = True) -> None:
    """Check that a service heard of every change, in the order of its run."""
    for run_id, changes in (await told(log)).items():
        heard = [(d.event_id, d.event_type) for subject, d in book.heard if subject.run_id == run_id]
        assert (heard if once else list(dict.fromkeys(heard))) == changes


@asynccontextmanager
async def hosting(
    log: Log, directory: Path, services: Mapping[str, Service], start: Start | None = None, **settings: object
) -> AsyncIterator[ServiceHost]:
    progress = LocalProgress.open(directory, log.partitions)
    settings.setdefault("clock", QuickClock())
    start = Start.beginning() if start is None else start
    async with asyncio.timeout(SECONDS), ServiceHost(log, services, progress, start=start, **settings) as host:  # type: ignore[arg-type]  # by their names
        yield host


async def play(log: Log, runs: int = 3, workflow: str = "w", *nodes: dict[str, object]) -> list[str]:
    """Execute some runs; return their ids."""
    async with EngineService.open(log, registry(), executor=True) as engine:
        await engine.publish_workflow(
            chain(*(nodes or (code("a", "add"), code("b", "add"))), END, workflow_id=workflow)
        )
        return [(await engine.run_workflow(workflow, {})).run_id for _ in range(runs)]


async def test_a_service_hears_every_change_of_every_run_in_order_and_once(tmp_path: Path) -> None:
    log = SimulatedLog(3)
    await play(log, 20)
    book = Book()
    async with hosting(log, tmp_path, {"book": book}) as host:
        await host.caught_up()
        await play(log, 5, "v")
        await host.caught_up()
    await check_complete(log, book)
    assert len(await told(log)) == 25


async def test_a_delivery_says_what_the_record_says(tmp_path: Path) -> None:
    log = SimulatedLog()
    (run_id,) = await play(log, 1)
    book = Book()
    async with hosting(log, tmp_path, {"book": book}) as host:
        await host.caught_up()
    records = {record.offset: record for record in await log.read(EVENTS, 0, 0, 1000)}
    for subject, delivery in book.heard:
        headers = records[delivery.offset].headers
        assert delivery.event_id == f"{headers['ce_id']}.{delivery.index}"
        assert delivery.event_type == headers["types"].split(",")[delivery.index]
        assert delivery.time.isoformat().replace("+00:00", "Z") == headers["ce_time"]
        assert (delivery.cause, delivery.correlation) == (headers.get("causationid", ""), headers["correlationid"])
        assert (delivery.partition, delivery.attempt, subject.run_id) == (0, 1, run_id)
        status = subject.run_status if isinstance(subject, Run) else subject.trace_status
        assert status.value == STATUS_OF[delivery.event_type.rpartition(".")[2]].value
    assert any(delivery.cause for _, delivery in book.heard)


async def test_a_host_goes_on_where_the_one_before_left_off(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path / "log", 2, "process")
    book = Book()
    for _ in range(3):
        await play(log, 4)
        async with hosting(log, tmp_path / "group", {"book": book}) as host:
            await host.caught_up()
    await check_complete(log, book)
    await log.close()


async def test_services_hear_of_a_change_in_the_order_given(tmp_path: Path) -> None:
    log = SimulatedLog(2)
    await play(log, 5)
    heard: list[tuple[str, str]] = []
    books = {name: Book(name, heard) for name in ("first", "second", "third")}
    async with hosting(log, tmp_path, books) as host:
        await host.caught_up()
    for event in set(books["first"].ids):
        assert [name for name, each in heard if each == event] == ["first", "second", "third"]


async def test_blocking_services_run_in_threads_and_different_runs_in_parallel_up_to_the_limit(tmp_path: Path) -> None:
    log = SimulatedLog()
    await play(log, 6)
    together = threading.Barrier(3)
    lock = threading.Lock()
    now: list[int] = []
    most: list[int] = []

    class Blocking:
        def run_progress(self, run: Run) -> None:
            with lock:
                now.append(threading.get_ident())
                most.append(len(now))
            if run.run_status == "Created":
                together.wait(SECONDS)
            with lock:
                now.remove(threading.get_ident())

        def trace_progress(self, trace: Trace) -> None:
            assert trace.run_id

    async with hosting(log, tmp_path, {"blocking": Blocking()}, concurrent=3) as host:
        await host.caught_up()
        assert (await host.lag())[0].parked == 0
    assert max(most) == 3


@pytest.mark.parametrize("hold", [True, False])
async def test_a_change_that_keeps_failing_is_parked_and_other_runs_go_on(tmp_path: Path, *, hold: bool) -> None:
    log = SimulatedLog()
    bad, good = await play(log, 2)
    first, book = Book(), Book()
    book.failing = {"trace.started"}

    class OneRun(Book):
        async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:
            self.failing = {"trace.started"} if subject.run_id == bad else set()
            await super().hear(subject, delivery)

    book = OneRun()
    async with hosting(log, tmp_path, {"first": first, "book": book}, hold=hold, attempts=4) as host:
        await host.caught_up()
    await check_complete(log, first)
    types = [event_type for _, event_type in (await told(log))[bad]]
    before = types.index("trace.started")
    kept = types[:before] if hold else [each for each in types if each != "trace.started"]
    assert book.of(bad) == kept
    assert book.of(good) == types
    _, parked = read_local(tmp_path)
    assert [(each.run_id, each.event_type, each.attempts, each.held, each.error) for each in parked] == [
        (bad, "trace.started", 4, hold, "ValueError: not today")
    ] * (1 if hold else types.count("trace.started"))
    assert parked[0].behind == (len(types) - before - 1 if hold else 0)


async def parked_run(log: Log, directory: Path) -> tuple[Parked, list[str]]:
    (bad,) = await play(log, 1)
    book = Book()
    book.failing = {"trace.started"}
    async with hosting(log, directory, {"book": book}) as host:
        await host.caught_up()
    _, (parked,) = read_local(directory)
    return parked, [event_type for _, event_type in (await told(log))[bad]]


@pytest.mark.parametrize("action", ["retry", "skip"])
async def test_what_is_held_behind_a_parked_change_follows_in_order_when_it_is_retried_or_skipped(
    tmp_path: Path, action: str
) -> None:
    log = SimulatedLog()
    parked, types = await parked_run(log, tmp_path)
    book = Book()
    ask_local(tmp_path, Request(action, parked.key))  # type: ignore[arg-type]  # one of the two
    async with hosting(log, tmp_path, {"book": book}) as host:
        await until_parked(host, 0)
    first = types.index("trace.started")
    assert book.of(parked.run_id) == types[first if action == "retry" else first + 1 :]
    progress, left = read_local(tmp_path)
    assert left == []
    assert progress[0].services["book"].open == ()


async def until_parked(host: ServiceHost, count: int) -> None:
    while sum(lag.parked for lag in await host.lag()) != count or not await host.lag():  # noqa: ASYNC110 - asked anew
        await asyncio.sleep(0)


async def test_a_retry_that_fails_later_is_parked_at_the_later_change(tmp_path: Path) -> None:
    log = SimulatedLog()
    parked, types = await parked_run(log, tmp_path)
    book = Book()
    book.failing = {"run.succeeded"}
    ask_local(tmp_path, Request("retry", parked.key))
    async with hosting(log, tmp_path, {"book": book}):
        while [each.event_type for each in read_local(tmp_path)[1]] != ["run.succeeded"]:  # noqa: ASYNC110 - on disk
            await asyncio.sleep(0)
    assert book.of(parked.run_id) == types[types.index("trace.started") : -1]
    (again,) = read_local(tmp_path)[1]
    assert (again.held, again.asked, again.behind, parked.behind > 0) == (True, "", 0, True)


@pytest.mark.parametrize(
    ("error", "blocking"),
    [
        *((error, False) for error in (*RAISED, asyncio.CancelledError)),
        *((error, True) for error in RAISED),
    ],
)
@pytest.mark.parametrize("own_loops", [False, True])
async def test_whatever_a_service_raises_harms_no_other(
    tmp_path: Path, error: type[BaseException], *, blocking: bool, own_loops: bool
) -> None:
    log = SimulatedLog()
    runs = await play(log, 2)

    class Awaited:
        async def run_progress(self, run: Run) -> None:
            raise error(run.run_id)

        async def trace_progress(self, trace: Trace) -> None:
            raise AssertionError(trace)

    class Threaded:
        def run_progress(self, run: Run) -> NoReturn:
            raise error(run.run_id)

        def trace_progress(self, trace: Trace) -> NoReturn:
            raise AssertionError(trace)

    book = Book()
    services = {"bad": Threaded() if blocking else Awaited(), "book": book}
    async with hosting(log, tmp_path, services, own_loops=own_loops) as host:
        await host.caught_up()
    await check_complete(log, book)
    assert {(each.service, each.run_id) for each in read_local(tmp_path)[1]} == {("bad", run) for run in runs}


async def test_a_service_that_blocks_for_ever_holds_up_only_its_own_run(tmp_path: Path) -> None:
    log = SimulatedLog()
    stuck, *others = await play(log, 4)
    release = threading.Event()

    class Blocks(Book):
        async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:
            if subject.run_id == stuck and delivery.event_type == "trace.started":
                await asyncio.to_thread(release.wait)
            await super().hear(subject, delivery)

    blocks, book = Blocks(), Book()
    async with hosting(log, tmp_path, {"blocks": blocks, "book": book}):
        # The service after it waits for a second, then goes on.
        types = [each for _, each in (await told(log))[stuck]]
        while book.of(stuck) != types or any(blocks.of(run) != types for run in others):  # noqa: ASYNC110 - two at once
            await asyncio.sleep(0)
    # The host let go; what was under way is recorded as open, and nothing else.
    progress = read_local(tmp_path)[0][0].services
    assert progress["book"].open == ()
    first = types.index("trace.started")
    assert len(progress["blocks"].open) == len(types) - first
    again = Book()
    async with hosting(log, tmp_path, {"blocks": again, "book": book}) as host:
        await host.caught_up()
    assert [delivery.event_type for _, delivery in again.heard] == types[first:]
    release.set()


@pytest.mark.parametrize("own_loops", [False, True])
async def test_an_asynchronous_call_is_cancelled_after_the_timeout_and_counts_as_failed(
    tmp_path: Path, *, own_loops: bool
) -> None:
    log = SimulatedLog()
    await play(log, 1)

    class Hangs(Book):
        async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:  # noqa: ARG002 - it only hangs
            await asyncio.Future[None]()

    async with hosting(log, tmp_path, {"hangs": Hangs()}, timeout=0.01, attempts=2, own_loops=own_loops) as host:
        await host.caught_up()
    (parked,) = read_local(tmp_path)[1]
    assert parked.error.startswith("TimeoutError")
    assert parked.attempts == 2


async def test_a_call_in_a_thread_is_never_repeated_while_it_goes_on_whatever_the_timeout(tmp_path: Path) -> None:
    log = SimulatedLog()
    await play(log, 1)
    calls: list[str] = []
    never = threading.Event()

    class Slow:
        def run_progress(self, run: Run) -> None:
            calls.append(run.run_status)
            never.wait(0.05)

        def trace_progress(self, trace: Trace) -> None: ...

    async with hosting(log, tmp_path, {"slow": Slow()}, timeout=0.001) as host:
        await host.caught_up()
    assert calls == ["Created", "Running", "Success"]
    assert read_local(tmp_path)[1] == []


async def test_a_slow_service_makes_its_own_reading_wait_and_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.host.track.FOLLOW_OPEN_CHANGES_MAX", 5)
    log = SimulatedLog()
    await play(log, 20)
    release = asyncio.Event()

    class Slow(Book):
        async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:
            await release.wait()
            await super().hear(subject, delivery)

    slow, book = Slow(), Book()
    async with hosting(log, tmp_path, {"book": book, "slow": slow}) as host:
        changes = sum(map(len, (await told(log)).values()))
        await until(lambda: len(book.heard) == changes)
        figures = {lag.service: lag for lag in await host.lag()}
        assert figures["slow"].open == 5
        assert figures["slow"].behind > 50
        assert (figures["book"].behind, figures["book"].open) == (0, 0)
        release.set()
        await host.caught_up()
    await check_complete(log, slow)


async def test_too_many_parked_changes_stop_the_service_by_name_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.host.follower.FOLLOW_PARKED_MAX", 2)
    monkeypatch.setattr("consumers.host.standing.FOLLOW_PARKED_MAX", 2)
    log = SimulatedLog()
    await play(log, 4)
    bad, book = Book(), Book()
    bad.failing = {"run.created"}
    async with hosting(log, tmp_path, {"bad": bad, "book": book}) as host:
        await host.caught_up()
        trouble = {lag.service: lag.trouble for lag in await host.lag()}
    assert "at most 2 parked changes" in trouble["bad"]
    assert trouble["book"] == ""
    await check_complete(log, book)
    progress, parked = read_local(tmp_path)
    assert len(parked) == 2
    # What was not parked is delivered again by the next host.
    assert progress[0].services["bad"].open


# Where a service begins.


async def test_a_service_begins_now_at_a_time_or_at_an_offset_with_the_state_folded_from_before(tmp_path: Path) -> None:
    seconds = [time.time()]
    log = SimulatedLog(clock=lambda: seconds[0])
    async with EngineService.open(log, registry(), executor=True) as engine:
        await engine.publish_workflow(chain(code("a", "add"), END, workflow_id="w"))
        run_id = await engine.create_workflow_run("w")
        middle = (await log.ends(EVENTS, 0)).end
        between = Start("time", int(seconds[0] * 1000) + 500)
        seconds[0] += 1
        later, by_time, by_offset = Book(), Book(), Book()
        async with (
            hosting(log, tmp_path / "now", {"book": later}, Start.now()) as now,
            hosting(log, tmp_path / "time", {"book": by_time}, between) as timed,
            hosting(log, tmp_path / "offset", {"book": by_offset}, Start.from_offsets({0: middle})) as offset,
        ):
            await asyncio.gather(now.caught_up(), timed.caught_up(), offset.caught_up())
            await engine.start_workflow_run_and_wait(run_id, {"amount": 7})
            await asyncio.gather(now.caught_up(), timed.caught_up(), offset.caught_up())
    changes = (await told(log))[run_id]
    for book in (later, by_time, by_offset):
        assert list(zip(book.ids, book.of(run_id), strict=True)) == changes[1:]
        first = book.heard[0][0]
        assert isinstance(first, Run)
        assert (first.run_status, first.workflow_id, first.input_context) == ("Running", "w", '{"amount":7}')


async def test_a_service_begun_later_in_a_group_begins_where_it_is_told_and_the_other_goes_on(tmp_path: Path) -> None:
    log = SimulatedLog()
    book, late = Book(), Book()
    await play(log, 2)
    async with hosting(log, tmp_path, {"book": book}) as host:
        await host.caught_up()
    await play(log, 1)
    async with hosting(log, tmp_path, {"late": late, "book": book}) as host:
        await host.caught_up()
    await check_complete(log, book)
    await check_complete(log, late)


async def test_a_service_that_is_missing_at_a_restart_keeps_its_progress(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = SimulatedLog()
    book, away = Book(), Book()
    await play(log, 2)
    async with hosting(log, tmp_path, {"book": book, "away": away}) as host:
        await host.caught_up()
    await play(log, 2)
    async with hosting(log, tmp_path, {"book": book}) as host:
        await host.caught_up()
    assert "nobody calls away here" in caplog.text
    async with hosting(log, tmp_path, {"book": book, "away": away}) as host:
        await host.caught_up()
    await check_complete(log, book)
    await check_complete(log, away)


async def trouble_of(host: ServiceHost, words: str) -> str:
    """Wait until a service of the host is in trouble that has one of these words, and return what it is."""
    while True:
        for lag in await host.lag():
            if re.search(words, lag.trouble):
                return lag.trouble
        await asyncio.sleep(0)


async def stopped_for(log: Log, directory: Path, start: Start | None = None) -> str:
    async with hosting(log, directory, {"book": Book()}, start) as host:
        await host.caught_up()
        return await trouble_of(host, ".")


async def test_a_position_that_no_longer_exists_stops_its_partition_by_name_and_others_go_on(tmp_path: Path) -> None:
    log = SimulatedLog(2)
    await play(log, 10)
    book = Book()
    async with hosting(log, tmp_path, {"book": book}, Start.from_offsets({0: 1_000_000, 1: 0})) as host:
        await host.caught_up()
        assert [bool(lag.trouble) for lag in await host.lag()] == [True, False]
        assert "between 0 and" in (await host.lag())[0].trouble
    assert {delivery.partition for _, delivery in book.heard} == {1}
    # Nothing is recorded for a service that did not begin.
    assert [read_local(tmp_path)[0][number].services.keys() for number in (0, 1)] == [set(), {"book"}]


async def test_a_log_that_lost_records_or_was_made_again_stops_the_service_by_name(tmp_path: Path) -> None:
    log = SimulatedLog()
    await play(log, 3)
    async with hosting(log, tmp_path, {"book": Book()}) as host:
        await host.caught_up()
    end = (await log.ends(EVENTS, 0)).end
    log.truncate_from(EVENTS, 0, end - 2)
    assert "up to which it was followed" in await stopped_for(log, tmp_path)
    log.recreate(EVENTS)
    assert "was made again" in await stopped_for(log, tmp_path)


async def test_a_log_that_lost_records_and_grew_again_stops_the_service_by_name(tmp_path: Path) -> None:
    log = SimulatedLog()
    await play(log, 3)
    async with hosting(log, tmp_path, {"book": Book()}) as host:
        await host.caught_up()
    followed = (await log.ends(EVENTS, 0)).end
    log.truncate_from(EVENTS, 0, followed - 2)
    await play(log, 3)
    assert (await log.ends(EVENTS, 0)).end > followed
    assert f"the record at offset {followed - 1} that was read, but another one" in await stopped_for(log, tmp_path)


async def test_a_service_that_has_read_what_is_gone_stays_stopped_whatever_others_read_since(tmp_path: Path) -> None:
    log, late = SimulatedLog(), Book()
    await play(log, 3)
    async with hosting(log, tmp_path, {"book": Book()}) as host:
        await host.caught_up()
    log.truncate_from(EVENTS, 0, (await log.ends(EVENTS, 0)).end - 2)
    await play(log, 3)
    for _ in range(2):
        async with hosting(log, tmp_path, {"book": Book(), "late": late}) as host:
            await host.caught_up()
            assert [bool(lag.trouble) for lag in await host.lag()] == [True, False]
        await play(log, 1)
    assert len(late.heard) > 0


async def test_a_service_that_waits_for_its_first_record_notices_that_those_before_were_replaced(
    tmp_path: Path,
) -> None:
    log = SimulatedLog()
    await play(log, 3)
    async with hosting(log, tmp_path, {"book": Book()}) as host:
        await host.caught_up()
    async with hosting(log, tmp_path, {"book": Book()}) as host:
        await until(lambda: bool(log.partition(EVENTS, 0).readers))
        log.truncate_from(EVENTS, 0, (await log.ends(EVENTS, 0)).end - 2)
        for number in range(3):
            log.land(EVENTS, 0, Record("k", b"%d" % number, {}))
        assert "another one stands there" in await trouble_of(host, ".")


async def test_a_service_whose_log_changes_under_it_stops(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log, book = SimulatedLog(), Book()
    await play(log, 3)
    async with hosting(log, tmp_path, {"book": book}) as host:
        await host.caught_up()
        log.truncate_from(EVENTS, 0, (await log.ends(EVENTS, 0)).end - 2)
        await play(log, 3)
        # When it looks again it finds too little, or something else.
        await trouble_of(host, "was followed|was read")
    assert "goes on no further" in caplog.text


async def test_progress_of_an_earlier_version_is_gone_on_with(tmp_path: Path) -> None:
    log, book = SimulatedLog(), Book()
    await play(log, 3)
    async with hosting(log, tmp_path, {"book": book}) as host:
        await host.caught_up()
    found = orjson.loads(read_local(tmp_path)[0][0].encode())
    end = (await log.ends(EVENTS, 0)).end
    assert found["services"]["book"][:3] == [end, 0, end - 1]
    del found["services"]["book"][2:]
    earlier = read_progress(orjson.dumps(found), "here")
    assert earlier.services["book"].seen is None
    store = LocalProgress.open(tmp_path, log.partitions)
    await store.save(0, earlier)
    await store.leave()
    await play(log, 3)
    async with hosting(log, tmp_path, {"book": book}) as host:
        await host.caught_up()
    assert read_local(tmp_path)[0][0].services["book"].seen is not None
    await check_complete(log, book)


async def test_a_log_whose_beginning_is_gone_without_a_checkpoint_stops_the_service_by_name(tmp_path: Path) -> None:
    log = SimulatedLog()
    await play(log, 3)
    log.truncate_before(EVENTS, 0, 2)
    assert "expected a usable checkpoint" in await stopped_for(log, tmp_path, Start.from_offsets({0: 5}))


# Which changes.


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(workflows=frozenset({"v"})), {"v"}),
        (Wanted(types=frozenset({"run.failed", "run.created"})), {"run.failed", "run.created"}),
        (Wanted(statuses=frozenset({"Failed"})), {"run.failed", "trace.failed"}),
    ],
)
async def test_only_wanted_changes_are_delivered(tmp_path: Path, wanted: Wanted, expected: set[str]) -> None:
    log = SimulatedLog()
    await play(log, 2, "w")
    await play(log, 2, "v", code("a", "fail"))
    book = Book()
    async with hosting(log, tmp_path, {"book": book}, wanted=wanted) as host:
        await host.caught_up()
        assert (await host.lag())[0].behind == 0
    if wanted.workflows:
        assert {run.workflow_id for run, _ in book.heard if isinstance(run, Run)} == expected
        assert len({run.run_id for run, _ in book.heard}) == 2
    else:
        assert {delivery.event_type for _, delivery in book.heard} == expected


# What is no service.


class _Nothing:
    pass


class _Greedy:
    def run_progress(self, run: Run, one: int, two: int) -> None: ...

    def trace_progress(self, trace: Trace) -> None: ...


@pytest.mark.parametrize(("service", "text"), [(_Nothing(), "has none"), (_Greedy(), "or that and a delivery")])
async def test_what_is_no_service_is_refused(tmp_path: Path, service: object, text: str) -> None:
    with pytest.raises(ServiceInvalidError, match=text):
        async with hosting(SimulatedLog(), tmp_path, {"service": service}):  # type: ignore[dict-item]  # on purpose
            pass


@pytest.mark.parametrize("names", [[], ["a/b"], [".."], ["é"], ["x" * 101], [f"s{each}" for each in range(17)]])
async def test_names_and_numbers_of_services_are_checked(tmp_path: Path, names: Sequence[str]) -> None:
    with pytest.raises(ArgumentError):
        async with hosting(SimulatedLog(), tmp_path, {name: Book() for name in names}):
            pass
