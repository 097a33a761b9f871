"""The store: what a sorted dictionary would do, kept on disk, with damage noticed."""

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rocksdict import Rdict

from engine.errors import ClosedError
from engine.store import rocks
from engine.store.errors import StoreDamagedError, StoreError, StoreLockedError
from engine.store.port import pages, prefix_end
from engine.store.rocks import RocksStore

FAMILIES = ("one", "two")


def put(store: RocksStore, rows: dict[bytes, bytes], family: str = "one") -> None:
    batch = store.batch()
    for key, value in rows.items():
        batch.put(family, key, value)
    store.write(batch)


def many(count: int) -> dict[bytes, bytes]:
    chance = Random(5)
    return {b"%08d" % number: chance.randbytes(200) for number in range(count)}


keys = st.binary(max_size=4) | st.lists(st.sampled_from([0, 1, 255]), max_size=5).map(bytes)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_scan_gives_what_a_sorted_dictionary_gives(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    rows = data.draw(st.dictionaries(keys, st.binary(max_size=20), max_size=30))
    store = RocksStore.open(tmp_path_factory.mktemp("store"), FAMILIES)
    put(store, rows)
    put(store, {b"other": b"family"}, "two")
    for _ in range(10):
        start, end = data.draw(keys), data.draw(st.none() | keys)
        limit, reverse = data.draw(st.integers(1, 40)), data.draw(st.booleans())
        expected = sorted((key, rows[key]) for key in rows if start <= key and (end is None or key < end))
        expected = (expected[::-1] if reverse else expected)[:limit]
        assert store.scan("one", start, end, limit=limit, reverse=reverse) == expected
        assert store.get("one", start) == rows.get(start)
    assert [row for page in pages(store, "one", b"", None, 7) for row in page] == sorted(rows.items())
    store.close()


@given(prefix=keys, key=keys)
def test_the_end_of_a_prefix_is_behind_all_its_keys_and_before_all_others(prefix: bytes, key: bytes) -> None:
    end = prefix_end(prefix)
    assert (prefix <= key and (end is None or key < end)) == key.startswith(prefix)


def test_a_scan_stops_at_the_row_that_reaches_the_bytes(tmp_path: Path) -> None:
    store = RocksStore.open(tmp_path, FAMILIES)
    put(store, many(100))
    for size, rows in ((1, 1), (200, 1), (201, 2), (1000, 5), (10**6, 100)):
        assert len(store.scan("one", b"", None, limit=1000, bytes_max=size)) == rows
        assert len(store.scan("one", b"", None, limit=1000, bytes_max=size, reverse=True)) == rows
    store.close()


def test_a_batch_puts_and_deletes_over_families_together(tmp_path: Path) -> None:
    store = RocksStore.open(tmp_path, FAMILIES)
    put(store, {b"a": b"1", b"b": b"2"})
    batch = store.batch()
    batch.put("two", b"a", b"3")
    batch.delete("one", b"a")
    batch.delete("one", b"never there")
    batch.put("one", b"b", b"")
    assert store.get("one", b"a") == b"1", "nothing happens before the write"
    store.write(batch)
    assert (store.get("one", b"a"), store.get("one", b"b"), store.get("two", b"a")) == (None, b"", b"3")
    store.close()


def test_a_list_of_tables_that_rocksdb_would_read_for_ever_is_refused(tmp_path: Path) -> None:
    RocksStore.open(tmp_path, FAMILIES).close()
    manifest = tmp_path / (tmp_path / "CURRENT").read_text().strip()
    sound = manifest.read_bytes()
    place, places = 0, []
    while place + 7 <= len(sound):
        places.append(place)
        place += 7 + int.from_bytes(sound[place + 4 : place + 6], "little")
    assert place == len(sound)
    for each in places:
        # One flipped bit makes the type of a whole record, 1, that of one in a file which is used again, 5.
        manifest.write_bytes(sound[: each + 6] + bytes([sound[each + 6] ^ 4]) + sound[each + 7 :])
        with pytest.raises(StoreDamagedError, match=f"a record of type 5 at {each}"):
            RocksStore.open(tmp_path, FAMILIES)
    manifest.write_bytes(sound)
    RocksStore.open(tmp_path, FAMILIES).close()


def test_what_was_written_survives_reopening_with_and_without_a_close(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from engine.store.rocks import RocksStore\n"
        "store = RocksStore.open(Path(sys.argv[1]), ['one'])\n"
        "batch = store.batch(); batch.put('one', b'from', b'another process'); store.write(batch); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 9
    for turn in range(3):
        store = RocksStore.open(tmp_path, FAMILIES)
        assert store.get("one", b"from") == b"another process"
        assert len(store.scan("one", b"", None, limit=100)) == turn + 1
        put(store, {b"turn %d" % turn: b""})
        store.flush()
        store.close()


def test_options_survive_reopening_even_with_fewer_families(tmp_path: Path) -> None:
    for families in (FAMILIES, ("one",), (), FAMILIES):
        store = RocksStore.open(tmp_path, families)
        store.close()
        (written,) = [max(tmp_path.glob("OPTIONS-*"), key=lambda file: file.name)]
        text = written.read_text()
        sections = dict(
            re.findall(r'\[((?:CFOptions|TableOptions/BlockBasedTable) "\w+")\](.*?)(?=\n\[|\Z)', text, re.DOTALL)
        )
        for family in ("default", *FAMILIES):
            table = sections[f'TableOptions/BlockBasedTable "{family}"']
            assert "filter_policy=bloomfilter\n" in table
            assert "cache_index_and_filter_blocks=true" in table
            assert f"block_size={16 * 1024}\n" in table
            options = sections[f'CFOptions "{family}"']
            assert "compression=kLZ4Compression" in options
            assert "bottommost_compression=kZSTD" in options
        assert "paranoid_checks=true" in text
        assert "max_total_wal_size=33554432" in text
        assert "db_write_buffer_size=16777216" in text
        assert "wal_recovery_mode=kTolerateCorruptedTailRecords" in text


def test_all_stores_of_a_process_share_one_cache(tmp_path: Path) -> None:
    stores = [RocksStore.open(tmp_path / str(number), FAMILIES) for number in range(3)]
    assert len(rocks._shared_cache) == 1
    for store in stores:
        store.close()


def test_a_second_opening_for_writing_is_refused_and_possible_after_close(tmp_path: Path) -> None:
    store = RocksStore.open(tmp_path, FAMILIES)
    batch = store.batch()  # a batch that is still alive must not keep the directory locked
    with pytest.raises(StoreLockedError, match=re.escape(str(tmp_path))):
        RocksStore.open(tmp_path, FAMILIES)
    store.close()
    again = RocksStore.open(tmp_path, FAMILIES)
    again.close()
    with pytest.raises(KeyError):
        batch.put("one", b"a", b"b")


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = RocksStore.open(tmp_path, FAMILIES)
    batch = store.batch()
    store.close()
    store.close()
    with pytest.raises(ClosedError, match="closed"):
        store.get("one", b"a")
    with pytest.raises(ClosedError):
        store.scan("one", b"a", None, limit=1)
    with pytest.raises(ClosedError):
        store.write(batch)
    with pytest.raises(ClosedError):
        store.flush()


def test_a_missing_store_is_not_made_when_it_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(StoreDamagedError):
        RocksStore.open(tmp_path / "none", FAMILIES, create=False)
    with pytest.raises(StoreDamagedError):
        RocksStore.open_reading(tmp_path / "none", FAMILIES)
    with pytest.raises(StoreDamagedError):
        RocksStore.inspect(tmp_path / "none", FAMILIES)
    assert not (tmp_path / "none" / "CURRENT").exists()


@pytest.mark.parametrize("opening", [RocksStore.open, RocksStore.open_reading, RocksStore.inspect])
def test_a_store_of_another_kind_is_refused_and_stays_as_it_is(
    tmp_path: Path, opening: Callable[[Path, Sequence[str]], RocksStore]
) -> None:
    store = RocksStore.open(tmp_path, FAMILIES)
    put(store, {b"k": b"v"})
    store.close()
    with pytest.raises(StoreError, match=f"with other, more in {tmp_path}, but found one with one, two") as raised:
        opening(tmp_path, ("other", "more"))
    assert not isinstance(raised.value, StoreDamagedError)
    assert sorted(Rdict.list_cf(str(tmp_path))) == ["default", "one", "two"]
    # A later version of the same kind has families that this one lacks.
    store = RocksStore.open(tmp_path, (*FAMILIES, "three"))
    assert store.get("one", b"k") == b"v"
    store.close()


def test_a_file_in_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file"):
        RocksStore.open(tmp_path / "file", FAMILIES)


def test_a_reader_beside_the_writer_sees_writes_when_it_refreshes(tmp_path: Path) -> None:
    store = RocksStore.open(tmp_path, FAMILIES)
    put(store, {b"a": b"1"})
    reading = RocksStore.open_reading(tmp_path, FAMILIES)
    assert reading.get("one", b"a") == b"1"
    put(store, {b"a": b"2", b"b": b"3"})
    assert reading.get("one", b"a") == b"1"
    reading.refresh()
    assert reading.scan("one", b"", None, limit=9) == [(b"a", b"2"), (b"b", b"3")]
    scratch = reading._scratch
    reading.close()
    assert scratch is not None
    assert not Path(scratch).exists()
    store.close()


def test_a_reader_sees_all_rows_whenever_the_writer_begins_anew(tmp_path: Path) -> None:
    """Each time, the writer puts the rows of its write-ahead log into a table and removes the log."""
    promise = tmp_path / "promise"
    store = tmp_path / "store"
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.store.reopening", store, promise, "400"], cwd=Path(__file__).parents[2]
    )
    try:
        while not promise.exists():
            assert writer.poll() is None
        reading = RocksStore.open_reading(store, FAMILIES)
        promised = looks = 0
        while writer.poll() is None:
            promised = int(promise.read_text())
            if looks % 10 == 9:
                reading.reopen()
            reading.refresh()
            for family in ("one", "two"):
                rows = reading.scan(family, b"", None, limit=1000)
                assert [int.from_bytes(key, "big") for key, _ in rows[:promised]] == [*range(promised)]
            looks += 1
        reading.close()
    finally:
        writer.kill()
        writer.wait()
    assert writer.returncode == 0
    assert promised > 100
    assert looks > 10


def test_a_checkpoint_is_a_copy_that_stands_on_its_own(tmp_path: Path) -> None:
    store = RocksStore.open(tmp_path / "store", FAMILIES)
    put(store, many(1000))
    store.checkpoint(tmp_path / "copy")
    put(store, {b"later": b""})
    store.close()
    copy = RocksStore.open(tmp_path / "copy", FAMILIES)
    assert dict(row for page in pages(copy, "one", b"", None, 100) for row in page) == many(1000)
    copy.close()


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_table_is_never_a_shorter_scan(tmp_path: Path, seed: int) -> None:
    rows = many(3000)
    store = RocksStore.open(tmp_path, FAMILIES)
    put(store, rows)
    store.close()
    rocks._shared_cache.clear()
    table = max(tmp_path.glob("*.sst"), key=lambda file: file.stat().st_size)
    content = bytearray(table.read_bytes())
    at = Random(seed).randrange(int(len(content) * 0.9))  # behind that are notes that nobody reads
    content[at] ^= 0x10
    table.write_bytes(content)
    damaged = RocksStore.open(tmp_path, FAMILIES)
    for reverse in (False, True):
        with pytest.raises(StoreDamagedError, match=re.escape(str(tmp_path))):
            damaged.scan("one", b"", None, limit=10_000, reverse=reverse)
    damaged.close()


def test_memory_does_not_grow_with_what_is_stored(tmp_path: Path) -> None:
    program = """
import random, sys
from pathlib import Path
from engine.store.rocks import RocksStore

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

chance = random.Random(1)
store = RocksStore.open(Path(sys.argv[1]), ["one"])

def write(start, stop):
    for number in range(start, stop, 100):
        batch = store.batch()
        for one in range(number, number + 100):
            batch.put("one", b"%012d" % chance.randrange(10**12), chance.randbytes(1000))
        store.write(batch)
    key = b""
    while rows := store.scan("one", key, None, limit=500):
        key = rows[-1][0] + b"\\0"

write(0, 50_000)
before = resident()
write(50_000, 250_000)
print(resident() - before)
store.close()
"""
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not say how much memory is resident")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 40 * 1024 * 1024
