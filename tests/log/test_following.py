"""A log that is followed beside its writer: looked at once for all who wait, not more than is needed, and honestly."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.errors import ClosedError, LogDamagedError, LogError
from engine.limits import FOLLOW_SECONDS, FOLLOW_SHARE_MAX
from engine.log.embedded import EmbeddedLog, EmbeddedReader, ReadOnlyLog, reading
from engine.log.embedded.acknowledged import Promises, read_promises
from engine.log.embedded.following import Following
from engine.log.embedded.layout import RECORDS, place_key, record_key
from engine.log.errors import LogReplacedError
from engine.log.port import COMMANDS, EVENTS, Ends, LogRecord, Record
from tests.log.beside import at_once


class Pauses:
    """Stands for the sleep between two looks, which ends when the test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._waiter: asyncio.Future[None] | None = None

    async def __call__(self, seconds: float) -> None:
        assert self._waiter is None, "two pauses at a time are two looks at a time"
        self.asked.append(seconds)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def end(self) -> None:
        assert self._waiter is not None, "nobody pauses"
        self._waiter.set_result(None)

    def one_is_on(self) -> bool:
        return self._waiter is not None


class Followed(NamedTuple):
    """A log with one record of each topic, one that follows it, the pauses of that one, and its looks so far."""

    path: Path
    writer: EmbeddedLog
    log: ReadOnlyLog
    pauses: Pauses
    looks: list[Path]


def record(number: int) -> Record:
    return Record("run", b"%d" % number, {})


def numbers(records: Sequence[LogRecord]) -> list[int]:
    return [int(found.value) for found in records]


def following(reader: EmbeddedReader) -> asyncio.Task[Sequence[LogRecord]]:
    return asyncio.ensure_future(reader.next())


