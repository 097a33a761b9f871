"""How far views are behind a running load of half of what the engine can do, on the embedded log and on Kafka.

The engine runs in one process, the projector in another. The lag of a record is the time from when the log appended it
until views show it.
Run with `python -m benchmarks.lag`; writes JSON to `benchmarks/results/lag.json`.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import ClassVar

import orjson

from benchmarks.part import Part
from benchmarks.report import publish
from benchmarks.workload import INPUT, registry, workflow
from engine import EngineService
from engine.broker import start_broker
from engine.errors import RunlineError
from engine.log.embedded import EmbeddedLog
from engine.log.kafka import KafkaLocation
from engine.log.kafka.topics import apply_topics
from engine.log.opening import is_kafka, open_log
from engine.log.port import EVENTS, Log, LogRecord
from projections import VIEWS, Projector, Rows, Stretch

LAG_MS_MAX = 250.0
SEARCH_SECONDS = 3.0
"""How long the engine runs as fast as it can, to know what half of that is."""
LOAD_SECONDS = 10.0
CALLERS = 64
TICK_SECONDS = 0.005
"""How often the load looks how many runs are due."""
LOOK_SECONDS = 0.1
PARTITIONS = 4


class Probe:
    """A projection without rows that hears when the records of a batch were appended."""

    name: ClassVar[str] = "probe"
    version: ClassVar[int] = 1
    topic: ClassVar[str] = EVENTS
    families: ClassVar[Sequence[str]] = ()

    def __init__(self) -> None:
        self._times: list[int] = []

    def fold(self, records: Sequence[LogRecord], stretches: Iterable[Stretch], rows: Rows) -> None:  # noqa: ARG002 - the protocol's
        """Note the times."""
        self._times += [record.timestamp for record in records]

    def take(self) -> list[float]:
        """Return how long ago the records that were folded since the last call were appended, in milliseconds."""
        now = time.time() * 1000
        times, self._times = self._times, []
        return [now - each for each in times]


async def load(location: str) -> None:
    """Run the engine: first as fast as it can, then at half of that; say when the second begins and ends."""
    async with EngineService.open(location, registry(), durability="fsync") as engine:
        await engine.publish_workflow(workflow())
        most = await _closed(engine)
        _say({"runs_per_s": most / 2})
        ended = await _open(engine, most / 2)
        _say({"runs": ended})
        sys.stdin.readline()


async def _closed(engine: EngineService) -> float:
    """Return how many runs a second the engine does for many callers."""
    count = 0
    begin = time.perf_counter()

    async def caller() -> None:
        nonlocal count
        while time.perf_counter() - begin < SEARCH_SECONDS:
            await engine.run_workflow("three_steps", INPUT)
            count += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return count / (time.perf_counter() - begin)


async def _open(engine: EngineService, rate: float) -> int:
    """Start runs at a rate, whether others have ended or not; return how many there were."""
    begin = time.perf_counter()
    running: set[asyncio.Task[object]] = set()
    count = 0
    while (now := time.perf_counter() - begin) < LOAD_SECONDS:
        while count < now * rate:
            task: asyncio.Task[object] = asyncio.create_task(engine.run_workflow("three_steps", INPUT))
            running.add(task)
            task.add_done_callback(running.discard)
            count += 1
        await asyncio.sleep(TICK_SECONDS)
    await asyncio.gather(*running)
    return count


async def follow(location: str, views: str) -> None:
    """Fold views; on a line of input begin to measure, on the next one say what was measured."""
    probe = Probe()
    log: Log = await (open_log(location, "fsync", {}) if is_kafka(location) else EmbeddedLog.open_reading(location))
    async with Projector(log, Path(views), projections=(*VIEWS, probe)) as projector:
        await projector.caught_up()
        _say({})
        lags: list[float] = []
        await _gather(projector, probe, [])
        await _gather(projector, probe, lags)
        lags.sort()
        share = {name: lags[int(len(lags) * part)] for name, part in (("p50_ms", 0.5), ("p99_ms", 0.99))}
        _say({"records": len(lags), **share, "most_ms": lags[-1]})
    await log.close()


async def _gather(projector: Projector, probe: Probe, lags: list[float]) -> None:
    """Add what is measured until there is a line of input."""
    waiting = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    while not waiting.done():
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await projector.moved()
        lags += probe.take()


def _say(what: dict[str, object]) -> None:
    print(orjson.dumps(what).decode(), flush=True)


def measure(location: str, views: Path) -> dict[str, object]:
    """Return what was measured on one log."""
    engine = Part("lag", "load", location)
    follower = _follower(location, views)
    rate = orjson.loads(engine.hear())["runs_per_s"]
    follower.tell()
    runs = orjson.loads(engine.hear())["runs"]
    # What comes later than this missed the mark anyway, and is measured all the same.
    time.sleep(LAG_MS_MAX / 1000)
    follower.tell()
    found = orjson.loads(follower.hear())
    engine.tell()
    engine.close()
    follower.close()
    return {
        "log": "kafka" if is_kafka(location) else "embedded",
        "load_runs_per_s": round(rate),
        "runs": runs,
        "records": found["records"],
        "p50_ms": round(found["p50_ms"], 1),
        "p99_ms": round(found["p99_ms"], 1),
        "most_ms": round(found["most_ms"], 1),
        "p99_ms_max": LAG_MS_MAX,
    }


def _follower(location: str, views: Path) -> Part:
    """Start the projector, as soon as there is a log to read."""
    deadline = time.monotonic() + 30
    while not is_kafka(location) and time.monotonic() < deadline:
        try:
            asyncio.run(_look(location))
        except RunlineError:
            # The engine is about to make the log, and tells nobody when it has.
            time.sleep(LOOK_SECONDS)
        else:
            break
    follower = Part("lag", "follow", location, str(views))
    follower.hear()
    return follower


async def _look(location: str) -> None:
    await (await EmbeddedLog.open_reading(location)).close()


def main() -> bool:
    """Measure; return whether everything required was reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", nargs="+", help="for the benchmark itself")
    chosen = parser.parse_args()
    match chosen.part:
        case ["load", location]:
            asyncio.run(load(location))
            return True
        case ["follow", location, views]:
            asyncio.run(follow(location, views))
            return True
        case _:
            pass
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="runline-bench-")))
        rows = [measure(str(directory / "log"), directory / "views")]
        broker = stack.enter_context(start_broker())
        location = KafkaLocation(broker.bootstrap, f"bench-{secrets.token_hex(4)}")
        apply_topics(location, {}, PARTITIONS)
        rows.append(measure(str(location), directory / "kafka-views"))
    publish("lag", rows)
    return all(float(str(row["p99_ms"])) <= LAG_MS_MAX for row in rows)


if __name__ == "__main__":
    sys.exit(not main())
