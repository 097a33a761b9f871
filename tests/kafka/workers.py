"""Executors in processes of their own, the load they get, and what is checked when all is over."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from engine import EngineService, RunStatus, WorkflowBuilder, WorkflowDefinition
from engine.core.commands import encode
from engine.log.kafka import KafkaLocation, KafkaLog
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, LogRecord
from tests.checkers import TERMINAL, Effect, accepted_commits, check_runs
from tests.kafka.engines import SECONDS, eventually, read_all, run_in_partition, start_of
from tests.kafka.foreign import Foreign
from tests.kafka.points import Point

ROOT = Path(__file__).parents[2]
FEW = 20
PAUSE_SECONDS = 0.03
"""Between two runs of one starter: the executors shall be busy, not swamped."""


class Workers(AbstractContextManager["Workers"]):
    """Worker processes on one log; what is left of them ends with the test."""

    def __init__(self, location: KafkaLocation, ledger: Path) -> None:
        self._location = location
        self.ledger = ledger
        self._processes: list[subprocess.Popen[bytes]] = []
        ledger.touch()

    def start(self, fate: tuple[signal.Signals, Point, int] | None = None) -> "subprocess.Popen[bytes]":
        """Start one; `fate` is what it does to itself, at which point, the how manieth time."""
        words = [] if fate is None else [fate[0].name, fate[1].name, str(fate[2])]
        command = [sys.executable, "-m", "tests.kafka.worker", str(self._location), str(self.ledger), *words]
        process = subprocess.Popen(command, cwd=ROOT)
        self._processes.append(process)
        return process

    async def ready(self, process: "subprocess.Popen[bytes]") -> None:
        await eventually(lambda: f"ready {process.pid}" in self.lines(), "the executor begins")

    async def owning(self, process: "subprocess.Popen[bytes]") -> None:
        await eventually(lambda: f"assigned {process.pid}" in self.lines(), "the executor owns partitions")

    async def gone(self, process: "subprocess.Popen[bytes]", code: int) -> None:
        await eventually(lambda: process.poll() is not None, f"the end of an executor with {code}")
        assert process.returncode == code

    def lines(self) -> list[str]:
        return self.ledger.read_text().splitlines()

    def met(self, how: signal.Signals) -> list[Point]:
        """Return the points at which a process met its fate."""
        words = [line.split() for line in self.lines()]
        return [Point[each[1]] for each in words if each[0] == how.name]

    def effects(self) -> list[Effect]:
        words = [line.split() for line in self.lines()]
        return [Effect(run, int(trace), int(n), pid) for kind, run, trace, n, pid in (w for w in words if len(w) == 5)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()


class Load:
    """Runs that are started all the time, besides commands that are wrong.

    Attributes:
        acknowledged: The runs whose start an executor has acknowledged.
        sent: The runs whose start the brokers have acknowledged.
        wrong: The offsets of `commands` of partition 0 at which there is no command, or one that cannot be done.
    """

    def __init__(self, engine: EngineService, foreign: Foreign, partitions: int) -> None:
        self._engine = engine
        self._foreign = foreign
        self._partitions = partitions
        self._ending = False
        self._tasks: list[asyncio.Task[None]] = []
        self.acknowledged: list[str] = []
        self.sent: list[str] = []
        self.wrong: list[int] = []

    def begin(self, starters: int) -> None:
        self._tasks = [asyncio.create_task(self._start_runs()) for _ in range(starters)]
        self._tasks.append(asyncio.create_task(self._err()))

    async def end(self, log: KafkaLog) -> None:
        """Start no more, and wait until all that were started have ended."""
        self._ending = True
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*self._tasks)
        begun = time.monotonic()
        while open_runs := self.open_in(await everything(log)):
            assert time.monotonic() < begun + SECONDS, f"not ended after {SECONDS} s: {open_runs}"
        for run_id in self.acknowledged[-FEW:]:
            run = await self._engine.wait_for_workflow_run(run_id, timeout=SECONDS)
            assert run.run_status is RunStatus.SUCCESS, run

    def open_in(self, partitions: Sequence[Sequence[LogRecord]]) -> set[str]:
        ended: set[str] = set()
        for records in partitions:
            for run, commits in accepted_commits(records).items():
                if commits[-1]["events"][-1]["type"] in TERMINAL:
                    ended.add(run)
        return {*self.acknowledged, *self.sent} - ended

    async def _start_runs(self) -> None:
        while not self._ending:
            run_id = await self._engine.create_workflow_run("killed")
            await self._engine.start_workflow_run_and_notify(run_id)
            self.acknowledged.append(run_id)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _err(self) -> None:
        while not self._ending:
            self.wrong.append(await asyncio.to_thread(self._foreign.put, COMMANDS, b"no command"))
            command = start_of("killed")
            wrong = (partition_of(command.run, self._partitions) + 1) % self._partitions
            await asyncio.to_thread(self._foreign.put, COMMANDS, encode(command), key=command.run, partition=wrong)
            self.sent.append(command.run)
            run_id = run_in_partition(0, self._partitions)
            await asyncio.to_thread(self._foreign.put, COMMANDS, encode(start_of("killed", 1, run_id)), key=run_id)
            self.sent.append(run_id)
            other = encode(start_of("killed", 2, run_id))
            self.wrong.append(await asyncio.to_thread(self._foreign.put, COMMANDS, other, key=run_id))
            await asyncio.sleep(PAUSE_SECONDS)


def workflow() -> WorkflowDefinition:
    building = WorkflowBuilder("killed", "Killed").start()
    for name, function in (("a", "quick"), ("b", "slow"), ("c", "blocking")):
        building = building.code(name, function=function)
    return building.end().build()


async def everything(log: KafkaLog) -> list[list[LogRecord]]:
    """Return all events, partition by partition."""
    return [await read_all(log, EVENTS, partition) for partition in range(log.partitions)]


async def check(log: KafkaLog, load: Load, effects: Sequence[Effect]) -> list[list[LogRecord]]:
    """Check the promises on what stands on the broker, and return its events, partition by partition."""
    found = await everything(log)
    for partition, records in enumerate(found):
        mine = {run for run in (*load.acknowledged, *load.sent) if partition_of(run, log.partitions) == partition}
        done = [effect for effect in effects if partition_of(effect.run, log.partitions) == partition]
        assert check_runs(records, mine, done) == []
        assert mine == accepted_commits(records).keys()
    rejected = [int(record.headers["offset"]) for record in await read_all(log, REJECTIONS)]
    recorded = refusals_in(found[0])
    # Whoever dies between a run's own refusal and its repetition leaves only the one.
    assert set(rejected) | recorded == set(load.wrong)
    assert set(rejected) <= set(load.wrong)
    assert recorded
    print(
        f"{len(load.acknowledged) + len(load.sent)} runs, {len(load.wrong)} wrong commands, {len(rejected)} rejections"
    )
    return found


def refusals_in(records: Sequence[LogRecord]) -> set[int]:
    """Return the offsets of `commands` that runs have refused themselves."""
    return {
        event["offset"]
        for commits in accepted_commits(records).values()
        for commit in commits
        for event in commit["events"]
        if event["type"] == "command.refused"
    }


def late(records: Sequence[LogRecord]) -> list[LogRecord]:
    """Return the commits and parts that were written under an epoch that was over."""
    epoch, found = "", []
    for record in records:
        headers = record.headers
        if headers["ce_type"] == "runline.fence":
            epoch = f"{record.offset}:{headers['nonce']}"
        elif headers["epoch"] != epoch:
            found.append(record)
    return found


def executors(records: Sequence[LogRecord]) -> list[str]:
    """Return who fenced, in order."""
    fences = [record for record in records if record.headers["ce_type"] == "runline.fence"]
    return [orjson.loads(record.value)["executor"] for record in fences]
