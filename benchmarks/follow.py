"""Following: how fast a host delivers, how soon a wait is over, and what followers cost the runs they follow.

Run with `python -m benchmarks.follow`; writes JSON to `host.json`, `waits.json` and `followers.json` in
`benchmarks/results`.

- A host calls a service that does nothing with every change of a long history, in a process of its own.
- A wait: the time from when the executor hands the terminal commit to the log until the caller goes on, beside the time
  that appending a record of that size and reading it back takes on the same log.
- Runs per second with five followers attached and with none, turn by turn: the engine has one core, they the other.
"""

import argparse
import asyncio
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import orjson

from benchmarks.history import write_history
from benchmarks.part import Part
from benchmarks.report import publish
from benchmarks.workload import INPUT, registry, workflow
from consumers.host import ServiceHost, Start, open_progress
from engine import EngineService, Run, Trace
from engine.broker import start_broker
from engine.errors import LogError
from engine.log.embedded import EmbeddedLog
from engine.log.kafka import KafkaLocation
from engine.log.kafka.topics import apply_topics
from engine.log.opening import is_kafka, open_log
from engine.log.port import EVENTS, REJECTIONS, Log, Record

HISTORY_RUNS = 20_000
SEED = 6
CHANGES_PER_S_MIN = 20_000
WAITS = 1_000
WAIT_MS_MAX = 2.0
"""Median of a wait on the embedded log, behind its terminal commit."""
WAIT_EXTRA_MS_MAX = 1.0
"""The same on Kafka, beyond one append and read back."""
FOLLOWERS = 5
CHANGES = 13
"""Changes of one run of the workload, as `Run` or `Trace`."""
ROUNDS = 5
SECONDS = 3.0
CALLERS = 64
SHARE_MIN = 0.9
PARTITIONS = 4


class Nothing:
    """A service that only counts."""

    def __init__(self) -> None:
        self.count = 0

    async def run_progress(self, run: Run) -> None:  # noqa: ARG002 - a service's signature
        """Count a change of a run."""
        self.count += 1

    async def trace_progress(self, trace: Trace) -> None:  # noqa: ARG002 - the same
        """Count a change of a trace."""
        self.count += 1


async def deliver(directory: Path) -> dict[str, float]:
    """Let a host deliver a whole history to one service."""
    log = await EmbeddedLog.open_reading(directory)
    service = Nothing()
    begin = time.perf_counter()
    store = open_progress(log, "bench", directory / "followers")
    async with ServiceHost(log, {"nothing": service}, store, start=Start.beginning()) as host:
        await host.caught_up()
        seconds = time.perf_counter() - begin
    await log.close()
    return {"changes": service.count, "seconds": seconds}


async def wait_behind_commits(location: str) -> dict[str, float]:
    """Time lone waits from the terminal commit on, and appending and reading back, in turns."""
    waits: list[float] = []
    back: list[float] = []
    async with EngineService.open(location, registry()) as engine:
        await engine.publish_workflow(workflow())
        log: Log = engine._log  # noqa: SLF001 - the benchmark looks at when a commit is sent
        sent: dict[str, float] = {}
        sizes: list[int] = []
        send = log.send

        def timed(
            topic: str, partition: int, record: Record, failed: Callable[[LogError], None], *, patient: bool = False
        ) -> None:
            if topic == EVENTS and "run.succeeded" in record.headers.get("types", ""):
                sent[record.key] = time.perf_counter()
                sizes.append(len(record.value))
            send(topic, partition, record, failed, patient=patient)

        log.send = timed  # type: ignore[method-assign]  # the executor's own calls are what is timed
        end = (await log.ends(REJECTIONS, 0)).end
        reader = log.reader(REJECTIONS, 0, end)
        for number in range(WAITS + 100):
            run = await engine.run_workflow("three_steps", INPUT)
            now = time.perf_counter()
            # Of the first hundred nothing is taken: they warm up.
            if number >= 100:  # noqa: PLR2004 - see above
                waits.append((now - sent.pop(run.run_id)) * 1000)
            begin = time.perf_counter()
            log.send(REJECTIONS, 0, Record(run.run_id, bytes(sizes[-1]), {}), _failed)
            await reader.next()
            back.append((time.perf_counter() - begin) * 1000)
        reader.close()
    waits.sort()
    return {
        "p50_ms": statistics.median(waits),
        "p99_ms": waits[int(len(waits) * 0.99)],
        "back_ms": statistics.median(back),
    }


def _failed(error: LogError) -> None:
    raise SystemExit(f"a record cannot be written: {error}")


