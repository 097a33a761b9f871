"""SIGKILL while a host works: every change is heard, in the order of its run, and little is heard twice."""

import asyncio
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from pathlib import Path

from consumers.host.local import read_local
from engine import EngineService
from engine.log.embedded import EmbeddedLog
from engine.log.port import EVENTS, Log
from tests.consumers.test_host import told
from tests.support.workflows import END, chain, code, registry

ROOT = Path(__file__).parents[2]
KILLS = 12
SECONDS = 300


async def begin(location: object, group: object, heard: Path) -> Process:
    """Start a host, and wait until it follows."""
    command = (sys.executable, "-m", "tests.consumers.worker", str(location), str(group), str(heard))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"follows\n"
    return process


async def end(process: Process) -> None:
    """Let a host end in order."""
    assert process.stdin is not None
    process.stdin.close()
    assert await process.wait() == 0


def size(heard: Path) -> int:
    return heard.stat().st_size if heard.exists() else 0


async def grown(heard: Path, size_before: int) -> None:
    """Wait until a host has written something."""
    while size(heard) <= size_before:  # noqa: ASYNC110 - another process writes
        await asyncio.sleep(0.005)


async def check_heard(log: Log, lines: list[str]) -> float:
    """Check that both services heard all changes in order, and return how many lines there are for each change."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in lines:
        name, event, run_id, *_ = line.split()
        found[name, run_id].append(event)
    changes = await told(log)
    for name in ("first", "second"):
        for run_id, expected in changes.items():
            ids = [event for event, _ in expected]
            assert list(dict.fromkeys(found[name, run_id])) == ids, (name, run_id)
            check_repeats(found[name, run_id], ids)
    return len(lines) / 2 / sum(map(len, changes.values()))


def check_repeats(heard: list[str], order: list[str]) -> None:
    """Check that a run only ever goes one change on, or back to one that was heard before."""
    furthest = -1
    for event in heard:
        place = order.index(event)
        assert place <= furthest + 1
        furthest = max(furthest, place)


def read_lines(heard: Path) -> list[str]:
    return heard.read_text().splitlines()


async def busy(engine: EngineService) -> None:
    """Start runs all the time."""
    while True:
        await engine.run_workflow("w", {})
        await asyncio.sleep(0.01)  # the hosts need the machine, too


async def test_kills_beside_a_writer_of_an_embedded_log_lose_no_change_and_keep_the_order(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    log = await EmbeddedLog.open(tmp_path / "log", 2, "process")
    heard = tmp_path / "heard"
    async with asyncio.timeout(SECONDS), EngineService.open(log, registry(), executor=True) as engine:
        await engine.publish_workflow(chain(code("a", "add"), code("b", "add"), END, workflow_id="w"))
        await engine.run_workflow("w", {})
        working = asyncio.create_task(busy(engine))
        for _ in range(KILLS):
            before = size(heard)
            process = await begin(tmp_path / "log", tmp_path / "group", heard)
            await grown(heard, before)
            await asyncio.sleep(chance.uniform(0, 0.1))  # in real time: it has no clock of ours
            process.send_signal(signal.SIGKILL)
            await process.wait()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        process = await begin(tmp_path / "log", tmp_path / "group", heard)
        # Asked again each time: what was under way when the callers went is still being written.
        while progress_of(tmp_path / "group") != await ends_of(log):  # noqa: ASYNC110 - another process works
            await asyncio.sleep(0.02)
        await end(process)
    print(f"{await check_heard(log, read_lines(heard)):.2f} lines for each change")
    await log.close()


def progress_of(group: Path) -> dict[int, int]:
    progress, parked = read_local(group)
    assert parked == []
    return {number: each.lowest for number, each in progress.items()}


async def ends_of(log: Log) -> dict[int, int]:
    return {number: (await log.ends(EVENTS, number)).end for number in range(log.partitions)}
