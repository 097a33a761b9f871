"""Runs per second on a real Kafka broker, interleaved with the bare protocol on the same broker.

Run with `python -m benchmarks.kafka_runs`; prints a table, and writes JSON to `benchmarks/results/kafka_runs.json`.
An executor process and a client process for each side; the sides take turns.
"""

import argparse
import asyncio
import os
import secrets
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import orjson

from benchmarks.report import publish
from benchmarks.workload import INPUT, registry, workflow
from engine import EngineService
from engine.broker import start_broker
from engine.broker.jvm import JvmCluster
from engine.core.records import COMMIT
from engine.log.kafka import KafkaLocation
from engine.log.kafka.topics import apply_topics
from engine.log.place import record_bytes
from engine.log.port import COMMANDS, EVENTS, Log, Record

CONCURRENCY = (1, 16, 64, 256)
PARTITIONS = (4, 12)
ROUNDS = 5
SECONDS = 2.0
"""Seconds of one round of one side."""
APPENDS = 300
"""Records of one measurement of append and read back."""
RATIO_REQUIRED = 0.6
LATENCY_RATIO_MAX = 1.5
LONE_EXTRA_MS_MAX = 1.5
"""What a lone run may take beyond five times append and read back."""

Round = tuple[float, list[float]]


class Side:
    """A process of the benchmark."""

    def __init__(self, kind: str, given: dict[str, object]) -> None:
        command = [sys.executable, "-m", "benchmarks.kafka_side", kind, orjson.dumps(given).decode()]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._hear()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, concurrency: int, seconds: float) -> object:
        """Let it work and return what it answers."""
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps([concurrency, seconds]) + b"\n")
        self._process.stdin.flush()
        return self._hear()

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._process.kill()
        self._process.wait(30)

    def close(self) -> None:
        """End it in good order."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _hear(self) -> object:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a process of the benchmark ended with {self._process.wait()}")
        return orjson.loads(line)


async def publish_and_measure_sizes(location: KafkaLocation) -> list[int]:
    """Publish the workflow, run it once, and return the sizes of the records that this took."""
    async with EngineService.open(str(location), registry()) as service:
        await service.publish_workflow(workflow())
        run = await service.run_workflow("three_steps", INPUT, timeout=60)
        log: Log = service._log  # noqa: SLF001 - the benchmark looks at the records themselves
        found: list[int] = []
        for topic in (COMMANDS, EVENTS):
            for partition in range(log.partitions):
                end = (await log.ends(topic, partition)).end
                found += [
                    record_bytes(Record(record.key, record.value, record.headers))
                    for record in await log.read(topic, partition, 0, end)
                    if record.key == run.run_id and (topic == COMMANDS or record.headers["ce_type"] == COMMIT)
                ]
    assert len(found) == 5, found  # noqa: PLR2004 - one command, four commits
    return found


class Used:
    """Processor time of processes while rounds went on, and the runs of those rounds.

    Args:
        pids: The processes, by what to call them.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._seconds = dict.fromkeys(pids, 0.0)
        self._runs = 0

    def round(self, side: Side, concurrency: int) -> Round:
        """Let a client do one round."""
        before = {name: processor_seconds(pid) for name, pid in self._pids.items()}
        found = cast("Round", side.ask(concurrency, SECONDS))
        for name, pid in self._pids.items():
            self._seconds[name] += processor_seconds(pid) - before[name]
        self._runs += len(found[1])
        return found

    def microseconds(self) -> dict[str, int]:
        """Return what one run took of each."""
        return {name: round(seconds / self._runs * 1e6) for name, seconds in self._seconds.items()}


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used, as Linux counts it."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _percentile(rounds: Sequence[Round], share: float) -> float:
    latencies = sorted(latency for _, found in rounds for latency in found)
    return latencies[int(len(latencies) * share)]


