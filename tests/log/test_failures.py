"""What cannot be done is refused with a reason and a way on, and whatever fails leaves the log whole."""

import asyncio
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from engine.errors import LogDamagedError, LogError, LogFullError, LogLockedError
from engine.log.embedded import EmbeddedLog
from engine.log.embedded.layout import META, META_KEY
from engine.log.errors import LogReadOnlyError
from engine.log.port import COMMANDS, EVENTS, Ends, Record
from engine.store.errors import StoreError
from engine.store.rocks import RocksStore
from tests.log import filling

ROOT = Path(__file__).parents[2]
MOUNT_READ_ONLY = 1
MOUNT_REMOUNT = 32
MOUNT_DETACH = 2


def record(number: int) -> Record:
    return Record("run", b"%d" % number, {})


def mount(path: Path, flags: int, options: str) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", flags, options.encode()) == 0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    if not mount(path, 0, "size=12m"):
        pytest.skip("this user may not mount; the test with a limit on file sizes covers the same ground")
    yield path
    ctypes.CDLL(None).umount2(os.fsencode(path), MOUNT_DETACH)


async def test_a_full_disk_fails_appends_by_name_and_the_log_goes_on_when_there_is_space(disk: Path) -> None:
    result = await filling.fill(disk / "log", lambda: None, lambda: mount(disk, MOUNT_REMOUNT, "size=200m"))
    assert result.readable_while_full


def test_a_limit_on_file_sizes_fails_appends_by_name_and_the_log_goes_on_without_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, filling.__file__, str(tmp_path / "log")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


async def test_a_disk_that_is_full_at_opening_is_named(disk: Path) -> None:
    (disk / "ballast").write_bytes(bytes(12 * 1024 * 1024 - 8192))
    with pytest.raises(LogFullError, match="no space left") as refusal:
        await EmbeddedLog.open(disk / "log")
    assert str(disk) in str(refusal.value)
    (disk / "ballast").unlink()
    log = await EmbeddedLog.open(disk / "log")
    assert await log.append(EVENTS, 0, record(0)) == 0
    await log.close()


async def test_a_read_only_disk_is_named_by_whoever_writes_and_read_by_whoever_reads(disk: Path) -> None:
    log = await EmbeddedLog.open(disk / "log")
    await log.append(EVENTS, 0, record(0))
    await log.close()
    assert mount(disk, MOUNT_REMOUNT | MOUNT_READ_ONLY, "")
    for place in (disk / "log", disk / "new"):
        with pytest.raises(LogError, match=r"Read-only file system.*Name a directory"):
            await EmbeddedLog.open(place)
    reading = await EmbeddedLog.open_reading(disk / "log")
    assert [one.value for one in await reading.read(EVENTS, 0, 0, 10)] == [record(0).value]
    await reading.refresh()
    await reading.close()
    assert mount(disk, MOUNT_REMOUNT, "size=12m")
    log = await EmbeddedLog.open(disk / "log")
    assert await log.ends(EVENTS, 0) == Ends(0, 1)
    await log.close()


async def test_a_failed_sync_leaves_the_outcome_to_the_log_and_offsets_without_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await EmbeddedLog.open(tmp_path)
    reader = log.reader(EVENTS, 0, 0)
    await log.append(EVENTS, 0, record(0))
    seen = [one.value for one in await reader.next()]
    following = asyncio.ensure_future(reader.next())
    errors: list[LogError] = []

    def fail(_: RocksStore) -> None:
        raise StoreError("a planted failure")

    with monkeypatch.context() as planted:
        planted.setattr(RocksStore, "flush", fail)
        log.send(EVENTS, 0, record(1), errors.append)
        with pytest.raises(LogError, match="a planted failure") as failure:
            await log.append(EVENTS, 0, record(2))
        assert str(tmp_path) in str(failure.value)
    assert len(errors) == 1
    assert await log.ends(EVENTS, 0) == Ends(0, 1), "nothing is visible before it is durable"
    # Both had reached the store; their writers were told that the outcome is unknown.
    assert await log.append(EVENTS, 0, record(3)) == 3
    assert [one.value for one in await log.read(EVENTS, 0, 0, 9)] == [b"0", b"1", b"2", b"3"]
    async with asyncio.timeout(60):
        seen += [one.value for one in await following]
        while len(seen) < 4:
            seen += [one.value for one in await reader.next()]
    assert seen == [b"0", b"1", b"2", b"3"]
    await log.close()


