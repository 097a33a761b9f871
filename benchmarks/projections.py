"""Views of a million runs: folding speed on one core, memory, disk, and how long listing 50 of them takes.

Run with `python -m benchmarks.projections`; writes JSON to `benchmarks/results/projections.json` and `.../lists.json`.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import orjson

from benchmarks.history import BEGINNING, SPAN, write_history
from benchmarks.report import publish
from engine.cli.collection import collect_seldom
from engine.core.state import RunStatus
from engine.log.embedded import EmbeddedLog
from projections import Projector, RunFilter, Views

RUNS = 1_000_000
SEED = 5
EVENTS_PER_S_MIN = 50_000
GIB_MAX = 2.0
LIST_MS_MAX = 5.0
PAGE = 50
QUERIES = 200
"""Pages of each filter that are timed, anywhere in its list."""
MIB = 1024 * 1024


def filters() -> dict[str, RunFilter]:
    """Return the filters that are timed."""
    middle = BEGINNING + SPAN / 2
    return {
        "all": RunFilter(),
        "workflow": RunFilter(workflow="orders-3"),
        "status": RunFilter(status=RunStatus.FAILED),
        "status Created": RunFilter(status=RunStatus.CREATED),
        "workflow and status": RunFilter(workflow="orders-3", status=RunStatus.FAILED),
        "time": RunFilter(created_from=middle, created_before=middle + SPAN / 10),
        "tag": RunFilter(tag="nightly"),
        "error type": RunFilter(error="KeyError"),
        "workflow and error type": RunFilter(workflow="orders-3", error="KeyError"),
        "tag and status": RunFilter(tag="nightly", status=RunStatus.FAILED),
    }


def memory_mib(name: str) -> float:
    """Return a figure of this process's memory in MiB: `VmHWM` for the highest so far, `VmRSS` for now."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"expected {name} in /proc/self/status; this benchmark needs Linux")


async def fold(directory: Path, views: Path) -> dict[str, float]:
    """Fold a log into new views, on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    collect_seldom()  # as the command line does
    before = memory_mib("VmRSS")
    log = await EmbeddedLog.open_reading(directory)
    begin = time.perf_counter()
    async with Projector(log, views) as projector:
        await projector.caught_up()
        seconds = time.perf_counter() - begin
    await log.close()
    return {"seconds": seconds, "mib_before": before, "mib_highest": memory_mib("VmHWM")}


def start_times(wanted: RunFilter, seed: int) -> Iterator[RunFilter]:
    """Yield the filter with ends anywhere in its time, so that pages come from anywhere in the list."""
    random = Random(seed)
    low = wanted.created_from or BEGINNING
    high = wanted.created_before or BEGINNING + SPAN
    for _ in range(QUERIES):
        yield RunFilter(
            workflow=wanted.workflow,
            status=wanted.status,
            tag=wanted.tag,
            error=wanted.error,
            created_from=low,
            created_before=low + random.uniform(0.1, 1.0) * (high - low),
        )


async def lists(views: Path) -> list[dict[str, object]]:
    """Time pages of every filter, beside whoever may fold the views."""
    rows: list[dict[str, object]] = []
    async with Views.open(views) as opened:
        for name, wanted in filters().items():
            begin = time.perf_counter()
            first = await opened.list_runs(wanted, limit=PAGE)
            cold = (time.perf_counter() - begin) * 1000
            took = []
            for anywhere in start_times(wanted, SEED):
                begin = time.perf_counter()
                await opened.list_runs(anywhere, limit=PAGE)
                took.append((time.perf_counter() - begin) * 1000)
            took.sort()
            rows.append(
                {
                    "filter": name,
                    "items": len(first.items),
                    "first_ms": round(cold, 2),
                    "p50_ms": round(statistics.median(took), 2),
                    "p99_ms": round(took[int(len(took) * 0.99)], 2),
                    "ms_max": LIST_MS_MAX,
                }
            )
    return rows


def in_process(work: str, *words: str) -> object:
    """Do a part in a process of its own and return what it says."""
    command = [sys.executable, "-m", "benchmarks.projections", "--part", work, *words]
    return orjson.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def measure(runs: int) -> bool:
    """Measure all; return whether everything required was reached."""
    with tempfile.TemporaryDirectory(prefix="runline-bench-") as directory:
        log, views = Path(directory) / "log", Path(directory) / "views"
        begin = time.perf_counter()
        events = asyncio.run(write_history(log, runs, SEED))
        print(f"{runs} runs, {events} events written in {time.perf_counter() - begin:.0f} s, seed {SEED}", flush=True)
        folded = in_process("fold", str(log), str(views))
        assert isinstance(folded, dict)
        size = sum(file.stat().st_size for file in views.rglob("*") if file.is_file())
        found = in_process("lists", str(views))
    assert isinstance(found, list)
    row = {
        "runs": runs,
        "events": events,
        "seconds": round(folded["seconds"], 1),
        "events_per_s": round(events / folded["seconds"]),
        "events_per_s_min": EVENTS_PER_S_MIN,
        "mib_before": round(folded["mib_before"]),
        "mib_highest": round(folded["mib_highest"]),
        "views_gib": round(size / MIB / 1024, 3),
        "gib_max": GIB_MAX,
    }
    publish("projections", [row])
    publish("lists", found)
    return (
        events / folded["seconds"] >= EVENTS_PER_S_MIN
        and size / MIB / 1024 <= GIB_MAX
        and all(each["p99_ms"] <= LIST_MS_MAX and each["items"] == PAGE for each in found)
    )


def main() -> bool:
    """Measure, or do one part for the process that measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--part", nargs="+", help="for the benchmark itself")
    chosen = parser.parse_args()
    match chosen.part:
        case ["fold", log, views]:
            print(orjson.dumps(asyncio.run(fold(Path(log), Path(views)))).decode())
            return True
        case ["lists", views]:
            print(orjson.dumps(asyncio.run(lists(Path(views)))).decode())
            return True
        case _:
            return measure(chosen.runs)


if __name__ == "__main__":
    sys.exit(not main())
