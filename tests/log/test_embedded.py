"""What the embedded log promises beyond the port: groups, memory, durability, and nothing shown too early."""

import asyncio
import gc
import logging
import os
import shutil
import threading
from pathlib import Path

import pytest

from engine.errors import LogDamagedError, LogError
from engine.limits import GROUP_RECORDS_MAX, TAIL_BYTES_MAX, TAIL_RECORDS_MAX
from engine.log.embedded import EmbeddedLog, ReadOnlyLog, acknowledged
from engine.log.embedded.acknowledged import read_promises
from engine.log.errors import LogReplacedError
from engine.log.port import COMMANDS, EVENTS, TOPICS, Ends, LogRecord, Record
from engine.store.rocks import RocksStore


def record(number: int, size: int = 0) -> Record:
    return Record("run", b"%d" % number + bytes(size), {"number": str(number)})


def count_calls(patch: pytest.MonkeyPatch, method: str) -> list[str]:
    """Note the name of the thread of every call."""
    calls: list[str] = []
    original = getattr(RocksStore, method)

    def counted(store: RocksStore, *arguments: object) -> object:
        calls.append(threading.current_thread().name)
        return original(store, *arguments)

    patch.setattr(RocksStore, method, counted)
    return calls


async def test_records_that_wait_together_are_written_and_synced_together_off_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await EmbeddedLog.open(tmp_path)
    writes, flushes = count_calls(monkeypatch, "write"), count_calls(monkeypatch, "flush")
    await asyncio.gather(*(log.append(EVENTS, 0, record(number)) for number in range(2000)))
    assert 2000 / GROUP_RECORDS_MAX <= len(writes) < 10
    assert len(flushes) == len(writes)
    assert set(writes) | set(flushes) == {f"runline log {tmp_path.name}"}
    await log.close()


async def test_durability_process_leaves_the_sync_out_until_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await EmbeddedLog.open(tmp_path, durability="process")
    flushes = count_calls(monkeypatch, "flush")
    await log.append(EVENTS, 0, record(0))
    assert flushes == []
    promises = read_promises(tmp_path)
    assert promises is not None
    assert [(promise.synced, promise.written) for promise in promises.ends] == [(0, 0), (0, 0), (0, 1), (0, 0)]
    await log.close()
    promises = read_promises(tmp_path)
    assert promises is not None
    assert [(promise.synced, promise.written) for promise in promises.ends] == [(0, 0), (0, 0), (1, 1), (0, 0)]


async def test_a_record_is_seen_by_nobody_before_it_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = await EmbeddedLog.open(tmp_path)
    await log.append(EVENTS, 0, record(0))
    reader = log.reader(EVENTS, 0, 0)
    await reader.next()
    written, go_on = threading.Event(), threading.Event()
    flush = RocksStore.flush

    def slow(store: RocksStore) -> None:
        written.set()
        assert go_on.wait(20)
        flush(store)

    monkeypatch.setattr(RocksStore, "flush", slow)
    append = asyncio.ensure_future(log.append(EVENTS, 0, record(1)))
    following = asyncio.ensure_future(reader.next())
    await asyncio.to_thread(written.wait, 20)
    assert await log.ends(EVENTS, 0) == Ends(0, 1)
    assert len(await log.read(EVENTS, 0, 0, 9)) == 1
    assert len(await log.read_key(EVENTS, 0, "run")) == 1
    beside = await EmbeddedLog.open_reading(tmp_path)
    assert await beside.ends(EVENTS, 0) == Ends(0, 1)
    await beside.close()
    assert not append.done()
    assert not following.done()
    go_on.set()
    assert await append == 1
    assert [one.offset for one in await following] == [1]
    await log.close()


async def test_live_readers_share_the_objects_that_were_written(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path)
    readers = [log.reader(EVENTS, 0, 0) for _ in range(2)]
    waiting = [asyncio.ensure_future(reader.next()) for reader in readers]
    await asyncio.sleep(0)
    written = record(0)
    await log.append(EVENTS, 0, written)
    (one,), (other,) = await asyncio.gather(*waiting)
    assert one is other
    assert one.value is written.value
    await log.close()


