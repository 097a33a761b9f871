"""Services that fail in ways of their own: without a text, by cancelling themselves, or by not ending at all."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

import pytest

from consumers.host import Delivery, HostCancelledError, LocalProgress, Parked, ServiceHost, Start
from consumers.host.local import read_local
from engine import Run, Trace
from engine.errors import ClosedError
from tests.consumers.test_host import SECONDS, Book, check_complete, hosting, play, told
from tests.consumers.test_host_blocked import listening
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock


class _SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


class _ExitingError(Exception):
    def __str__(self) -> str:
        raise SystemExit("over")


class _SilentStop(StopIteration):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("bad \udc80"), "ValueError: bad \\udc80"),
        (_SilentError(), "_SilentError without a text"),
        (_ExitingError(), "_ExitingError without a text"),
        (_SilentStop(), "RuntimeError: _SilentStop without a text"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("blocking", [False, True])
async def test_an_exception_whose_text_cannot_be_had_or_written_is_parked_like_any_other(
    tmp_path: Path, error: Exception, said: str, *, blocking: bool
) -> None:
    log = SimulatedLog()
    runs = await play(log, 2)

    class Awaited:
        async def run_progress(self, run: Run) -> None:  # noqa: ARG002 - it only raises
            raise error

        async def trace_progress(self, trace: Trace) -> None: ...

    class Threaded:
        def run_progress(self, run: Run) -> NoReturn:  # noqa: ARG002 - it only raises
            raise error

        def trace_progress(self, trace: Trace) -> None: ...

    book = Book()
    services = {"bad": Threaded() if blocking else Awaited(), "book": book}
    async with hosting(log, tmp_path, services, attempts=2) as host:
        await host.caught_up()
    await check_complete(log, book)
    parked = read_local(tmp_path)[1]
    assert {each.run_id for each in parked} == set(runs)
    # A coroutine cannot raise StopIteration: Python says so in its own words.
    expected = "RuntimeError: coroutine raised StopIteration" if "Stop" in said and not blocking else said
    assert {(each.error, each.attempts) for each in parked} == {(expected, 2)}


# Calls that cancel their own task.


def _cancel() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def _while_it_waits() -> None:
    _cancel()
    await asyncio.sleep(0)


async def _at_its_end() -> None:
    _cancel()


async def _twice_and_raising() -> None:
    _cancel()
    _cancel()
    raise ValueError("and more")


@pytest.mark.parametrize("how", [_while_it_waits, _at_its_end, _twice_and_raising])
@pytest.mark.parametrize("timeout", [None, SECONDS])
@pytest.mark.parametrize("own_loops", [False, True])
async def test_a_call_that_cancels_its_own_task_counts_as_failed_and_the_run_goes_on(
    tmp_path: Path, how: Callable[[], Awaitable[None]], timeout: float | None, *, own_loops: bool
) -> None:
    log = SimulatedLog()
    bad, good = await play(log, 2)

    class Cancels(Book):
        async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:
            if delivery.event_type == "trace.started" and (subject.run_id == bad or delivery.attempt == 1):
                await how()
                return
            await super().hear(subject, delivery)

    book = Cancels()
    async with hosting(
        log, tmp_path, {"book": book}, attempts=3, hold=False, timeout=timeout, own_loops=own_loops
    ) as host:
        await host.caught_up()
    types = {run_id: [event_type for _, event_type in changes] for run_id, changes in (await told(log)).items()}
    assert book.of(good) == types[good]
    assert book.of(bad) == [each for each in types[bad] if each != "trace.started"]
    parked = read_local(tmp_path)[1]
    assert len(parked) == types[bad].count("trace.started")
    assert {(each.run_id, each.attempts) for each in parked} == {(bad, 3)}
    if how is not _twice_and_raising:
        assert {each.error for each in parked} == {"CancelledError: the call was cancelled, but not by the host"}


# Calls that cancel all tasks of their event loop, the host's among them.


def _cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


def _cancel_others() -> None:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


class CancelsAll(Book):
    """A service that cancels whatever runs beside it, so many times."""

    def __init__(self, cancel: Callable[[], None], times: int) -> None:
        super().__init__()
        self.cancel = cancel
        self.times = times

    async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:
        if self.times and delivery.event_type == "trace.started":
            self.times -= 1
            self.cancel()
            await asyncio.sleep(0)
        await super().hear(subject, delivery)


@pytest.mark.parametrize("cancel", [_cancel_all, _cancel_others])
@pytest.mark.parametrize("waiting", ["caught_up", "failure", "nobody"])
def test_a_call_that_cancels_all_tasks_ends_the_host_by_name_and_the_next_one_delivers_what_is_left(
    tmp_path: Path, cancel: Callable[[], None], waiting: str
) -> None:
    log, book, other = SimulatedLog(2), CancelsAll(cancel, 1), Book("other")

    async def main() -> None:
        """Follow until the host ends; whoever does so is cancelled as well."""
        host = ServiceHost(
            log,
            {"book": book, "other": other},
            LocalProgress.open(tmp_path, log.partitions),
            start=Start.beginning(),
            clock=QuickClock(),
        )
        async with host:
            if waiting == "nobody":
                await asyncio.Future[None]()
            else:
                await (host.caught_up if waiting == "caught_up" else host.failure)()

    async def again() -> None:
        async with hosting(log, tmp_path, {"book": book, "other": other}) as host:
            await host.caught_up()
            assert [lag.parked for lag in await host.lag()] == [0] * 4

    asyncio.run(play(log, 5))
    with listening() as said:
        expected = HostCancelledError if waiting != "nobody" else asyncio.CancelledError
        with pytest.raises(expected):
            asyncio.run(main())
    assert [line for line in said.lines if "The host cannot go on: expected nobody but the host to cancel" in line]
    progress = read_local(tmp_path)[0]
    assert [progress[number].at_work for number in (0, 1)] == [False] * 2
    asyncio.run(again())
    asyncio.run(check_complete(log, book, once=False))
    asyncio.run(check_complete(log, other, once=False))


async def test_in_a_loop_of_its_own_such_a_call_harms_only_the_calls_beside_it(tmp_path: Path) -> None:
    log, book, other = SimulatedLog(2), CancelsAll(_cancel_all, 3), Book("other")
    await play(log, 5)
    async with hosting(log, tmp_path, {"book": book, "other": other}, own_loops=True, attempts=10) as host:
        await host.caught_up()
        assert [lag.parked for lag in await host.lag()] == [0] * 4
    await check_complete(log, book, once=False)
    await check_complete(log, other)


async def test_a_host_some_of_whose_tasks_are_cancelled_says_so_to_who_asks_it_later(tmp_path: Path) -> None:
    log = SimulatedLog()
    await play(log, 3)
    called = asyncio.Event()

    class Waits(Book):
        """Cancels the task in which the calls of another run wait for their turn."""

        async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:  # noqa: ARG002 - it only cancels
            waiting = [task for task in asyncio.all_tasks() if "Follower._work" in repr(task)]
            for task in waiting:
                if task is not asyncio.current_task():
                    task.cancel()
            called.set()
            await asyncio.Future[None]()

    async with hosting(log, tmp_path, {"waits": Waits()}, concurrent=1) as host:
        await called.wait()
        with pytest.raises(HostCancelledError, match="expected nobody but the host to cancel its tasks"):
            await host.failure()
        with pytest.raises(HostCancelledError):
            await host.caught_up()


def test_the_end_of_an_event_loop_ends_the_calls_of_a_host_that_nobody_closed(tmp_path: Path) -> None:
    class Hangs(Book):
        async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:  # noqa: ARG002 - it only hangs
            self.calls += 1
            called.set()
            await asyncio.Future[None]()

    async def main() -> LocalProgress:
        log = SimulatedLog()
        await play(log, 1)
        progress = LocalProgress.open(tmp_path, log.partitions)
        await ServiceHost(log, {"book": book}, progress, start=Start.beginning(), clock=QuickClock()).start()
        await called.wait()
        return progress

    called, book = asyncio.Event(), Hangs()
    progress = asyncio.run(main())
    asyncio.run(progress.leave())
    assert book.calls == 1


# Calls that do not end.


class Stubborn(Book):
    """A service that takes no notice of its cancellation until it is let go."""

    def __init__(self) -> None:
        super().__init__("stubborn")
        self.called = asyncio.Event()
        self.released = asyncio.Event()
        self.task: asyncio.Task[object] | None = None

    async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:
        self.task = asyncio.current_task()
        self.called.set()
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue
        await super().hear(subject, delivery)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.host.follower.FOLLOW_DRAIN_SECONDS", 0.01)
    monkeypatch.setattr("consumers.host.share.FOLLOW_DRAIN_SECONDS", 0.01)


@pytest.mark.usefixtures("_at_once")
async def test_a_call_that_takes_no_notice_of_its_cancellation_is_left_behind_by_name(tmp_path: Path) -> None:
    log = SimulatedLog()
    (run_id,) = await play(log, 1)
    stubborn = Stubborn()
    with listening() as said:
        async with hosting(log, tmp_path, {"stubborn": stubborn}):
            await stubborn.called.wait()
    assert [line for line in said.lines if "left behind" in line] == [
        "stubborn on events/0: 1 calls do not end although they were cancelled; they are left behind"
    ]
    stubborn.released.set()
    assert stubborn.task is not None
    await asyncio.wait([stubborn.task])
    # What comes behind it belongs to the next host.
    assert stubborn.of(run_id) == ["run.created"]
    again = Book()
    async with hosting(log, tmp_path, {"stubborn": again}) as host:
        await host.caught_up()
    await check_complete(log, again)


# Waiting for a host that cannot go on.


class _NoRoom(LocalProgress):
    async def park(self, parked: Parked) -> None:
        raise MemoryError(parked.key)


async def test_who_waits_until_a_host_has_caught_up_hears_of_its_failure(tmp_path: Path) -> None:
    log = SimulatedLog()
    await play(log, 1)
    book = Book()
    book.failing = {"run.created"}
    progress = _NoRoom.open(tmp_path, log.partitions)
    async with (
        asyncio.timeout(SECONDS),
        ServiceHost(log, {"book": book}, progress, start=Start.beginning(), clock=QuickClock()) as host,
    ):
        for _ in range(2):
            with pytest.raises(MemoryError):
                await host.caught_up()


@pytest.mark.usefixtures("_at_once")
async def test_who_waits_until_a_host_has_caught_up_hears_that_it_was_closed(tmp_path: Path) -> None:
    log = SimulatedLog()
    await play(log, 1)
    called = asyncio.Event()

    class Hangs(Book):
        async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:  # noqa: ARG002 - it only hangs
            called.set()
            await asyncio.Future[None]()

    async with hosting(log, tmp_path, {"book": Hangs()}) as host:
        waiting = asyncio.create_task(host.caught_up())
        await called.wait()
    with pytest.raises(ClosedError):
        await waiting