async def load(location: str) -> None:
    """Run the engine on one core; for each line of input say how many runs a second it does."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    async with EngineService.open(location, registry(), durability="process") as engine:
        await engine.publish_workflow(workflow())
        await _runs_per_s(engine)
        print(flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(await _runs_per_s(engine), flush=True)


async def _runs_per_s(engine: EngineService) -> float:
    count = 0
    begin = time.perf_counter()

    async def caller() -> None:
        nonlocal count
        while time.perf_counter() - begin < SECONDS:
            await engine.run_workflow("three_steps", INPUT)
            count += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return count / (time.perf_counter() - begin)


async def follow(location: str, group: str, directory: Path) -> None:
    """Follow with five services on the other core until input ends; then say what was seen and used."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    log: Log = await (open_log(location, "fsync", {}) if is_kafka(location) else EmbeddedLog.open_reading(location))
    services = [Nothing() for _ in range(FOLLOWERS)]
    named = {f"nothing-{number}": service for number, service in enumerate(services)}
    async with ServiceHost(log, named, open_progress(log, group, directory)) as host:
        await host.caught_up()
        print(flush=True)
        used = time.process_time()
        begin = time.perf_counter()
        await asyncio.to_thread(sys.stdin.readline)
        share = (time.process_time() - used) / (time.perf_counter() - begin)
    await log.close()
    print(orjson.dumps({"share": share, "changes": sum(service.count for service in services)}).decode(), flush=True)


def measure_followers(directory: Path) -> dict[str, object]:
    """Measure runs per second with and without followers, on the embedded log."""
    location = str(directory / "followed")
    engine = Part("follow", "load", location)
    engine.hear()
    pairs: list[tuple[float, float]] = []
    shares: list[float] = []
    seen: list[float] = []
    for turn in range(ROUNDS):
        engine.tell()
        alone = float(engine.hear())
        follower = Part("follow", "follow", location, f"group-{turn}", str(directory / f"group-{turn}"))
        follower.hear()
        engine.tell()
        pairs.append((alone, float(engine.hear())))
        follower.tell()
        told = orjson.loads(follower.hear())
        shares.append(told["share"])
        seen.append(told["changes"] / (pairs[-1][1] * SECONDS * CHANGES * FOLLOWERS))
        follower.close()
    engine.close()
    return {
        "followers": FOLLOWERS,
        "runs_per_s_alone": round(statistics.median(alone for alone, _ in pairs)),
        "runs_per_s_followed": round(statistics.median(followed for _, followed in pairs)),
        "ratio": round(statistics.median(followed / alone for alone, followed in pairs), 3),
        "ratio_min": SHARE_MIN,
        "followers_core_share": round(statistics.median(shares), 2),
        "changes_seen_meanwhile": round(statistics.median(seen), 2),
    }


def measure_host(directory: Path) -> dict[str, object]:
    """Measure how fast a host delivers."""
    asyncio.run(write_history(directory / "history", HISTORY_RUNS, SEED))
    command = [sys.executable, "-m", "benchmarks.follow", "--part", "deliver", str(directory / "history")]
    found = orjson.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {
        "runs": HISTORY_RUNS,
        "changes": found["changes"],
        "seconds": round(found["seconds"], 2),
        "changes_per_s": round(found["changes"] / found["seconds"]),
        "changes_per_s_min": CHANGES_PER_S_MIN,
    }


def measure_waits(directory: Path) -> list[dict[str, object]]:
    """Measure waits on both logs."""
    rows: list[dict[str, object]] = []
    with start_broker() as broker:
        kafka = KafkaLocation(broker.bootstrap, f"bench-{secrets.token_hex(4)}")
        apply_topics(kafka, {}, PARTITIONS)
        for name, location in (("embedded", str(directory / "waits")), ("kafka", str(kafka))):
            found = asyncio.run(wait_behind_commits(location))
            most = WAIT_MS_MAX if name == "embedded" else found["back_ms"] + WAIT_EXTRA_MS_MAX
            rows.append(
                {
                    "log": name,
                    "waits": WAITS,
                    "p50_ms": round(found["p50_ms"], 2),
                    "p99_ms": round(found["p99_ms"], 2),
                    "append_and_read_back_ms": round(found["back_ms"], 2),
                    "p50_ms_max": round(most, 2),
                    "good": found["p50_ms"] <= most,
                }
            )
    return rows


def main() -> bool:
    """Measure; return whether everything required was reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", nargs="+", help="for the benchmark itself")
    chosen = parser.parse_args()
    match chosen.part:
        case ["deliver", directory]:
            print(orjson.dumps(asyncio.run(deliver(Path(directory)))).decode())
            return True
        case ["load", location]:
            asyncio.run(load(location))
            return True
        case ["follow", location, group, directory]:
            asyncio.run(follow(location, group, Path(directory)))
            return True
        case _:
            pass
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="runline-bench-")))
        host = measure_host(directory)
        waits = measure_waits(directory)
        followers = measure_followers(directory)
    publish("host", [host])
    publish("waits", waits)
    publish("followers", [followers])
    return (
        float(str(host["changes_per_s"])) >= CHANGES_PER_S_MIN
        and all(row["good"] for row in waits)
        and float(str(followers["ratio"])) >= SHARE_MIN
    )


if __name__ == "__main__":
    sys.exit(not main())