async def test_next_does_not_wait_when_records_are_there(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path)
    reader = log.reader(EVENTS, 0, 0)
    waiting = asyncio.ensure_future(reader.next())
    await log.append(EVENTS, 0, record(0))
    await waiting
    await log.append(EVENTS, 0, record(1))
    with pytest.raises(StopIteration) as stopped:
        reader.next().send(None)  # one step of the coroutine, with no loop to wait in
    assert [one.offset for one in stopped.value.value] == [1]
    await log.close()


@pytest.mark.parametrize(("count", "size"), [(3 * TAIL_RECORDS_MAX, 0), (300, 8 * TAIL_BYTES_MAX // 300)])
async def test_a_slow_reader_costs_bounded_memory_and_misses_nothing(tmp_path: Path, count: int, size: int) -> None:
    log = await EmbeddedLog.open(tmp_path, durability="process")
    reader = log.reader(EVENTS, 0, 0)
    waiting = asyncio.ensure_future(reader.next())
    await log.append(EVENTS, 0, record(0, size))
    await waiting
    for number in range(1, count):
        if number % 50:
            log.send(EVENTS, 0, record(number, size), lambda error: pytest.fail(str(error)))
        else:
            await log.append(EVENTS, 0, record(number, size))
            assert reader._tail_records <= TAIL_RECORDS_MAX
            assert reader._tail_bytes <= TAIL_BYTES_MAX
            assert sum(len(one.value) for chunk in reader._tail for one in chunk.records) == reader._tail_bytes
    gc.collect()
    position = 1
    while position < count:
        for one in await reader.next():
            assert one.offset == position
            assert one.value == record(position, size).value
            position += 1
    await log.append(EVENTS, 0, record(count, size))
    assert [one.offset for one in await reader.next()] == [count]
    await log.close()


async def test_close_lets_go_although_readers_exist_and_wait(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path)
    await log.append(EVENTS, 0, record(0))
    readers = [log.reader(EVENTS, 0, start) for start in (0, 1, 1)]
    waiting = [asyncio.ensure_future(reader.next()) for reader in readers]
    await asyncio.sleep(0)
    await asyncio.gather(log.close(), log.close())
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("runline log")]
    again = await EmbeddedLog.open(tmp_path)
    assert await again.ends(EVENTS, 0) == Ends(0, 1)
    await again.close()


async def test_close_writes_what_was_sent_in_the_same_turn_of_the_event_loop(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path)
    failures: list[Exception] = []
    for number in range(3):
        log.send(EVENTS, 0, record(number), failures.append)
    await log.close()
    again = await EmbeddedLog.open(tmp_path)
    assert [each.value for each in await again.read(EVENTS, 0, 0, 10)] == [b"0", b"1", b"2"]
    assert failures == []
    await again.close()


async def test_what_was_written_is_there_after_reopening_again_and_again(tmp_path: Path) -> None:
    expected: list[LogRecord] = []
    for turn in range(6):
        log = await EmbeddedLog.open(tmp_path, partitions=2, durability="process" if turn % 2 else "fsync")
        assert list(await log.read(EVENTS, 1, 0, 1000)) == expected
        for number in range(20):
            assert await log.append(EVENTS, 1, record(number)) == 20 * turn + number
        expected = list(await log.read(EVENTS, 1, 0, 1000))
        assert list(await log.read_key(EVENTS, 1, "run")) == expected
        await log.close()


async def lost_tail(tmp_path: Path) -> Path:
    """Return a copy of a log as a power loss may leave it: 5 records synced, 7 more written, 3 of these not on disk."""
    log = await EmbeddedLog.open(tmp_path / "log", durability="process")
    for number in range(5):
        await log.append(EVENTS, 0, record(number))
    await log.close()
    log = await EmbeddedLog.open(tmp_path / "log", durability="process")
    for number in range(5, 9):
        await log.append(EVENTS, 0, record(number))
    (wal,) = [file for file in (tmp_path / "log" / "store").glob("*.log") if file.stat().st_size]
    kept = wal.stat().st_size
    for number in range(9, 12):
        await log.append(EVENTS, 0, record(number))
    shutil.copytree(tmp_path / "log", tmp_path / "lost")
    await log.close()
    os.truncate(tmp_path / "lost" / "store" / wal.name, kept + 10)
    return tmp_path / "lost"


async def test_after_power_loss_a_log_of_durability_process_opens_shorter_and_says_by_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lost = await lost_tail(tmp_path)
    monkeypatch.setattr(acknowledged, "_boot_id", lambda: b"another boot id.")
    with caplog.at_level(logging.WARNING):
        log = await EmbeddedLog.open(lost, durability="process")
    assert "3 records" in caplog.text
    assert str(lost) in caplog.text
    assert await log.ends(EVENTS, 0) == Ends(0, 9)
    assert await log.append(EVENTS, 0, record(9)) == 9
    await log.close()
    caplog.clear()
    log = await EmbeddedLog.open(lost)
    assert caplog.text == "", "it is said once"
    assert await log.ends(EVENTS, 0) == Ends(0, 10)
    await log.close()


async def test_without_a_restart_of_the_machine_a_shorter_log_is_damage_in_any_mode(tmp_path: Path) -> None:
    lost = await lost_tail(tmp_path)
    before = {file: file.read_bytes() for file in lost.glob("store/*.log")}
    for _ in range(2):
        with pytest.raises(
            LogDamagedError, match=r"topic events, partition 0.*up to offset 11, found them up to offset 8"
        ):
            await EmbeddedLog.open(lost, durability="process")
    for file, content in before.items():
        assert file.read_bytes() == content, "what may still be saved must be left alone"


async def test_logs_beside_each_other_do_not_share_anything(tmp_path: Path) -> None:
    logs = [await EmbeddedLog.open(tmp_path / str(number)) for number in range(3)]
    await asyncio.gather(*(log.append(COMMANDS, 0, record(n)) for n, log in enumerate(logs) for _ in range(n)))
    assert [(await log.ends(COMMANDS, 0)).end for log in logs] == [0, 1, 2]
    await asyncio.gather(*(log.close() for log in logs))


async def test_the_time_never_goes_back_though_the_clock_does(tmp_path: Path) -> None:
    times = iter([5.0, 3.0, 6.0, 4.0])
    log = await EmbeddedLog.open(tmp_path / "log", clock=lambda: next(times))
    for number in range(3):
        await log.append(EVENTS, 0, Record("run", b"%d" % number, {}))
    await log.close()
    log = await EmbeddedLog.open(tmp_path / "log", clock=lambda: next(times))
    await log.append(EVENTS, 0, Record("run", b"3", {}))
    assert [found.timestamp for found in await log.read(EVENTS, 0, 0, 4)] == [5000, 5000, 6000, 6000]
    await log.close()


async def identities(log: EmbeddedLog | ReadOnlyLog) -> list[str]:
    found = [await log.topic_id(topic) for topic in TOPICS]
    await log.close()
    return found


async def test_topics_keep_their_identity_as_long_as_their_directory_lives(tmp_path: Path) -> None:
    made = await identities(await EmbeddedLog.open(tmp_path / "log"))
    assert await identities(await EmbeddedLog.open(tmp_path / "log")) == made
    assert await identities(await EmbeddedLog.open_reading(tmp_path / "log")) == made
    shutil.copytree(tmp_path / "log", tmp_path / "copy")
    assert await identities(await EmbeddedLog.open(tmp_path / "copy")) == made
    shutil.rmtree(tmp_path / "log")
    assert not set(made) & set(await identities(await EmbeddedLog.open(tmp_path / "log")))


@pytest.mark.parametrize("partitions", [1, 2])
async def test_a_log_that_took_the_place_of_another_is_not_taken_for_it(tmp_path: Path, partitions: int) -> None:
    log = await EmbeddedLog.open(tmp_path / "log")
    await log.append(EVENTS, 0, record(0))
    await log.close()
    reading = await EmbeddedLog.open_reading(tmp_path / "log")
    before = await reading.topic_id(EVENTS)
    shutil.rmtree(tmp_path / "log")
    with pytest.raises(LogError, match="but there is none"):
        await reading.refresh()
    log = await EmbeddedLog.open(tmp_path / "log", partitions)
    await log.append(EVENTS, 0, record(1))
    for _ in range(2):
        with pytest.raises(LogReplacedError, match="Open it anew"):
            await reading.refresh()
    assert await reading.ends(EVENTS, 0) == Ends(0, 1)
    assert await reading.topic_id(EVENTS) == before
    assert await log.topic_id(EVENTS) != before
    await reading.close()
    await log.close()
