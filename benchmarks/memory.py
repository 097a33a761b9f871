"""Memory after 10,000 and after 100,000 finished runs, and the speed of folding their log from the beginning.

Run with `python -m benchmarks.memory`; writes JSON to `benchmarks/results/memory.json` and `.../replay.json`.
"""

import asyncio
import gc
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import publish
from benchmarks.workload import INPUT, registry, workflow
from engine import EngineService
from engine.core.view import View
from engine.log.embedded import EmbeddedLog
from engine.log.port import EVENTS

FEW, MANY = 10_000, 100_000
GROWTH_MIB_MAX = 50.0
EVENTS_PER_S_MIN = 50_000
CALLERS = 64
PAGE = 1_000
MIB = 1024 * 1024


def resident_mib() -> float:
    """Return this process's resident memory in MiB."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError("expected VmRSS in /proc/self/status; this benchmark needs Linux")


async def run_many(engine: EngineService, count: int) -> None:
    """Finish so many runs."""
    left = count

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await engine.run_workflow("three_steps", INPUT)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def measure_memory(directory: Path) -> dict[str, float]:
    """Return resident memory after few and after many finished runs."""
    async with EngineService.open(directory, registry(), durability="process") as engine:
        await engine.publish_workflow(workflow())
        await run_many(engine, FEW)
        few = resident_mib()
        await run_many(engine, MANY - FEW)
        many = resident_mib()
    return {
        "runs_few": FEW,
        "resident_mib_few": round(few, 1),
        "runs_many": MANY,
        "resident_mib_many": round(many, 1),
        "growth_mib": round(many - few, 1),
        "growth_mib_max": GROWTH_MIB_MAX,
    }


async def measure_replay(directory: Path) -> dict[str, float]:
    """Return how fast the whole log is folded, with reading it and without."""
    log = await EmbeddedLog.open_reading(directory)
    end = (await log.ends(EVENTS, 0)).end
    view, events, size, folding = View(), 0, 0, 0.0
    begin = time.perf_counter()
    while view.position < end:
        records = await log.read(EVENTS, 0, view.position, PAGE)
        started = time.perf_counter()
        for record in records:
            accepted = view.fold(record)
            size += len(record.value)
            if accepted is not None:
                events += len(accepted.value["events"])
        folding += time.perf_counter() - started
    total = time.perf_counter() - begin
    await log.close()
    assert len(view.ended) == MANY
    return {
        "records": end,
        "events": events,
        "mib": round(size / MIB, 1),
        "events_per_s": round(events / total),
        "events_per_s_fold_only": round(events / folding),
        "events_per_s_required": EVENTS_PER_S_MIN,
    }


def main() -> int:
    """Measure and publish; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="runline-bench-") as directory:
        memory = asyncio.run(measure_memory(Path(directory)))
        replay = asyncio.run(measure_replay(Path(directory)))
    publish("memory", [memory])
    publish("replay", [replay])
    return int(memory["growth_mib"] > GROWTH_MIB_MAX or replay["events_per_s"] < EVENTS_PER_S_MIN)


if __name__ == "__main__":
    sys.exit(main())
