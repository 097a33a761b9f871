"""Calls that are written down before they are made: when, for how long, and what becomes of those in which a process
ended.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from consumers.host import Delivery, LocalProgress, ServiceHost, Start
from consumers.host.calls import Call, NotedCall, encode_calls, read_calls
from consumers.host.local import read_local
from consumers.host.parked import Parked, Request
from consumers.host.progress import PartitionProgress, Place, Progress
from engine import Run, Trace
from engine.errors import RunlineError
from engine.log.port import EVENTS, Log
from engine.store.errors import StoreDamagedError, StoreError
from tests.consumers.test_host import SECONDS, Book, check_complete, hosting, play, told
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock, until


class Watched(LocalProgress):
    """Counts what is written down, and cannot be written when it is told so."""

    notes = 0
    closed = False
    short = ""

    async def note(self, partition: int, calls: Sequence[NotedCall]) -> None:
        self.notes += 1
        await super().note(partition, calls)

    async def park(self, parked: Parked) -> None:
        if self.short == "park":
            raise MemoryError
        await super().park(parked)

    async def asked(self) -> Request:
        if self.short == "asked":
            raise MemoryError
        return await super().asked()

    async def save(self, partition: int, progress: PartitionProgress) -> None:
        if self.short == "save" and progress.services["book"].position > (0, 0):
            raise MemoryError
        if self.closed:
            raise StoreError("expected to write, but found no room.")
        await super().save(partition, progress)


async def places(log: Log, tmp_path: Path) -> list[Place]:
    """Return where the changes of a partition stand."""
    book = Book()
    async with hosting(log, tmp_path / "places", {"book": book}) as host:
        await host.caught_up()
    return [(delivery.offset, delivery.index) for _, delivery in book.heard]


async def until_quiet(condition: Callable[[], bool]) -> None:
    """Wait for something that takes its time on the machine's clock."""
    while not condition():  # noqa: ASYNC110 - a loop's timer is awaited
        await asyncio.sleep(0.001)


async def die(log: Log, directory: Path, *calls: NotedCall, at_work: bool = True) -> None:
    """Leave what a host leaves that has died in these calls, or one that has ended in order."""
    store = LocalProgress.open(directory, log.partitions)
    progress = {"book": Progress((0, 0))}
    await store.save(0, PartitionProgress(await log.topic_id(EVENTS), progress, at_work=at_work))
    await store.note(0, calls)
    await store.leave()


async def left(directory: Path) -> Sequence[NotedCall]:
    """Return the calls that are still written down."""
    store = LocalProgress.open(directory, 1)
    noted = await store.noted(0)
    await store.leave()
    return noted


def noted(place: Place, deaths: int, *, under_way: bool = True, service: str = "book") -> NotedCall:
    return NotedCall(Call(service, place), deaths, under_way)


async def test_nothing_is_written_down_where_hosts_end_in_order_and_something_where_one_did_not(tmp_path: Path) -> None:
    log = SimulatedLog()
    await play(log, 3)
    book = Book()
    for unclean in (False, False, True, False):
        if unclean:
            await die(log, tmp_path)
        store = Watched.open(tmp_path, log.partitions)
        assert isinstance(store, Watched)
        async with asyncio.timeout(SECONDS), ServiceHost(log, {"book": book}, store, start=Start.beginning()) as host:
            await host.caught_up()
            assert read_local(tmp_path)[0][0].at_work
        assert bool(store.notes) == unclean
        assert not read_local(tmp_path)[0][0].at_work
        assert await left(tmp_path) == ()
    await check_complete(log, book, once=False)


async def test_an_end_is_counted_once_and_only_for_calls_that_were_under_way(tmp_path: Path) -> None:
    log = SimulatedLog()
    await play(log, 4)
    first, second, third, *_ = await places(log, tmp_path)
    group = tmp_path / "group"
    await die(log, group, noted(first, 0), noted(second, 2, under_way=False), noted(third, 1))
    async with hosting(log, group, {"other": Book()}) as host:
        await host.caught_up()
    # Its service was not there; nobody has called it since.
    assert await left(group) == [noted(first, 1, under_way=False), noted(second, 2, under_way=False),
                                 noted(third, 2, under_way=False)]  # fmt: skip
    book = Book()
    async with hosting(log, group, {"book": book}) as host:
        await host.caught_up()
    assert await left(group) == ()
    assert read_local(group)[1] == []
    await check_complete(log, book)


@pytest.mark.parametrize(("deaths", "at_work", "parked"), [(1, True, False), (2, True, True), (2, False, False)])
async def test_a_call_in_which_the_process_ended_too_often_is_not_made_again(
    tmp_path: Path, deaths: int, *, at_work: bool, parked: bool
) -> None:
    log = SimulatedLog()
    await play(log, 4)
    place = (await places(log, tmp_path))[2]
    group = tmp_path / "group"
    await die(log, group, noted(place, deaths), at_work=at_work)
    book = Book()
    async with hosting(log, group, {"book": book}) as host:
        await host.caught_up()
    assert (place in [(each.offset, each.index) for _, each in book.heard]) == (not parked)
    assert [(each.place, each.error) for each in read_local(group)[1]] == [
        (place, "the process ended 3 times in this call")
    ] * parked
    assert await left(group) == ()


