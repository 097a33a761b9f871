"""Fill a log until it refuses, make space, and check that nothing acknowledged is lost and that it goes on.

Run as a program with a directory, it does so under a limit on the size of files.
"""

import asyncio
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from engine.errors import LogError, LogFullError
from engine.log.embedded import EmbeddedLog
from engine.log.port import EVENTS, Record

FILE_BYTES = 2 * 1024 * 1024


class Result(NamedTuple):
    readable_while_full: bool


async def fill(directory: Path, stay_full: Callable[[], object], make_space: Callable[[], object]) -> Result:
    """Fill a log.

    `stay_full` is called at the first refusal, where a refused write would not keep the next one from working.
    """
    chance = Random(11)
    log = await EmbeddedLog.open(directory)
    reader = log.reader(EVENTS, 0, 0)
    acknowledged: dict[int, bytes] = {}
    failed: list[LogError] = []

    async def append(size: int = 50_000) -> None:
        value = chance.randbytes(size)
        acknowledged[await log.append(EVENTS, 0, Record("k", value, {}))] = value

    async def refusal() -> LogFullError | None:
        try:
            await append()
        except LogFullError as error:
            return error
        return None

    failures = 0
    while failures < 5:
        assert len(acknowledged) < 1000, "the disk never became full"
        error = await refusal()
        if error is not None:
            failures += 1
            stay_full()
            assert str(directory) in str(error)
            assert "Make space" in error.hint
    log.send(EVENTS, 0, Record("k", b"x" * 50_000, {}), failed.append)
    assert await refusal() is not None
    assert isinstance(failed[0], LogFullError)
    assert len(acknowledged) > 10
    try:
        readable = len(await log.read(EVENTS, 0, 0, 10_000)) == len(acknowledged)
    except LogError:
        readable = False
    make_space()
    for _ in range(30):
        await append()
    await check(log, acknowledged)
    seen = 0
    while seen < len(acknowledged):
        for found in await reader.next():
            assert found.offset == seen
            assert found.value == acknowledged[seen]
            seen += 1
    await log.close()
    log = await EmbeddedLog.open(directory)
    await check(log, acknowledged)
    await log.close()
    return Result(readable)


async def check(log: EmbeddedLog, acknowledged: dict[int, bytes]) -> None:
    found = await log.read(EVENTS, 0, 0, 10_000)
    assert [one.offset for one in found] == list(range(len(found)))
    for offset, value in acknowledged.items():
        assert found[offset].value == value


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    limit(FILE_BYTES)
    asyncio.run(fill(Path(sys.argv[1]), lambda: limit(FILE_BYTES // 100), lambda: limit(hard)))
    print("done")
