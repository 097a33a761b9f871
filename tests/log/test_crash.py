"""Whatever was acknowledged is there after the writer was killed, at any moment and however often."""

import asyncio
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import LogLockedError
from engine.log.embedded import Durability, EmbeddedLog
from engine.log.port import EVENTS, LogRecord
from tests.log import appending

ROOT = Path(__file__).parents[2]
PARTITIONS = 3
Acknowledged = dict[tuple[int, int], tuple[int, int, int]]
"""Partition and offset -> seed, writer and number."""


@contextmanager
def appender(
    directory: Path, durability: Durability, seed: int, until: str = "open"
) -> Iterator[subprocess.Popen[str]]:
    """Start the program and wait until it is `opening` or has the log `open`."""
    with subprocess.Popen(
        [sys.executable, appending.__file__, str(directory), str(PARTITIONS), durability, str(seed)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "opening\n"
            if until == "open":
                assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def killed_after(process: subprocess.Popen[str], count: int, seed: int) -> Acknowledged:
    """Return what was acknowledged up to the kill, which comes when so much was told: sooner or later, it is enough."""
    assert process.stdout is not None
    acknowledged: Acknowledged = {}
    if not count:
        process.kill()
    for line in process.stdout:
        if line.endswith("\n") and len(fields := line.split()) == 4:
            partition, offset, writer, number = (int(field) for field in fields)
            acknowledged[partition, offset] = (seed, writer, number)
            if len(acknowledged) == count:
                process.kill()
    return acknowledged


def killed_soon(process: subprocess.Popen[str], seconds: float, seed: int) -> Acknowledged:
    """Return what was acknowledged up to the kill, which comes after a time, whatever was done until then."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    acknowledged = killed_after(process, -1, seed)
    timer.join()
    return acknowledged


def check(found: dict[int, list[LogRecord]], acknowledged: Acknowledged) -> None:
    for records in found.values():
        assert [one.offset for one in records] == list(range(len(records)))
        for one in records:
            seed, number = int(one.headers["seed"]), int(one.headers["number"])
            written = appending.record(seed, int(one.key.removeprefix("writer ")), number)
            assert (one.key, one.value, one.headers) == written
    for (partition, offset), (seed, writer, number) in acknowledged.items():
        written = appending.record(seed, writer, number)
        one = found[partition][offset]
        assert (one.key, one.value, one.headers) == written


@pytest.mark.parametrize("durability", ["fsync", "process"])
async def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path, durability: Durability) -> None:
    seed = 42
    print("seed", seed)
    chance = random.Random(seed)
    acknowledged: Acknowledged = {}
    for kill in range(12):
        with appender(tmp_path, durability, kill) as process:
            acknowledged |= killed_after(process, chance.randrange(400), kill)
        log = await EmbeddedLog.open(tmp_path, PARTITIONS, durability)
        found = {}
        for partition in range(PARTITIONS):
            found[partition] = list(await log.read(EVENTS, partition, 0, (await log.ends(EVENTS, partition)).end))
            by_key = await log.read_key(EVENTS, partition, "writer 3")
            assert list(by_key) == [one for one in found[partition] if one.key == "writer 3"]
        check(found, acknowledged)
        await log.close()


async def test_a_writer_killed_while_it_opens_leaves_a_whole_log(tmp_path: Path) -> None:
    chance = random.Random(3)
    with appender(tmp_path, "fsync", 0) as process:
        acknowledged = killed_after(process, 200, 0)
    for kill in range(1, 13):
        with appender(tmp_path, "fsync", kill, until="opening") as process:
            acknowledged |= killed_soon(process, chance.uniform(0, 0.08), kill)
    log = await EmbeddedLog.open(tmp_path, PARTITIONS)
    found = {
        partition: list(await log.read(EVENTS, partition, 0, (await log.ends(EVENTS, partition)).end))
        for partition in range(PARTITIONS)
    }
    await log.close()
    check(found, acknowledged)


async def test_a_log_is_read_beside_its_running_writer(tmp_path: Path) -> None:
    with appender(tmp_path, "fsync", 5) as process:
        reading = await EmbeddedLog.open_reading(tmp_path)
        assert reading.partitions == PARTITIONS
        found: dict[int, list[LogRecord]] = {}
        grown = 0
        while grown < 3000:
            await reading.refresh()
            for partition in range(PARTITIONS):
                end = (await reading.ends(EVENTS, partition)).end
                found[partition] = list(await reading.read(EVENTS, partition, 0, end))
            check(found, {})
            now = sum(len(records) for records in found.values())
            assert now >= grown
            grown = now
        by_key = list(await reading.read_key(EVENTS, 1, "writer 2"))
        assert by_key == [one for one in found[1] if one.key == "writer 2"]
        acknowledged = killed_after(process, 0, 5)
    # The writer is gone; the next one begins with other files.
    with appender(tmp_path, "fsync", 6) as process:
        acknowledged |= killed_after(process, 200, 6)
    await reading.refresh()
    found = {
        partition: list(await reading.read(EVENTS, partition, 0, (await reading.ends(EVENTS, partition)).end))
        for partition in range(PARTITIONS)
    }
    check(found, acknowledged)
    await reading.close()


async def test_a_log_is_followed_beside_writers_that_are_killed_one_after_the_other(tmp_path: Path) -> None:
    seed = 7
    print("seed", seed)
    chance = random.Random(seed)
    await (await EmbeddedLog.open(tmp_path, PARTITIONS)).close()
    reading = await EmbeddedLog.open_reading(tmp_path)
    found: dict[int, list[LogRecord]] = {partition: [] for partition in range(PARTITIONS)}

    async def follow(partition: int) -> None:
        reader = reading.reader(EVENTS, partition, 0)
        while True:
            found[partition] += await reader.next()

    followers = [asyncio.create_task(follow(partition)) for partition in range(PARTITIONS)]
    acknowledged: Acknowledged = {}

    def write(kill: int) -> None:
        with appender(tmp_path, "process", kill) as process:
            acknowledged.update(killed_after(process, chance.randrange(1, 400), kill))

    for kill in range(6):
        await asyncio.to_thread(write, kill)
    writer = await EmbeddedLog.open(tmp_path, PARTITIONS)
    ends = [await writer.append(EVENTS, partition, appending.record(99, 1, 1)) + 1 for partition in range(PARTITIONS)]
    reader = reading.reader(EVENTS, 0, ends[0] - 1)
    await reader.next()
    while [len(found[partition]) for partition in range(PARTITIONS)] != ends:
        assert not any(follower.done() for follower in followers)
        await asyncio.sleep(0)
    check(found, acknowledged)
    for follower in followers:
        follower.cancel()
    await reading.close()
    await writer.close()


async def test_a_second_writer_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    with appender(tmp_path, "fsync", 0) as process:
        with pytest.raises(LogLockedError, match=f"process {process.pid}") as refusal:
            await EmbeddedLog.open(tmp_path, PARTITIONS)
        assert str(tmp_path) in str(refusal.value)
        assert "runline show" in refusal.value.hint
    log = await EmbeddedLog.open(tmp_path, PARTITIONS)
    await log.close()