async def turn() -> None:
    """Let everybody run until nothing more happens by itself."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Followed]:
    writer = await EmbeddedLog.open(tmp_path / "log")
    for topic in (COMMANDS, EVENTS):
        await writer.append(topic, 0, record(0))
    looks: list[Path] = []

    def counted(directory: Path) -> Promises | None:
        looks.append(directory)
        return read_promises(directory)

    monkeypatch.setattr(reading, "read_promises", counted)
    pauses = Pauses()
    log = ReadOnlyLog(tmp_path / "log", pauses)
    looks.clear()
    yield Followed(tmp_path / "log", writer, log, pauses, looks)
    await log.close()
    await writer.close()


async def test_all_who_wait_share_one_look_and_each_gets_its_own(followed: Followed) -> None:
    writer, log, pauses = followed.writer, followed.log, followed.pauses
    events = [following(log.reader(EVENTS, 0, 1)) for _ in range(3)]
    commands = following(log.reader(COMMANDS, 0, 1))
    await turn()
    assert len(followed.looks) == len(pauses.asked) == 1
    await writer.append(EVENTS, 0, record(1))
    pauses.end()
    await turn()
    assert len(followed.looks) == 2
    assert [numbers(await one) for one in events] == [[1]] * 3
    assert not commands.done()
    await writer.append(COMMANDS, 0, record(2))
    pauses.end()
    await turn()
    assert len(followed.looks) == 3
    assert numbers(await commands) == [2]
    assert not pauses.one_is_on()


async def test_what_a_look_brought_is_there_for_every_way_of_reading(followed: Followed) -> None:
    waiting = following(followed.log.reader(COMMANDS, 0, 1))
    await turn()
    await followed.writer.append(EVENTS, 0, record(1))
    assert await followed.log.ends(EVENTS, 0) == Ends(0, 1)
    followed.pauses.end()
    await turn()
    assert await followed.log.ends(EVENTS, 0) == Ends(0, 2)
    assert numbers(await followed.log.read(EVENTS, 0, 0, 9)) == [0, 1]
    assert numbers(await followed.log.read_key(EVENTS, 0, "run")) == [0, 1]
    assert not waiting.done()
    waiting.cancel()


async def test_nobody_looks_while_nobody_waits(followed: Followed) -> None:
    readers = [followed.log.reader(EVENTS, 0, 0) for _ in range(2)]
    assert [numbers(await one.next()) for one in readers] == [[0], [0]]
    assert not followed.looks
    waiting = [following(one) for one in readers]
    await turn()
    waiting[0].cancel()
    await turn()
    assert followed.pauses.one_is_on(), "somebody still waits"
    readers[1].close()
    with pytest.raises(ClosedError):
        await waiting[1]
    await turn()
    assert not followed.pauses.one_is_on()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    looks = len(followed.looks)
    await followed.writer.append(EVENTS, 0, record(1))
    await turn()
    assert len(followed.looks) == looks


async def test_a_look_that_finds_nothing_new_leaves_the_store_alone(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    refreshed: list[int] = []
    refresh = followed.log._store.refresh

    def counted() -> None:
        refreshed.append(1)
        refresh()

    monkeypatch.setattr(followed.log._store, "refresh", counted)
    waiting = following(followed.log.reader(EVENTS, 0, 1))
    for _ in range(3):
        await turn()
        followed.pauses.end()
    assert not refreshed
    await followed.writer.append(EVENTS, 0, record(1))
    await turn()
    followed.pauses.end()
    assert numbers(await waiting) == [1]
    assert len(refreshed) == 1


@pytest.mark.parametrize(
    ("took", "pause"),
    [(0.0, FOLLOW_SECONDS), (0.001, FOLLOW_SECONDS), (2.0, 2.0 / FOLLOW_SHARE_MAX - 2.0)],
)
async def test_looking_takes_no_more_than_its_share_of_the_time(
    monkeypatch: pytest.MonkeyPatch, took: float, pause: float
) -> None:
    now = 1000.0
    looks = 0

    async def look() -> None:
        nonlocal now, looks
        now += took
        looks += 1

    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    pauses = Pauses()
    poll = Following(look, pauses)
    with poll.on_behalf_of(asyncio.get_running_loop().create_future()):
        await turn()
        assert looks == 1, "the first one need not wait"
        assert pauses.asked == [pytest.approx(pause)]
    await turn()
    assert not pauses.one_is_on()
    now += pause / 2
    with poll.on_behalf_of(asyncio.get_running_loop().create_future()):
        await turn()
        assert pauses.asked[1:] == [pytest.approx(pause / 2)], "whoever comes back soon does not look sooner"
        assert looks == 1
    await turn()


async def test_damage_and_what_else_keeps_the_log_from_being_read_is_told_to_all_who_wait(followed: Followed) -> None:
    readers = [followed.log.reader(EVENTS, 0, 1) for _ in range(2)]

    async def failure(kind: type[LogError], text: str) -> None:
        waiting = [following(one) for one in readers]
        await turn()
        if not waiting[0].done():
            followed.pauses.end()
        for one in waiting:
            with pytest.raises(kind, match=text):
                await one

    promises = followed.path / "acknowledged"
    whole = promises.read_bytes()
    promises.write_bytes(whole[:10] + b"x" + whole[11:])
    await failure(LogDamagedError, "no valid head")
    promises.unlink()
    await failure(LogError, "but there is none")
    await followed.writer.close()
    shutil.rmtree(followed.path)
    other = await EmbeddedLog.open(followed.path)
    await failure(LogReplacedError, "Open it anew")
    await other.close()


async def test_a_reader_goes_on_when_the_trouble_is_over(followed: Followed) -> None:
    reader = followed.log.reader(EVENTS, 0, 1)
    promises = followed.path / "acknowledged"
    promises.rename(followed.path / "away")
    with pytest.raises(LogError):
        await reader.next()
    (followed.path / "away").rename(promises)
    await followed.writer.append(EVENTS, 0, record(1))
    waiting = following(reader)
    await turn()
    followed.pauses.end()
    assert numbers(await waiting) == [1]


async def test_a_damaged_record_is_named_by_the_reader_that_comes_to_it(followed: Followed) -> None:
    reader = followed.log.reader(EVENTS, 0, 0)
    await reader.next()
    await followed.writer.append(EVENTS, 0, record(1))
    store, key = followed.writer._opened.store, record_key(place_key(EVENTS, 0), 1)
    batch = store.batch()
    batch.put(RECORDS, key, (store.get(RECORDS, key) or b"")[:-1] + b"?")
    store.write(batch)
    with pytest.raises(LogDamagedError, match=r"topic events, partition 0: .*offset 1"):
        await reader.next()


async def test_an_offset_that_another_process_saw_first_is_no_mistake(followed: Followed) -> None:
    await followed.writer.append(EVENTS, 0, record(1))
    waiting = following(followed.log.reader(EVENTS, 0, 2))
    await turn()
    assert not waiting.done()
    await followed.writer.append(EVENTS, 0, record(2))
    followed.pauses.end()
    assert numbers(await waiting) == [2]


async def test_a_reader_goes_on_while_writers_come_and_go_and_open_the_store_anew(tmp_path: Path) -> None:
    await (await EmbeddedLog.open(tmp_path)).close()
    log = ReadOnlyLog(tmp_path, at_once)
    reader = log.reader(EVENTS, 0, 0)
    expected = 0
    for _ in range(4):
        writer = await EmbeddedLog.open(tmp_path)
        for again in range(2):
            if again:
                with writer._opened.records.lock:
                    writer._opened.store.reopen()
            waiting = following(reader)
            for number in range(expected, expected + 3):
                await writer.append(EVENTS, 0, record(number))
            seen = numbers(await waiting)
            while seen[-1] < expected + 2:
                seen += numbers(await reader.next())
            assert seen == list(range(expected, expected + 3))
            expected += 3
        await writer.close()
    await log.close()
