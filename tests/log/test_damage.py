"""A damaged log gives exactly what was written, or says that it is damaged. Never less, and never something else."""

import asyncio
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import LogDamagedError
from engine.log.embedded import EmbeddedLog, acknowledged
from engine.log.embedded.log import Durability
from engine.log.port import COMMANDS, EVENTS, LogRecord, Record
from engine.store import rocks

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
    refused: dict[str, int] = {}
    for name, damage in DAMAGES.items():
        for seed in range(4):
            copy = tmp_path / "damaged"
            shutil.copytree(base, copy)
            damage(copy, random.Random(f"{name} {seed}"))
            found = await outcome(copy, durability)
            if isinstance(found, LogDamagedError):
                assert str(copy) in str(found)
                refused[name] = refused.get(name, 0) + 1
            elif tail_may_be_lost and found != content:
                for place, records in found.items():  # what was not synced may be lost, but from the end alone
                    assert records == content[place][: len(records)], (name, seed, place)
            else:
                assert found == content, (name, seed)
            shutil.rmtree(copy)
    print(refused)  # noqa: T201 shows which damage was noticed when the next line fails
    if not tail_may_be_lost:
        assert {name for name in DAMAGES if name not in refused} <= HARMLESS_AT_TIMES
