"""Damage in a write-ahead log is said to be in that file, although RocksDB does not say where it is."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.store.errors import StoreDamagedError
from engine.store.rocks import RocksStore
from engine.store.write_ahead import with_file, write_ahead_logs

FAMILIES = ("one",)
OPENINGS: dict[str, Callable[[Path], RocksStore]] = {
    "writing": lambda directory: RocksStore.open(directory, FAMILIES),
    "following": lambda directory: RocksStore.open_reading(directory, FAMILIES),
    "inspecting": lambda directory: RocksStore.inspect(directory, FAMILIES),
}


def cut_off(directory: Path) -> Path:
    """Return a copy of a store whose writer was cut off."""
    store = RocksStore.open(directory / "store", FAMILIES)
    for number in range(20):
        batch = store.batch()
        batch.put("one", b"%d" % number, b"x" * 1_000)
        store.write(batch)
    store.flush()
    shutil.copytree(directory / "store", directory / "copy")
    store.close()
    return directory / "copy"


@pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)
def test_damage_in_a_write_ahead_log_names_the_file(tmp_path: Path, opening: Callable[[Path], RocksStore]) -> None:
    copy = cut_off(tmp_path)
    (file,) = copy.glob("*.log")
    content = bytearray(file.read_bytes())
    content[5_000] ^= 1
    file.write_bytes(content)
    with pytest.raises(StoreDamagedError, match=f"checksum mismatch in the write-ahead log {file.name}"):
        opening(copy)


def test_what_rocksdb_names_itself_stays_as_it_says_it(tmp_path: Path) -> None:
    copy = cut_off(tmp_path)
    (file,) = copy.glob("MANIFEST-*")
    content = bytearray(file.read_bytes())
    content[10] ^= 1
    file.write_bytes(content)
    with pytest.raises(StoreDamagedError, match=file.name) as raised:
        RocksStore.inspect(copy, FAMILIES)
    assert "write-ahead" not in str(raised.value)


def test_where_there_are_several_all_that_hold_something_are_named(tmp_path: Path) -> None:
    assert write_ahead_logs(tmp_path) == "a write-ahead log, none of which is there"
    (tmp_path / "000009.log").write_bytes(b"more")
    (tmp_path / "000012.log").write_bytes(b"")
    (tmp_path / "LOG").write_bytes(b"what RocksDB did")
    assert write_ahead_logs(tmp_path) == "the write-ahead log 000009.log"
    (tmp_path / "000005.log").write_bytes(b"something")
    assert with_file(tmp_path, "bad") == "bad in one of the write-ahead logs 000005.log, 000009.log"
    assert with_file(tmp_path, "bad block in 000004.sst") == "bad block in 000004.sst"
