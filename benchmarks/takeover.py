"""An executor takes over 1,000 open runs behind 100,000 finished ones: bytes read, and the time until all run again.

On a Kafka broker and on the embedded log, where a restart is a takeover.
Run with `python -m benchmarks.takeover`; writes JSON to `benchmarks/results/takeover.json`.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import orjson

from benchmarks.memory import run_many
from benchmarks.report import publish
from benchmarks.workload import Waiting, registry, workflow
from engine import EngineService, WorkflowBuilder
from engine.broker import start_broker
from engine.log.kafka import KafkaLocation
from engine.log.kafka.topics import apply_topics
from engine.log.opening import open_log
from engine.log.port import EVENTS, Log, LogRecord, Reader

OPEN = 1_000
FINISHED = 100_000
AT_ONCE = 100
SHARE_MAX = 0.1
"""Of the partition's bytes, read by whoever takes over."""
KAFKA = {"session.timeout.ms": "1000", "heartbeat.interval.ms": "100"}
NOTICED_SECONDS = 2.0
"""Twice the session: what is measured begins when the group has noticed and the partition is free."""


class _Counted:
    """A reader that counts what it hands out, until it is told to stop counting."""

    def __init__(self, inner: Reader, count: Callable[[Sequence[LogRecord]], None]) -> None:
        self._inner = inner
        self._count = count

    async def next(self) -> Sequence[LogRecord]:
        records = await self._inner.next()
        self._count(records)
        return records

    def close(self) -> None:
        self._inner.close()


def count_bytes(log: Log) -> Callable[[], int]:
    """Let a log count the bytes of events that are read from it; return what gives the count."""
    total = 0
    read, reader = log.read, log.reader

    def tally(records: Sequence[LogRecord]) -> None:
        nonlocal total
        total += sum(len(record.value) for record in records)

    async def counted_read(topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        records = await read(topic, partition, offset, count)
        if topic == EVENTS:
            tally(records)
        return records

    def counted_reader(topic: str, partition: int, offset: int) -> Reader:
        made = reader(topic, partition, offset)
        return _Counted(made, tally) if topic == EVENTS else made

    log.read = counted_read  # type: ignore[method-assign]  # counts what the executor really reads
    log.reader = counted_reader  # type: ignore[method-assign]  # the same
    return lambda: total


def _engine(log: Log, waiting: Waiting) -> EngineService:
    functions = registry()
    functions.node("wait")(waiting)
    return EngineService.open(log, functions, executor=True, nodes_running_max=OPEN)


async def _open(location: str) -> Log:
    return await open_log(location, "process", KAFKA)


async def fill(location: str) -> None:
    """Open runs behind finished ones, say so, and wait to be killed."""
    waiting = Waiting(OPEN)
    async with _engine(await _open(location), waiting) as engine:
        await engine.publish_workflow(workflow())
        await engine.publish_workflow(WorkflowBuilder("waits", "Waits").start().code("wait", function="wait").build())
        await run_many(engine, FINISHED)

        async def start() -> None:
            run_id = await engine.create_workflow_run("waits")
            await engine.start_workflow_run_and_notify(run_id, {"input": {"number": 1}})

        for _ in range(OPEN // AT_ONCE):
            await asyncio.gather(*(start() for _ in range(AT_ONCE)))
        await waiting.all_here.wait()
        print("ready", flush=True)
        await asyncio.Event().wait()


async def take_over(location: str) -> None:
    """Take over from a killed process; print what was read, and the time until all open runs run again."""
    log = await _open(location)
    ends = await log.ends(EVENTS, 0)
    size = 0
    position = ends.start
    while position < ends.end:
        records = await log.read(EVENTS, 0, position, 10_000)
        size += sum(len(record.value) for record in records)
        position = records[-1].offset + 1
    counted = count_bytes(log)
    waiting = Waiting(OPEN)
    begin = time.perf_counter()
    engine = _engine(log, waiting)
    async with engine:
        await waiting.all_here.wait()
        row = {
            "seconds": round(time.perf_counter() - begin, 3),
            "bytes_read": counted(),
            "bytes_of_the_partition": size,
            "share_read": round(counted() / size, 4),
        }
        print(orjson.dumps(row).decode(), flush=True)
        # The attempts never end, and what follows is not measured.
        os._exit(0)


def measure(name: str, location: str) -> dict[str, object]:
    """Fill a log, kill its executor, and let another process take over."""
    with _part("fill", location) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    if location.startswith("kafka:"):
        # The group tells nobody that it has noticed.
        time.sleep(NOTICED_SECONDS)
    answer = subprocess.run(_command("take-over", location), stdout=subprocess.PIPE, check=True).stdout
    row = cast("dict[str, object]", orjson.loads(answer))
    return {"log": name, "open_runs": OPEN, "finished_runs": FINISHED, **row, "share_max": SHARE_MAX}


def _command(part: str, location: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.takeover", part, location]


def _part(part: str, location: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(_command(part, location), stdout=subprocess.PIPE, text=True)


def main() -> int:
    """Measure and publish; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="runline-bench-") as directory, start_broker() as broker:
        location = KafkaLocation(broker.bootstrap, f"takeover-{secrets.token_hex(4)}")
        apply_topics(location, {}, 1)
        rows = [measure("embedded", str(Path(directory) / "log")), measure("kafka", str(location))]
    publish("takeover", rows)
    return int(any(cast("float", row["share_read"]) > SHARE_MAX for row in rows))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fill", where]:
            asyncio.run(fill(where))
        case ["take-over", where]:
            asyncio.run(take_over(where))
        case _:
            sys.exit(main())
