"""SIGKILL while a process folds: nothing is skipped and nothing is applied twice, to the byte."""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine import EngineService
from engine.log.embedded import EmbeddedLog
from engine.log.kafka import KafkaLog
from engine.log.port import EVENTS, Log
from tests.projections.counts import COUNTED, WITH_COUNTS
from tests.projections.folding import Rows, fold
from tests.support.logs import new_location
from tests.support.workflows import END, chain, code, registry

ROOT = Path(__file__).parents[2]
KILLS = 24
KILLS_ON_KAFKA = 8
SECONDS = 300
FOLDS = b"folds\n"
PATIENT = 0.75
"""Share of the processes that are killed only when they have folded something."""
MOMENT_SECONDS = 0.1
PAUSE_SECONDS = 0.01
"""Between two runs of one starter: the processes that fold need the machine too."""
CHECKPOINT_BYTES = 50_000
"""Much smaller than in use, so that there are checkpoints to begin from."""


@pytest.fixture(autouse=True)
def many_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_BYTES_MIN", CHECKPOINT_BYTES)


class Prey:
    """Processes that fold and are killed.

    Attributes:
        chance: What decides when.
    """

    def __init__(self, process: Process, chance: random.Random) -> None:
        self._process = process
        self.chance = chance

    async def live(self, *, patient: bool) -> bool:
        """Let one begin and kill it a moment later, when patient after it has folded; return whether it had."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        child = int(await self._line())
        folds = patient and await self._line() == FOLDS
        # In real time: it has no clock of ours.
        await asyncio.sleep(self.chance.uniform(0, MOMENT_SECONDS))
        os.kill(child, signal.SIGKILL)
        status = await self._line()
        if status == FOLDS:
            folds, status = True, await self._line()
        assert os.waitstatus_to_exitcode(int(status)) == -signal.SIGKILL, "the process ended before it was killed"
        return folds

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()


@asynccontextmanager
async def prey(location: object, views: Path) -> AsyncIterator[Prey]:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    command = (sys.executable, "-m", "tests.projections.worker", str(location), str(views))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    try:
        yield Prey(process, random.Random(seed))
    finally:
        assert process.stdin is not None
        process.stdin.close()
        assert await process.wait() == 0


@asynccontextmanager
async def busy(log: Log) -> AsyncIterator[None]:
    """Let an engine start runs all the time, some of which fail."""
    async with EngineService.open(log, registry(), executor=True) as engine:
        await engine.publish_workflow(chain(code("a", "add"), code("b", "add"), END, workflow_id="w"))
        await engine.publish_workflow(chain(code("a", "add"), code("b", "fail"), END, workflow_id="v"))

        async def start() -> None:
            while True:
                await engine.run_workflow("w", {})
                await engine.run_workflow("v", {})
                await engine.create_workflow_run("w")
                await asyncio.sleep(PAUSE_SECONDS)

        await asyncio.gather(*(engine.run_workflow("w", {}) for _ in range(50)))
        tasks = [asyncio.create_task(start()) for _ in range(3)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def kill_often(log: Log, location: object, views: Path, kills: int) -> None:
    """Kill folding processes while an engine is busy."""
    folded = 0
    patient = round(kills * PATIENT)
    async with asyncio.timeout(SECONDS), prey(location, views) as processes, busy(log):
        # As many as were asked for, in any order: left to chance, one run of the tests in ten has too few.
        for patience in processes.chance.sample([True] * patient + [False] * (kills - patient), kills):
            folded += await processes.live(patient=patience)
    ends = [(await log.ends(EVENTS, number)).end for number in range(log.partitions)]
    print(f"{folded} of {kills} processes had folded something, of {ends} records")
    assert folded >= patient, "a process that was killed patiently had not folded anything"


def check_counts(rows: Rows) -> None:
    """Check that the counts are those of the rows: nothing counted twice."""
    counted = {key: int(value) for family in COUNTED for key, value in rows[family]}
    assert counted[b"v commits"] + counted[b"w commits"] == len(rows["traces.commits"])
    assert counted[b"v runs"] + counted[b"w runs"] == len(rows["runs.rows"])
    assert counted[b"v"] + counted[b"w"] == len(rows["ended"])


async def test_kills_beside_a_writer_of_an_embedded_log_leave_views_equal_byte_for_byte(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path / "log", 2, "process")
    await kill_often(log, tmp_path / "log", tmp_path / "views", KILLS)
    resumed = await fold(log, tmp_path / "views", WITH_COUNTS)
    assert resumed == await fold(log, tmp_path / "from zero", WITH_COUNTS)
    check_counts(resumed)
    await log.close()


async def test_kills_on_kafka_leave_views_equal_byte_for_byte(broker: str, tmp_path: Path) -> None:
    location = await new_location(broker, 2)
    log = await KafkaLog.open(location)
    await kill_often(log, location, tmp_path / "views", KILLS_ON_KAFKA)
    resumed = await fold(log, tmp_path / "views", WITH_COUNTS)
    assert resumed == await fold(log, tmp_path / "from zero", WITH_COUNTS)
    check_counts(resumed)
    await log.close()
