"""Workers: who ends by itself is told on, and nobody outlives the owner."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.diary import Diary
from tests.chaos.keeping import ROOT, Nursery, Seat
from tests.kafka.engines import eventually

NOBODY = "kafka://127.0.0.1:1/nobody"
"""Where no broker answers, for which a worker waits 15 s when it begins."""
OWNER = f"""
import asyncio, pathlib, signal, sys
from tests.chaos.keeping import Nursery

async def main():
    async with Nursery() as nursery:
        for _ in range(2):
            worker = await nursery.begin("folder", ["{NOBODY}", sys.argv[1]], pathlib.Path(sys.argv[1]) / "said")
            print(worker.pid, flush=True)
        worker.send(signal.SIGSTOP)
        await asyncio.Future()

asyncio.run(main())
"""


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_no_worker_outlives_its_owner_not_even_one_that_stands_still(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(tmp_path), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    workers = [int(await owner.stdout.readline()) for _ in range(2)]
    owner.kill()
    await owner.wait()
    for worker in workers:
        await eventually(lambda pid=worker: gone(pid), "the end of a worker")  # type: ignore[misc]  # bound now


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGSEGV])
async def test_a_worker_that_ends_by_itself_is_a_violation_and_is_replaced(
    tmp_path: Path, ending: signal.Signals
) -> None:
    diary = Diary(tmp_path / "diary")
    async with Nursery() as nursery:
        seat = Seat(nursery, diary, "FOLDER0", [NOBODY, str(tmp_path)], tmp_path / "said")
        seat.join()
        await eventually(lambda: seat.pid != 0, "the first worker")
        first = seat.pid
        os.kill(first, ending)
        await eventually(lambda: seat.pid != first, "the second worker")
        assert [f"{first}" in text and f"{-ending}" in text for text in diary.violations] == [True]
        second = seat.pid
        seat.kill(0.0)
        await eventually(lambda: seat.pid != second, "the third worker")
        leaving = asyncio.create_task(seat.leave())
        await asyncio.sleep(0)
        seat.kill(0.0)
        await leaving
        await seat.leave()
    assert len(diary.violations) == 1
    assert gone(first)
    diary.close()
