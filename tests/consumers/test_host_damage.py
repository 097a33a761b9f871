"""Recorded progress that is damaged: who meets it says what, where and how to go on, and that way leads on."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from consumers.host import LocalProgress, ServiceHost, Start
from consumers.host.local import FAMILIES, read_local
from engine.log.port import Log
from engine.store.errors import StoreDamagedError
from engine.store.rocks import RocksStore
from tests.consumers.test_host import SECONDS, Book, check_complete, hosting, parked_run
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock

HERE = b"000000"


def overwritten(pattern: str) -> Callable[[Path], None]:
    """Return what writes over some bytes of each file of this name."""

    def damage(directory: Path) -> None:
        for path in directory.glob(pattern):
            data = bytearray(path.read_bytes())
            data[40:44] = b"\xff" * 4
            path.write_bytes(data)

    return damage


def emptied(directory: Path) -> None:
    (directory / "CURRENT").write_bytes(b"")


def without_list(directory: Path) -> None:
    (directory / "CURRENT").unlink()


def with_row(family: str, key: bytes | None, value: bytes) -> Callable[[Path], None]:
    """Return what puts a row into the store; without a key in place of the first one."""

    def damage(directory: Path) -> None:
        store = RocksStore.open(directory, FAMILIES)
        batch = store.batch()
        batch.put(family, key or store.scan(family, b"", None, limit=1)[0][0], value)
        store.write(batch)
        store.close()

    return damage


DAMAGES = {
    "table": overwritten("*.sst"),
    "manifest": overwritten("MANIFEST-*"),
    "list-emptied": emptied,
    "list-gone": without_list,
    "positions": with_row("positions", HERE, b"no progress"),
    "parked": with_row("parked", None, b"{}"),
}


async def follow(log: Log, directory: Path) -> None:
    """Follow until the host cannot go on; whatever the reason, no call is made."""
    book = Book()
    progress = LocalProgress.open(directory, log.partitions)
    host = ServiceHost(log, {"book": book}, progress, start=Start.beginning(), clock=QuickClock())
    try:
        async with asyncio.timeout(SECONDS), host:
            await host.caught_up()
    finally:
        assert book.heard == []


def check_error(error: StoreDamagedError, directory: Path) -> None:
    assert str(directory) in error.args[0]
    assert error.hint.startswith(f"Move {directory} aside, and follow again with --from beginning, or a time")
    assert "services hear again" in error.hint
    assert "What was parked is forgotten; without --from they begin now" in error.hint


@pytest.fixture
async def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Log, Path]:
    """Return a log, and the progress of a group that has parked a change, all of it on the disk and nowhere else."""
    log, directory = SimulatedLog(), tmp_path / "group"
    await parked_run(log, directory)
    for _ in range(2):
        RocksStore.open(directory, FAMILIES).close()
    # Another process would not have read anything before.
    monkeypatch.setattr("engine.store.rocks._shared_cache", [])
    return log, directory


@pytest.mark.parametrize("kind", DAMAGES)
async def test_a_host_with_damaged_progress_ends_and_says_how_to_go_on_which_works(
    followed: tuple[Log, Path], kind: str
) -> None:
    log, directory = followed
    DAMAGES[kind](directory)
    for _ in range(2):
        with pytest.raises(StoreDamagedError) as failed:
            await follow(log, directory)
        check_error(failed.value, directory)
    directory.rename(directory.with_name("aside"))
    book = Book()
    async with hosting(log, directory, {"book": book}) as host:
        await host.caught_up()
    await check_complete(log, book)


@pytest.mark.parametrize("kind", DAMAGES)
async def test_who_reads_damaged_progress_or_resets_it_hears_how_to_go_on(
    followed: tuple[Log, Path], kind: str
) -> None:
    _, directory = followed
    DAMAGES[kind](directory)
    with pytest.raises(StoreDamagedError) as failed:
        read_local(directory)
    check_error(failed.value, directory)
    with pytest.raises(StoreDamagedError) as failed:
        LocalProgress.open(directory, 1).reset(("book",))
    check_error(failed.value, directory)


async def test_damaged_calls_end_the_host(followed: tuple[Log, Path]) -> None:
    log, directory = followed
    with_row("calls", HERE, b"no calls")(directory)
    with pytest.raises(StoreDamagedError, match="expected calls of services") as failed:
        await follow(log, directory)
    check_error(failed.value, directory)


def test_progress_of_what_is_no_partition_is_damage(followed: tuple[Log, Path]) -> None:
    _, directory = followed
    with_row("positions", b"first", b"{}")(directory)
    with pytest.raises(StoreDamagedError, match=r"expected partitions of the progress .* but found b'first'") as failed:
        read_local(directory)
    check_error(failed.value, directory)


def test_a_directory_in_which_nothing_was_begun_yet_is_no_damage(tmp_path: Path) -> None:
    # A process was killed before the file CURRENT was there: nothing has been recorded.
    (tmp_path / "MANIFEST-000001").write_bytes(b"")
    progress = LocalProgress.open(tmp_path, 1)
    asyncio.run(progress.leave())
    assert read_local(tmp_path) == ({}, [])