class Alone(Book):
    """Sees whether calls overlap in which a process has ended; the first of them may block."""

    def __init__(self, suspects: set[Place]) -> None:
        super().__init__()
        self.suspects = suspects
        self.release = asyncio.Event()
        self.blocks = False
        self.blocked = ""
        self.now = 0
        self.most = 0

    async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:
        suspect = (delivery.offset, delivery.index) in self.suspects
        self.now += suspect
        self.most = max(self.most, self.now)
        if suspect:
            await asyncio.sleep(0)
            if self.blocks:
                self.blocks, self.blocked = False, subject.run_id
                await self.release.wait()
        self.now -= suspect
        await super().hear(subject, delivery)


async def suspects(log: Log, tmp_path: Path) -> set[Place]:
    """Let a host die in the first calls of all runs."""
    runs = await play(log, 6)
    book = Book()
    async with hosting(log, tmp_path / "places", {"book": book}) as host:
        await host.caught_up()
    found = {(d.offset, d.index) for _, d in book.heard if d.event_type == "run.created"}
    assert len(found) == len(runs)
    await die(log, tmp_path / "group", *(noted(place, 0) for place in sorted(found)))
    return found


async def test_calls_in_which_the_process_ended_are_made_one_at_a_time(tmp_path: Path) -> None:
    log = SimulatedLog()
    book = Alone(await suspects(log, tmp_path))
    async with hosting(log, tmp_path / "group", {"book": book}) as host:
        await host.caught_up()
    assert book.most == 1
    await check_complete(log, book)


async def test_a_call_that_never_ends_keeps_the_others_waiting_for_a_while_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.host.care.FOLLOW_SUSPECT_SECONDS", 0.01)
    log = SimulatedLog()
    book = Alone(await suspects(log, tmp_path))
    book.blocks = True
    async with hosting(log, tmp_path / "group", {"book": book}) as host:
        changes = {run_id: len(each) for run_id, each in (await told(log)).items()}
        await until_quiet(lambda: len(book.heard) == sum(changes.values()) - changes.get(book.blocked, 0))
        assert book.most == 2
        book.release.set()
        await host.caught_up()
    await check_complete(log, book)


async def test_not_more_calls_are_under_way_than_may_be_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.host.care.FOLLOW_NOTED_CALLS_MAX", 2)
    log = SimulatedLog()
    await play(log, 6)
    await die(log, tmp_path)
    now: list[int] = []

    class Counts(Book):
        async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:
            self.calls += 1
            now.append(self.calls)
            await asyncio.sleep(0)
            self.calls -= 1
            self.heard.append((subject, delivery))

    book = Counts()
    async with hosting(log, tmp_path, {"book": book}, concurrent=6) as host:
        await host.caught_up()
    assert max(now) == 2
    await check_complete(log, book)


async def test_a_service_goes_no_further_than_a_bound_beyond_what_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.host.follower.FOLLOW_UNSAVED_CHANGES_MAX", 20)
    monkeypatch.setattr("consumers.host.host.FOLLOW_SAVE_CHANGES", 5)
    monkeypatch.setattr("consumers.host.host.FOLLOW_SAVE_SECONDS", 0.01)
    log = SimulatedLog()
    await play(log, 10)
    book = Book()
    store = Watched.open(tmp_path, log.partitions)
    assert isinstance(store, Watched)
    host = ServiceHost(log, {"book": book}, store, start=Start.beginning(), clock=QuickClock())
    async with asyncio.timeout(SECONDS), host:
        await until(lambda: bool(read_local(tmp_path)[0]))
        store.closed = True
        position = read_local(tmp_path)[0][0].services["book"].position

        def beyond() -> int:
            return sum((each.offset, each.index) >= position for _, each in book.heard)

        await until(lambda: beyond() == 20)
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert beyond() == 20
        store.closed = False
        await host.caught_up()
    await check_complete(log, book)


@pytest.mark.parametrize("where", ["park", "asked", "save"])
async def test_a_host_whose_own_work_fails_says_so_instead_of_standing_still(tmp_path: Path, where: str) -> None:
    log = SimulatedLog()
    await play(log, 2)
    book = Book()
    book.failing = {"run.succeeded"}
    store = Watched.open(tmp_path, log.partitions)
    assert isinstance(store, Watched)
    store.short = where
    host = ServiceHost(log, {"book": book}, store, start=Start.beginning(), clock=QuickClock())
    async with asyncio.timeout(SECONDS):
        await host.start()
        with pytest.raises(MemoryError):
            await host.failure()
        store.short = ""
        await host.close()
    assert not read_local(tmp_path)[0][0].at_work


def test_calls_are_read_as_they_were_written_and_nothing_else_is() -> None:
    calls = [noted((7, 1), 0), noted((2**40, 0), 3, under_way=False, service="é")]
    assert read_calls(encode_calls(calls), "here") == calls
    for text in (
        b"",
        b"{}",
        b"[1]",
        b"[[1,2,3,4,true]]",
        b'[["a",1,2,3]]',
        b'[["a",1.5,2,3,true]]',
        b'[["a",1,2,3,4]]',
    ):
        with pytest.raises(StoreDamagedError, match="expected calls of services in here"):
            read_calls(text, "here")
    assert issubclass(StoreDamagedError, RunlineError)
