"""A damaged log gives exactly what was written, or says that it is damaged. Never less, and never something else."""

import asyncio
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import LogDamagedError
from engine.log.embedded import EmbeddedLog, acknowledged
from engine.log.embedded.layout import RECORDS, place_key, record_key
from engine.log.embedded.log import Durability
from engine.log.embedded.opening import FAMILIES
from engine.log.port import COMMANDS, EVENTS, LogRecord, Record
from engine.store import rocks
from engine.store.port import Batch
from engine.store.rocks import RocksStore

PARTITIONS = 2
KEYS = [f"run {number}" for number in range(20)]
PLACES = [(COMMANDS, 0), (COMMANDS, 1), (EVENTS, 0), (EVENTS, 1)]
Content = dict[tuple[str, int], list[LogRecord]]
Damage = Callable[[Path, random.Random], None]


async def write(log: EmbeddedLog, chance: random.Random, count: int) -> None:
    async def one(number: int) -> None:
        topic, partition = chance.choice(PLACES)
        value = chance.randbytes(chance.randrange(400)) + b"text " * chance.randrange(200)
        await log.append(topic, partition, Record(chance.choice(KEYS), value, {"number": str(number)}))

    for start in range(0, count, 25):
        await asyncio.gather(*(one(number) for number in range(start, min(count, start + 25))))


async def content_of(log: EmbeddedLog) -> Content:
    """Everything, read in every way there is; the ways must agree."""
    content = {}
    for topic, partition in PLACES:
        ends = await log.ends(topic, partition)
        found = list(await log.read(topic, partition, 0, ends.end))
        reader = log.reader(topic, partition, 0)
        read: list[LogRecord] = []
        while len(read) < ends.end:
            read += await reader.next()
        reader.close()
        assert read == found
        for key in KEYS:
            assert list(await log.read_key(topic, partition, key)) == [one for one in found if one.key == key]
        content[topic, partition] = found
    return content


async def make(tmp_path: Path, durability: Durability) -> tuple[Path, Content]:
    """Return a copy of a log whose writer was cut off, with closed tables and a write-ahead log, and its content."""
    original = tmp_path / "original"
    chance = random.Random(7)
    for _ in range(3):
        log = await EmbeddedLog.open(original, PARTITIONS, durability)
        await write(log, chance, 200)
        await log.close()
    log = await EmbeddedLog.open(original, PARTITIONS, durability)
    await write(log, chance, 300)
    crashed = tmp_path / "crashed"
    shutil.copytree(original, crashed)
    content = await content_of(log)
    await log.close()
    return crashed, content


def some_file(pattern: str) -> Callable[[Path, random.Random], Path]:
    def choose(log: Path, chance: random.Random) -> Path:
        return chance.choice(sorted(file for file in log.glob(pattern) if file.stat().st_size))

    return choose


def flip(pattern: str) -> Damage:
    def damage(log: Path, chance: random.Random) -> None:
        file = some_file(pattern)(log, chance)
        content = bytearray(file.read_bytes())
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        file.write_bytes(content)

    return damage


def overwrite(pattern: str, byte: bytes) -> Damage:
    def damage(log: Path, chance: random.Random) -> None:
        file = some_file(pattern)(log, chance)
        content = bytearray(file.read_bytes())
        start = chance.randrange(len(content))
        stop = min(len(content), start + chance.choice([7, 64, 4096, 40_000]))
        content[start:stop] = byte * (stop - start)
        file.write_bytes(content)

    return damage


def cut(pattern: str) -> Damage:
    def damage(log: Path, chance: random.Random) -> None:
        file = some_file(pattern)(log, chance)
        content = file.read_bytes()
        file.write_bytes(content[: chance.randrange(len(content))])

    return damage


def delete(pattern: str) -> Damage:
    def damage(log: Path, chance: random.Random) -> None:
        some_file(pattern)(log, chance).unlink()

    return damage


def empty(pattern: str) -> Damage:
    def damage(log: Path, chance: random.Random) -> None:
        some_file(pattern)(log, chance).write_bytes(b"")

    return damage


