"""On a full disk folding waits, says so, and goes on when there is space."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engine.store.errors import StoreError, StoreFullError
from projections import Projector, Views
from tests.projections import filling
from tests.projections.folding import fold
from tests.projections.forging import make_runs
from tests.simulation.log import SimulatedLog

ROOT = Path(__file__).parents[2]
DISK_BYTES = 4 * 1024 * 1024
MOUNT_READ_ONLY = 1
MOUNT_REMOUNT = 32
MOUNT_DETACH = 2


def mount(path: Path, flags: int, options: str) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", flags, options.encode()) == 0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    if not mount(path, 0, f"size={DISK_BYTES}"):
        pytest.skip("this user may not mount; the test with a limit on file sizes covers the same ground")
    yield path
    ctypes.CDLL(None).umount2(os.fsencode(path), MOUNT_DETACH)


async def test_folding_waits_on_a_full_disk_and_goes_on_when_there_is_space(
    disk: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trouble, _ = await filling.fill(
        disk / "views", tmp_path / "from zero", lambda: mount(disk, MOUNT_REMOUNT, "size=200m")
    )
    assert str(disk) in trouble
    assert any(record.levelname == "ERROR" and "Folding goes on" in record.message for record in caplog.records)
    assert sum("Folding goes on" in record.message for record in caplog.records) < 10, "it is not said again and again"


def test_folding_waits_where_files_may_not_grow_and_goes_on_when_they_may(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", filling.__name__, str(tmp_path / "views"), str(tmp_path / "from zero")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "views") in done.stdout


async def test_a_disk_that_is_full_from_the_beginning_is_named_and_what_was_there_stays(
    disk: Path,
) -> None:
    log = SimulatedLog()
    await make_runs(log, 5)
    whole = await fold(log, disk / "views")
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)) == 4096:
            pass
    for path in (disk / "views", disk / "new"):
        with pytest.raises(StoreFullError, match=str(path)):
            async with Projector(log, path):
                pass
    async with Views.open(disk / "views") as views:
        assert len((await views.list_runs()).items) == 5
    ballast.unlink()
    assert await fold(log, disk / "views") == whole
    assert await fold(log, disk / "new") == whole


async def test_a_read_only_disk_is_named_by_whoever_folds_and_its_views_can_be_asked(disk: Path) -> None:
    log = SimulatedLog()
    await make_runs(log, 5)
    whole = await fold(log, disk / "views")
    assert mount(disk, MOUNT_REMOUNT | MOUNT_READ_ONLY, "")
    for path in (disk / "views", disk / "new"):
        with pytest.raises(StoreError, match="Read-only file system"):
            async with Projector(log, path):
                pass
    async with Views.open(disk / "views") as views:
        assert len((await views.list_runs()).items) == 5
    assert mount(disk, MOUNT_REMOUNT, f"size={DISK_BYTES}")
    assert await fold(log, disk / "views") == whole