async def test_what_a_failed_group_left_in_other_partitions_is_shown_when_the_log_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await EmbeddedLog.open(tmp_path)
    waiting = asyncio.ensure_future(log.reader(COMMANDS, 0, 0).next())

    def fail(_: RocksStore) -> None:
        raise StoreError("a planted failure")

    with monkeypatch.context() as planted:
        planted.setattr(RocksStore, "flush", fail)
        with pytest.raises(LogError):
            await log.append(COMMANDS, 0, record(0))
    assert not waiting.done()
    assert await log.append(EVENTS, 0, record(1)) == 0
    async with asyncio.timeout(60):
        assert [one.value for one in await waiting] == [b"0"]
    assert await log.ends(COMMANDS, 0) == Ends(0, 1)
    await log.close()


async def test_offsets_of_a_write_that_did_not_happen_are_given_out_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await EmbeddedLog.open(tmp_path)
    await log.append(EVENTS, 0, record(0))

    def fail(*_: object) -> None:
        raise StoreError("a planted failure")

    with monkeypatch.context() as planted:
        planted.setattr(RocksStore, "write", fail)
        with pytest.raises(LogError):
            await log.append(EVENTS, 0, record(1))
    assert await log.append(EVENTS, 0, record(2)) == 1
    assert [one.value for one in await log.read(EVENTS, 0, 0, 9)] == [b"0", b"2"]
    await log.close()


async def test_a_store_that_cannot_be_opened_again_fails_everything_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await EmbeddedLog.open(tmp_path)
    await log.append(EVENTS, 0, record(0))

    def fail(*_: object, **__: object) -> None:
        raise StoreError("a planted failure")

    with monkeypatch.context() as planted:
        planted.setattr(RocksStore, "write", fail)
        planted.setattr(RocksStore, "_connect", fail)
        for _ in range(3):
            with pytest.raises(LogError, match="a planted failure"):
                await log.append(EVENTS, 0, record(1))
        with pytest.raises(LogError, match="cannot be read until"):
            await log.read(EVENTS, 0, 0, 1)
    assert await log.append(EVENTS, 0, record(2)) == 1
    assert len(await log.read(EVENTS, 0, 0, 9)) == 2
    await log.close()


async def test_an_unexpected_error_is_told_and_does_not_stop_the_log(tmp_path: Path) -> None:
    times = iter([1.0])
    log = await EmbeddedLog.open(tmp_path, clock=lambda: next(times))
    await log.append(EVENTS, 0, record(0))
    for _ in range(2):
        async with asyncio.timeout(60):
            with pytest.raises(LogError, match="StopIteration"):
                await log.append(EVENTS, 0, record(1))
    assert len(await log.read(EVENTS, 0, 0, 9)) == 1
    await log.close()


async def test_a_directory_is_open_for_writing_once_in_a_process_too(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path / "log")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "log")
    for path in (tmp_path / "log", link):
        with pytest.raises(LogLockedError, match="this process"):
            await EmbeddedLog.open(path)
    assert await log.append(EVENTS, 0, record(0)) == 0, "a refused opening must not disturb the first"
    log.reader(EVENTS, 0, 0)
    await log.close()
    again = await EmbeddedLog.open(link)
    await again.close()


@pytest.mark.parametrize(
    "name", ["with spaces", "ünïcode ✓", "quo'te\"s", "a\nb", "%s {} $HOME `id`", ".hidden", "a/b/c"]
)
async def test_directories_may_have_any_name_and_are_made(tmp_path: Path, name: str) -> None:
    for path in (tmp_path / name, str(tmp_path / name)):
        log = await EmbeddedLog.open(path)
        await log.append(EVENTS, 0, record(0))
        await log.close()
    reading = await EmbeddedLog.open_reading(tmp_path / name)
    assert await reading.ends(EVENTS, 0) == Ends(0, 2)
    await reading.close()


