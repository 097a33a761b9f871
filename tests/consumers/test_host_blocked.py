"""Asynchronous methods that block their event loop: whose it is, is said; in a loop of its own it stops no other."""

import asyncio
import inspect
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consumers.cli.follow import _lines
from consumers.host import Delivery
from consumers.host.lag import Lag
from consumers.host.local import read_local
from engine import Run, Trace
from tests.consumers.test_host import SECONDS, Book, check_complete, hosting, play, told
from tests.simulation.log import SimulatedLog


class Said(logging.Handler):
    """Keeps what the watchdog says, and wakes those who wait for a word of it."""

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.heard = {word: threading.Event() for word in words}

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        for word, event in self.heard.items():
            if word in self.lines[-1]:
                event.set()


@contextmanager
def listening(*words: str) -> Iterator[Said]:
    said, logger = Said(*words), logging.getLogger("runline.follow")
    logger.addHandler(said)
    yield said
    logger.removeHandler(said)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.host.watchdog.FOLLOW_BLOCKED_SECONDS", 0.05)
    monkeypatch.setattr("consumers.host.watchdog.FOLLOW_WATCH_SECONDS", 0.01)


class Blocks(Book):
    """Blocks its event loop at the first change until something has happened."""

    def __init__(self, until: threading.Event) -> None:
        super().__init__("blocks")
        self.until = until
        self.blocked: list[Delivery] = []
        self.in_time = False

    async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:
        if not self.blocked:
            self.blocked.append(delivery)
            self.in_time = self.until.wait(SECONDS)
        await super().hear(subject, delivery)


@pytest.mark.parametrize("own_loops", [False, True])
async def test_it_is_said_whose_call_blocks_the_loop_and_where_and_for_how_long(
    tmp_path: Path, *, own_loops: bool
) -> None:
    log = SimulatedLog()
    (run_id,) = await play(log, 1)
    with listening("blocks the event loop", "blocked the event loop") as said:
        service = Blocks(said.heard["blocks the event loop"])
        async with hosting(log, tmp_path, {"bad": service, "book": Book()}, own_loops=own_loops) as host:
            await host.caught_up()
            assert service.in_time
            assert await asyncio.to_thread(said.heard["blocked the event loop"].wait, SECONDS)
            lags = {lag.service: lag.blocked for lag in await host.lag()}
    assert lags["bad"] > 0.05
    assert lags["book"] == 0
    line = next(line for line in said.lines if "blocks the event loop" in line)
    (delivery,) = service.blocked
    what = "bad alone" if own_loops else "the whole host"
    assert line.startswith(f"bad in run {run_id}, event {delivery.event_id}, blocks the event loop of {what} for ")
    places = [place.rpartition(":")[0] + place.rpartition(" in")[2] for place in line.split(", at ")[1:]]
    assert places == [f"{inspect.getfile(Book)} run_progress", f"{__file__} hear", f"{threading.__file__} wait"]
    await check_complete(log, service)


async def test_a_service_that_blocks_a_loop_of_its_own_stops_no_other(tmp_path: Path) -> None:
    log = SimulatedLog()
    await play(log, 4)
    changes = sum(map(len, (await told(log)).values()))
    release = threading.Event()
    bad, book, after = Blocks(release), Book(), Book()
    async with hosting(log, tmp_path, {"book": book, "bad": bad, "after": after}, own_loops=True) as host:
        while any(len(each.heard) < changes for each in (book, after)):  # noqa: ASYNC110 - heard in other threads
            await asyncio.sleep(0)
        assert bad.heard == []
        release.set()
        await host.caught_up()
    for each in (book, bad, after):
        await check_complete(log, each)


async def test_a_loop_that_is_blocked_for_ever_does_not_keep_the_host_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.host.loops.FOLLOW_DRAIN_SECONDS", 0.01)
    monkeypatch.setattr("consumers.host.share.FOLLOW_DRAIN_SECONDS", 0.01)
    log = SimulatedLog()
    await play(log, 1)
    release = threading.Event()
    bad = Blocks(release)
    async with hosting(log, tmp_path, {"bad": bad}, own_loops=True):
        while not bad.blocked:  # noqa: ASYNC110 - called in another thread
            await asyncio.sleep(0)
    assert read_local(tmp_path)[0][0].services["bad"].open
    release.set()


async def test_a_task_of_a_service_that_exits_ends_neither_its_loop_nor_the_host(tmp_path: Path) -> None:
    log = SimulatedLog()
    await play(log, 3)

    class Spawns(Book):
        async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:
            task = asyncio.create_task(self.exit())
            await asyncio.wait([task])
            assert isinstance(task.exception(), SystemExit)
            await super().hear(subject, delivery)

        async def exit(self) -> None:
            raise SystemExit(3)

    service = Spawns()
    async with hosting(log, tmp_path, {"spawns": service}, own_loops=True) as host:
        await host.caught_up()
    await check_complete(log, service)


def test_the_line_about_a_service_says_for_how_long_it_blocked_its_loop() -> None:
    lags = [Lag("bad", number, 5, 7, 1, 0, "", blocked) for number, blocked in enumerate((1.25, 0.0, 2.0))]
    assert _lines([*lags, Lag("book", 0, 7, 7, 0, 0, "")]) == [
        "bad is 6 records behind, 3 changes open, 0 parked, blocked its event loop for 3.2 s",
        "book is 0 records behind, 0 changes open, 0 parked",
    ]
