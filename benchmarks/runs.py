"""Runs per second on the embedded log with fsync, interleaved with the bare baseline.

Run with `python -m benchmarks.runs`; prints a table, and writes JSON to `benchmarks/results/runs.json`.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.bare import Bare, BareRuns
from benchmarks.report import publish
from benchmarks.workload import INPUT, registry, workflow
from engine import EngineService, RunStatus
from engine.core.records import COMMIT
from engine.log.embedded import EmbeddedLog
from engine.log.place import record_bytes
from engine.log.port import COMMANDS, EVENTS, Record

CONCURRENCY = (1, 16, 64, 256)
ROUNDS = 5
SECONDS = 1.5
"""Seconds of one round of one side."""
RUNS_MAX = 20_000
"""Runs of one round of one side, whatever the time."""
REQUIRED = {1: 0.5, 16: 0.5, 64: 0.3, 256: 0.3}
"""The least ratio of engine to baseline for each concurrency."""


class Round(NamedTuple):
    """What one side did in one round: runs per second, and the latency of each run in milliseconds."""

    rate: float
    latencies: Sequence[float]


async def closed_loop(concurrency: int, run: Callable[[], Awaitable[object]]) -> Round:
    """Let so many callers start one run after the other until the time is up."""
    latencies: list[float] = []
    begin = time.perf_counter()
    end = begin + SECONDS

    async def caller() -> None:
        while (started := time.perf_counter()) < end and len(latencies) < RUNS_MAX:
            await run()
            latencies.append((time.perf_counter() - started) * 1000)

    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return Round(len(latencies) / (time.perf_counter() - begin), latencies)


async def record_sizes(log: EmbeddedLog) -> list[int]:
    """Return the sizes of the records that one run wrote: its command, and its four commits."""
    commands = await log.read(COMMANDS, 0, 0, 1)
    events = [record for record in await log.read(EVENTS, 0, 0, 10) if record.headers["ce_type"] == COMMIT]
    return [record_bytes(Record(record.key, record.value, record.headers)) for record in (*commands, *events)]


def _row(concurrency: int, engine: Sequence[Round], bare: Sequence[Round]) -> dict[str, float]:
    ratios = [ours.rate / theirs.rate for ours, theirs in zip(engine, bare, strict=True)]
    row: dict[str, float] = {"concurrent_runs": concurrency}
    for name, rounds in (("engine", engine), ("baseline", bare)):
        latencies = sorted(latency for each in rounds for latency in each.latencies)
        row[f"{name}_runs_per_s"] = round(statistics.median(each.rate for each in rounds), 1)
        row[f"{name}_p50_ms"] = round(latencies[len(latencies) // 2], 3)
        row[f"{name}_p99_ms"] = round(latencies[len(latencies) * 99 // 100], 3)
    row["ratio"] = round(statistics.median(ratios), 3)
    row["ratio_min"] = round(min(ratios), 3)
    row["ratio_required"] = REQUIRED[concurrency]
    return row


async def main() -> list[dict[str, float]]:
    """Measure all concurrencies, engine and baseline turn by turn."""
    rows: list[dict[str, float]] = []
    functions = registry()
    with tempfile.TemporaryDirectory(prefix="runline-bench-") as directory:
        log = await EmbeddedLog.open(Path(directory) / "engine")
        async with EngineService.open(log, functions) as service:
            await service.publish_workflow(workflow())

            async def engine_run() -> None:
                run = await service.run_workflow("three_steps", INPUT)
                assert run.run_status is RunStatus.SUCCESS

            await engine_run()
            sizes = await record_sizes(log)
            assert len(sizes) == 5, sizes  # noqa: PLR2004 - one command, four commits
            bare = Bare(Path(directory) / "bare", asyncio.get_running_loop())
            bare_run = BareRuns(bare, sizes, functions).run
            for concurrency in CONCURRENCY:
                engine_rounds: list[Round] = []
                bare_rounds: list[Round] = []
                await closed_loop(concurrency, bare_run)
                await closed_loop(concurrency, engine_run)
                for _ in range(ROUNDS):
                    bare_rounds.append(await closed_loop(concurrency, bare_run))
                    engine_rounds.append(await closed_loop(concurrency, engine_run))
                rows.append(_row(concurrency, engine_rounds, bare_rounds))
            bare.close()
        await log.close()
    return rows


if __name__ == "__main__":
    found = asyncio.run(main())
    publish("runs", found)
    sys.exit(any(row["ratio"] < row["ratio_required"] for row in found))
