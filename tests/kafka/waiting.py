"""Runs that other processes execute, and the process that waits for them."""

import asyncio
import gc
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from engine import EngineService, Run, RunStatus
from engine.core.commands import Command, CreateRun, StartRun, command_record
from engine.log.kafka import KafkaLocation, KafkaLog
from engine.log.kafka.reader import KafkaReader
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, EVENTS, LogRecord, Reader
from engine.runs import SharedRuns
from tests.checkers.rule import chains, terminal_of
from tests.kafka.engines import QUICK, ids, read_all
from tests.support.workflows import END, chain, code

ROOT = Path(__file__).parents[2]
ECHO = chain(END, workflow_id="echo")
"""A run of it ends as it begins."""
PATIENCE_SECONDS = 300
"""Nothing here takes so long, however busy the machine is: what does hangs."""
ASK = chain(code("a", "answer"), END, workflow_id="ask")


class CountingLog(KafkaLog):
    """Counts what is read of events, and can keep who reads it waiting.

    Attributes:
        readable: Whether stretches are read now.
        sought: Records that were read by stretches: by searches, and by what looks for checkpoints.
        followed: Records that were handed to readers.
        most: The most records that were read at once.
    """

    def __init__(self, location: KafkaLocation, partitions: int, properties: Mapping[str, str]) -> None:
        super().__init__(location, partitions, properties)
        self.readable = asyncio.Event()
        self.readable.set()
        self.sought = self.followed = self.most = 0

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        await self.readable.wait()
        records = await super().read(topic, partition, offset, count)
        if topic == EVENTS:
            self.sought += len(records)
            self.most = max(self.most, len(records))
        return records

    def reader(self, topic: str, partition: int, offset: int) -> KafkaReader:
        reader = super().reader(topic, partition, offset)
        if topic == EVENTS:
            following = reader.next

            async def following_and_counting() -> Sequence[LogRecord]:
                records = await following()
                self.followed += len(records)
                return records

            reader.next = following_and_counting  # type: ignore[method-assign]  # what a subclass would do
        return reader


class Executors(AbstractContextManager["Executors"]):
    """Executor processes on one log; what is left of them ends with the test."""

    def __init__(self, location: KafkaLocation) -> None:
        self._location = location
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.kafka.answering", str(self._location)]
        process = subprocess.Popen(command, cwd=ROOT)
        self._processes.append(process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()


class Producer:
    """Makes runs without waiting for anything: many commands at once.

    Attributes:
        questions: What each run is asked.
    """

    def __init__(self, log: KafkaLog) -> None:
        self._log = log
        self.questions: dict[str, int] = {}

    def create(self, workflow_id: str, count: int) -> list[str]:
        run_ids = [ids.run_id() for _ in range(count)]
        for run_id in run_ids:
            self._send(CreateRun(id=ids.command_id(), run=run_id, workflow=workflow_id))
        return run_ids

    def start(self, run_ids: Iterable[str], workflow_id: str | None = None) -> None:
        for run_id in run_ids:
            question = self.questions[run_id] = len(self.questions)
            context: dict[str, object] = {"question": question}
            self._send(StartRun(id=ids.command_id(), run=run_id, workflow=workflow_id, context=context))

    def run(self, workflow_id: str, count: int) -> list[str]:
        run_ids = [ids.run_id() for _ in range(count)]
        self.start(run_ids, workflow_id)
        return run_ids

    def _send(self, command: Command) -> None:
        partition = partition_of(command.run, self._log.partitions)
        self._log.send(COMMANDS, partition, command_record(command, "/tests"), _fail, patient=True)

    def check(self, runs: Iterable[Run]) -> None:
        """Look whether each has its own answer."""
        for run in runs:
            assert run.run_status is RunStatus.SUCCESS, run
            found = orjson.loads(run.output_context or "")
            question = self.questions[run.run_id]
            assert found["question"] == question
            if run.workflow_id == "ask":
                assert found["answer"] == f"{question} of {run.run_id}"


def _fail(error: Exception) -> None:
    raise error


async def on_the_log(log: KafkaLog, run_ids: Iterable[str]) -> None:
    """Wait until each of these runs has a commit."""
    missing: list[set[str]] = [set() for _ in range(log.partitions)]
    for run_id in run_ids:
        missing[partition_of(run_id, log.partitions)].add(run_id)
    async with asyncio.timeout(PATIENCE_SECONDS):
        for partition, left in enumerate(missing):
            reader: Reader = log.reader(EVENTS, partition, 0)
            while left:
                left.difference_update(record.key for record in await reader.next())
            reader.close()


async def check_on_the_log(log: KafkaLog, runs: Iterable[Run]) -> None:
    """Look whether what was given is what the log accepted, by a second writing of the rule."""
    found = {}
    for partition in range(log.partitions):
        found.update(chains(await read_all(log, EVENTS, partition)))
    for run in runs:
        end = terminal_of(found[run.run_id])
        assert end is not None, run
        assert end["type"] == "run.succeeded"
        assert orjson.loads(run.output_context or "") == end["output"]


@asynccontextmanager
async def waiting(location: KafkaLocation, properties: Mapping[str, str] = QUICK) -> AsyncIterator[EngineService]:
    """Open an engine that executes nothing and counts what it reads."""
    log = await CountingLog.open(location, properties)
    async with EngineService.open(log, executor=False) as engine:
        yield engine
    await log.close()


def wait(engine: EngineService, run_id: str, timeout: float | None = PATIENCE_SECONDS) -> asyncio.Task[Run]:
    """Begin to wait."""
    return asyncio.create_task(engine.wait_for_workflow_run(run_id, timeout))


def counted(engine: EngineService) -> CountingLog:
    assert isinstance(engine._log, CountingLog)
    return engine._log


def sought(engine: EngineService) -> int:
    """Return how many runs are sought."""
    return sum(map(len, _runs(engine)._searches.values()))


def nothing_is_left(engine: EngineService) -> None:
    assert len(engine._waiters) == 0
    assert sought(engine) == 0
    assert not any(tail._followed for tail in _runs(engine)._tails.values())


def futures() -> int:
    """Return how many futures there are, tasks among them, in this process."""
    gc.collect()
    return sum(isinstance(each, asyncio.Future) for each in gc.get_objects())


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def _runs(engine: EngineService) -> SharedRuns:
    assert isinstance(engine._runs, SharedRuns)
    return engine._runs