TABLES, WAL = "store/*.sst", "store/*.log"
DAMAGES: dict[str, Damage] = {
    "a flipped bit in a table": flip(TABLES),
    "zeros in a table": overwrite(TABLES, b"\0"),
    "a cut table": cut(TABLES),
    "a missing table": delete(TABLES),
    "a flipped bit in the write-ahead log": flip(WAL),
    "zeros in the write-ahead log": overwrite(WAL, b"\0"),
    "ones in the write-ahead log": overwrite(WAL, b"\xff"),
    "a cut write-ahead log": cut(WAL),
    "a missing write-ahead log": delete(WAL),
    "a flipped bit in the manifest": flip("store/MANIFEST*"),
    "a cut manifest": cut("store/MANIFEST*"),
    "a missing manifest": delete("store/MANIFEST*"),
    "a flipped bit in CURRENT": flip("store/CURRENT"),
    "an empty CURRENT": empty("store/CURRENT"),
    "a missing CURRENT": delete("store/CURRENT"),
    "a flipped bit in some file of the store": flip("store/*"),
    "a missing file of the store": delete("store/*"),
    "a flipped bit in the promises": flip("acknowledged"),
    "cut promises": cut("acknowledged"),
    "missing promises": delete("acknowledged"),
    "a missing store": lambda log, _: shutil.rmtree(log / "store"),
}
HARMLESS_AT_TIMES = {
    "a flipped bit in CURRENT",
    "a flipped bit in some file of the store",
    "a missing file of the store",
    "a flipped bit in the promises",
    "a flipped bit in a table",
    "a flipped bit in the manifest",
}
"""Kinds of damage that may hit nothing that matters: the second of two slots, a file that is only informative."""


async def outcome(log: Path, durability: Durability) -> Content | LogDamagedError:
    # A copy's tables have the same names in the cache as the original's: begin with a cold one.
    rocks._shared_cache.clear()
    try:
        opened = await EmbeddedLog.open(log, PARTITIONS, durability)
    except LogDamagedError as error:
        return error
    found: Content | LogDamagedError
    try:
        found = await content_of(opened)
    except LogDamagedError as error:
        found = error
    try:
        await opened.close()
    except LogDamagedError as error:  # found in the background meanwhile, when tables were merged
        found = error
    return found