async def test_a_file_in_place_of_the_directory_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("important")
    for path in (file, file / "below"):
        with pytest.raises(LogError, match="file") as refusal:
            await EmbeddedLog.open(path)
        assert "Name a directory" in refusal.value.hint
        with pytest.raises(LogError, match="file"):
            await EmbeddedLog.open_reading(path)
    assert file.read_text() == "important"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("new/" + 300 * "x", "has at most 255 bytes, but found one with 300"),
        ("new/" + 2500 * "a/", "at most 4000 bytes, but found"),
        ("new/a\0b", "no null characters"),
        ("new/\udcff\udcfe", "in UTF-8"),
    ],
)
async def test_a_name_that_no_log_can_have_is_refused_before_anything_is_made(
    tmp_path: Path, name: str, said: str
) -> None:
    with pytest.raises(LogError, match=said):
        await EmbeddedLog.open(tmp_path / name)
    assert not (tmp_path / "new").exists()


async def test_a_name_that_is_too_long_to_be_looked_at_is_an_error_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="File name too long"):
        await EmbeddedLog.open_reading(tmp_path / (300 * "x"))


async def test_a_directory_that_cannot_be_made_is_named() -> None:
    with pytest.raises(LogError, match="/proc/log"):
        await EmbeddedLog.open("/proc/log")


async def test_other_files_in_the_directory_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    log = await EmbeddedLog.open(tmp_path)
    await log.close()
    assert (tmp_path / "notes.txt").read_text() == "mine"


async def test_another_number_of_partitions_is_refused_with_the_right_one(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path, partitions=3)
    await log.append(EVENTS, 2, record(0))
    await log.close()
    for wrong in (1, 2, 4, 12):
        with pytest.raises(LogError, match=f"to have {wrong} partitions, but it has 3"):
            await EmbeddedLog.open(tmp_path, partitions=wrong)
    log = await EmbeddedLog.open(tmp_path, partitions=3)
    assert await log.ends(EVENTS, 2) == Ends(0, 1)
    await log.close()


@pytest.mark.parametrize("partitions", [0, -1, 1025])
async def test_an_impossible_number_of_partitions_is_refused_with_the_limit(tmp_path: Path, partitions: int) -> None:
    with pytest.raises(LogError, match=f"between 1 and 1024 partitions, but found {partitions}"):
        await EmbeddedLog.open(tmp_path / "log", partitions)
    assert not (tmp_path / "log").exists()


async def test_a_newer_format_is_refused_by_its_number(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path)
    await log.close()
    store = RocksStore.open(tmp_path / "store", [META])
    about = orjson.loads(store.get(META, META_KEY) or b"")
    batch = store.batch()
    batch.put(META, META_KEY, orjson.dumps({**about, "format": 2}))
    store.write(batch)
    store.close()
    with pytest.raises(LogError, match=r"in format 1, but it has format 2.*newer"):
        await EmbeddedLog.open(tmp_path)
    with pytest.raises(LogError, match="format 2"):
        await EmbeddedLog.open_reading(tmp_path)


async def test_the_promises_of_another_log_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        log = await EmbeddedLog.open(tmp_path / name)
        await log.append(EVENTS, 0, record(0))
        await log.close()
    (tmp_path / "one" / "acknowledged").replace(tmp_path / "two" / "acknowledged")
    with pytest.raises(LogDamagedError, match="belongs to log"):
        await EmbeddedLog.open(tmp_path / "two")


async def test_a_log_opened_for_reading_refuses_to_write(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="expected an embedded log"):
        await EmbeddedLog.open_reading(tmp_path)
    log = await EmbeddedLog.open(tmp_path)
    await log.append(COMMANDS, 0, record(0))
    reading = await EmbeddedLog.open_reading(tmp_path)
    await log.append(COMMANDS, 0, record(1))
    assert await reading.ends(COMMANDS, 0) == Ends(0, 1)
    await reading.refresh()
    assert [one.value for one in await reading.read(COMMANDS, 0, 0, 9)] == [b"0", b"1"]
    assert [one.value for one in await reading.read_key(COMMANDS, 0, "run")] == [b"0", b"1"]
    with pytest.raises(LogReadOnlyError, match="beside its writer"):
        await reading.append(COMMANDS, 0, record(2))
    with pytest.raises(LogReadOnlyError):
        reading.send(COMMANDS, 0, record(2), lambda _: None)
    await reading.close()
    await log.append(COMMANDS, 0, record(2))
    await log.close()