def measure(
    brokers: str, partitions: int, concurrencies: Sequence[int], rounds: int, broker_pids: Sequence[int]
) -> list[dict[str, object]]:
    """Measure one number of partitions."""
    engine_at = KafkaLocation(brokers, f"bench-{secrets.token_hex(4)}")
    bare_at = KafkaLocation(brokers, f"bare-{secrets.token_hex(4)}")
    apply_topics(engine_at, {}, partitions)
    apply_topics(bare_at, {}, partitions)
    sizes = asyncio.run(publish_and_measure_sizes(engine_at))
    bare_given: dict[str, object] = {
        "brokers": brokers,
        "prefix": bare_at.prefix,
        "partitions": partitions,
        "sizes": sizes,
    }
    sides = {
        "bare executor": Side("bare-executor", bare_given),
        "bare": Side("bare-client", bare_given),
        "executor": Side("engine-executor", {"location": str(engine_at)}),
        "engine": Side("engine-client", {"location": str(engine_at)}),
    }
    rows: list[dict[str, object]] = []
    for concurrency in concurrencies:
        found: dict[str, list[Round]] = {"bare": [], "engine": []}
        back: list[float] = []
        others = {f"broker {number}": pid for number, pid in enumerate(broker_pids, 1)}
        used = {
            "bare": Used({"executor": sides["bare executor"].pid, "client": sides["bare"].pid, **others}),
            "engine": Used({"executor": sides["executor"].pid, "client": sides["engine"].pid, **others}),
        }
        for turn in range(rounds + 1):
            if concurrency == 1:
                back += cast("list[float]", sides["bare"].ask(0, APPENDS))[APPENDS // 3 :]
            for name, side_rounds in found.items():
                if turn:
                    side_rounds.append(used[name].round(sides[name], concurrency))
                else:
                    sides[name].ask(concurrency, SECONDS)  # warms up
        rows.append(_row(partitions, concurrency, found, back))
        for name, counted in used.items():
            rows[-1] |= {f"{name}_{what}_us": us for what, us in counted.microseconds().items()}
    for side in reversed(sides.values()):
        side.close()
    return rows


def _row(partitions: int, concurrency: int, found: dict[str, list[Round]], back: Sequence[float]) -> dict[str, object]:
    row: dict[str, object] = {"partitions": partitions, "concurrent_runs": concurrency}
    for name, rounds in found.items():
        row[f"{name}_runs_per_s"] = round(statistics.median(rate for rate, _ in rounds), 1)
        row[f"{name}_p50_ms"] = round(_percentile(rounds, 0.5), 2)
        row[f"{name}_p99_ms"] = round(_percentile(rounds, 0.99), 2)
    pairs = list(zip(found["engine"], found["bare"], strict=True))
    ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
    slower = statistics.median(_percentile([ours], 0.5) / _percentile([theirs], 0.5) for ours, theirs in pairs)
    row["ratio"], row["p50_ratio"] = round(ratio, 3), round(slower, 3)
    good = ratio >= RATIO_REQUIRED and slower <= LATENCY_RATIO_MAX
    row["read_back_ms"], row["lone_extra_ms"] = "", ""
    if concurrency == 1:
        one = statistics.median(back)
        extra = _percentile(found["engine"], 0.5) - 5 * one
        row["read_back_ms"], row["lone_extra_ms"] = round(one, 3), round(extra, 2)
        good = good and extra <= LONE_EXTRA_MS_MAX
    row["good"] = good
    return row


def main() -> bool:
    """Measure all; return whether everything required was reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", help="bootstrap address of a running broker; one is started unless given")
    parser.add_argument(
        "--nodes", type=int, default=1, help="brokers to start; with three, each record has three copies"
    )
    parser.add_argument("--partitions", type=int, nargs="*", default=PARTITIONS)
    parser.add_argument("--concurrency", type=int, nargs="*", default=CONCURRENCY)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args()

    def all_of(brokers: str, pids: Sequence[int] = ()) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for partitions in chosen.partitions:
            rows += measure(brokers, partitions, chosen.concurrency, chosen.rounds, pids)
        return rows

    if chosen.broker:
        rows = all_of(chosen.broker)
    else:
        with start_broker(chosen.nodes) as broker:
            pids = [broker.process(node) for node in broker.nodes] if isinstance(broker, JvmCluster) else []
            rows = all_of(broker.bootstrap, pids)
    publish("kafka_runs" if chosen.nodes == 1 else f"kafka_runs_{chosen.nodes}_brokers", rows)
    return all(row["good"] for row in rows)


if __name__ == "__main__":
    sys.exit(not main())
