import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from engine.store.scratch import make_scratch


@pytest.fixture(autouse=True)
def _own_temporary_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def dead_process() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_what_killed_readers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left = tmp_path / f"runline-reading-{dead_process()}-abc"
    kept = [
        tmp_path / f"runline-reading-{os.getpid()}-abc",
        tmp_path / f"runline-reading-{os.getppid()}-abc",
        tmp_path / "runline-reading-abc",
        tmp_path / f"runline-reading-{10**30}-abc",
        tmp_path / f"other-{dead_process()}-abc",
    ]
    for directory in (left, *kept):
        directory.mkdir()
        (directory / "LOG").write_text("text")
    made = make_scratch()
    assert sorted(tmp_path.iterdir()) == sorted([made, *kept])


def test_every_reader_gets_a_directory_of_its_own() -> None:
    first, second = make_scratch(), make_scratch()
    assert first != second
    assert first.is_dir()
    assert second.is_dir()