@pytest.mark.parametrize("boot", ["same boot", "after a reboot"])
@pytest.mark.parametrize("durability", ["fsync", "process"])
async def test_a_damaged_log_gives_all_or_says_so(
    tmp_path: Path, durability: Durability, boot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, content = await make(tmp_path, durability)
    tail_may_be_lost = durability == "process" and boot == "after a reboot"
    if boot == "after a reboot":
        monkeypatch.setattr(acknowledged, "_boot_id", lambda: b"another boot id.")
    (written_ahead,) = (file.name for file in base.glob(WAL) if file.stat().st_size)
    refused: dict[str, int] = {}
    for name, damage in DAMAGES.items():
        for seed in range(4):
            copy = tmp_path / "damaged"
            shutil.copytree(base, copy)
            damage(copy, random.Random(f"{name} {seed}"))
            found = await outcome(copy, durability)
            if isinstance(found, LogDamagedError):
                assert str(copy) in str(found)
                if "write-ahead log" in name:
                    named = "none of which is there" if "missing" in name else written_ahead
                    assert named in str(found), (name, seed, found)
                refused[name] = refused.get(name, 0) + 1
            elif tail_may_be_lost and found != content:
                for place, records in found.items():  # what was not synced may be lost, but from the end alone
                    assert records == content[place][: len(records)], (name, seed, place)
            else:
                assert found == content, (name, seed)
            shutil.rmtree(copy)
    print(refused)
    if not tail_may_be_lost:
        assert {name for name in DAMAGES if name not in refused} <= HARMLESS_AT_TIMES


def alter(log: Path, changes: Callable[[RocksStore, Batch], None]) -> None:
    """Change what the store holds, as a database with a fault of its own would."""
    store = RocksStore.open(log / "store", FAMILIES)
    batch = store.batch()
    changes(store, batch)
    store.write(batch)
    store.close()


def stored(store: RocksStore, offset: int, partition: int = 0) -> tuple[bytes, bytes]:
    key = record_key(place_key(EVENTS, partition), offset)
    value = store.get(RECORDS, key)
    assert value is not None
    return key, value


def with_a_changed_byte(store: RocksStore, batch: Batch) -> None:
    key, value = stored(store, 5)
    batch.put(RECORDS, key, value[:-1] + bytes((value[-1] ^ 1,)))


def with_a_cut_record(store: RocksStore, batch: Batch) -> None:
    key, value = stored(store, 5)
    batch.put(RECORDS, key, value[:9])


def with_a_missing_record(store: RocksStore, batch: Batch) -> None:
    batch.delete(RECORDS, stored(store, 5)[0])


def with_records_in_each_others_place(store: RocksStore, batch: Batch) -> None:
    (one, one_value), (other, other_value) = stored(store, 5), stored(store, 6)
    batch.put(RECORDS, one, other_value)
    batch.put(RECORDS, other, one_value)


def with_a_record_of_another_partition(store: RocksStore, batch: Batch) -> None:
    batch.put(RECORDS, stored(store, 5)[0], stored(store, 5, partition=1)[1])


@pytest.mark.parametrize(
    "changes",
    [
        with_a_changed_byte,
        with_a_cut_record,
        with_a_missing_record,
        with_records_in_each_others_place,
        with_a_record_of_another_partition,
    ],
)
async def test_a_wrong_record_in_a_sound_database_is_named_by_every_way_of_reading(
    tmp_path: Path, changes: Callable[[RocksStore, Batch], None]
) -> None:
    log = await EmbeddedLog.open(tmp_path, PARTITIONS)
    for number in range(10):
        await log.append(EVENTS, 0, Record("run", b"%d" % number, {}))
        await log.append(EVENTS, 1, Record("run", b"other %d" % number, {}))
    await log.close()
    alter(tmp_path, changes)
    log = await EmbeddedLog.open(tmp_path, PARTITIONS)
    reading = await EmbeddedLog.open_reading(tmp_path)
    place = r"topic events, partition 0: .*offset 5"
    for opened in (log, reading):
        with pytest.raises(LogDamagedError, match=place):
            await opened.read(EVENTS, 0, 0, 10)
        with pytest.raises(LogDamagedError, match=place):
            await opened.read(EVENTS, 0, 5, 1)
        with pytest.raises(LogDamagedError, match=place):
            await opened.read_key(EVENTS, 0, "run")
        assert [one.value for one in await opened.read(EVENTS, 0, 0, 5)] == [b"0", b"1", b"2", b"3", b"4"]
        assert len(await opened.read(EVENTS, 1, 0, 10)) == 10
    with pytest.raises(LogDamagedError, match=place):
        await log.reader(EVENTS, 0, 0).next()
    await reading.close()
    await log.close()


async def test_a_hole_in_what_was_recovered_is_found_at_opening(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path / "log")
    for number in range(50):
        await log.append(EVENTS, 0, Record("run", b"%d" % number, {}))
    batch = log._opened.store.batch()
    batch.delete(RECORDS, record_key(place_key(EVENTS, 0), 20))
    log._opened.store.write(batch)
    shutil.copytree(tmp_path / "log", tmp_path / "crashed")
    await log.close()
    for _ in range(2):
        with pytest.raises(LogDamagedError, match=r"topic events, partition 0: expected offset 20, but found 19"):
            await EmbeddedLog.open(tmp_path / "crashed")


async def test_a_log_that_lost_its_first_records_is_refused(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path)
    for number in range(3):
        await log.append(EVENTS, 0, Record("run", b"%d" % number, {}))
    await log.close()
    alter(tmp_path, lambda store, batch: batch.delete(RECORDS, stored(store, 0)[0]))
    with pytest.raises(LogDamagedError, match=r"topic events, partition 0: expected a record at offset 0"):
        await EmbeddedLog.open(tmp_path)
