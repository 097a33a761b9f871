"""Recovery: 10,000 runs wait in a code node, the process is killed; how long until all of them are running again?

Once with nothing else on the log, once with 100,000 finished runs before them, turn by turn.
Run with `python -m benchmarks.recovery`; writes JSON to `benchmarks/results/recovery.json`.
"""

import asyncio
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from benchmarks.memory import run_many
from benchmarks.report import publish
from benchmarks.workload import Waiting, registry, workflow
from engine import EngineService, WorkflowBuilder

OPEN = 10_000
FINISHED = 100_000
TRIALS = 3
RATIO_MAX = 1.5


def _engine(directory: Path, waiting: Waiting) -> EngineService:
    functions = registry()
    functions.node("wait")(waiting)
    return EngineService.open(directory, functions, durability="process", nodes_running_max=OPEN)


async def fill(directory: Path, finished: int) -> None:
    """Finish some runs, open 10,000, say so, and wait to be killed."""
    waiting = Waiting(OPEN)
    async with _engine(directory, waiting) as engine:
        await engine.publish_workflow(workflow())
        await engine.publish_workflow(WorkflowBuilder("waits", "Waits").start().code("wait", function="wait").build())
        await run_many(engine, finished)

        async def start() -> None:
            run_id = await engine.create_workflow_run("waits")
            await engine.start_workflow_run_and_notify(run_id, {"input": {"number": 1}})

        for _ in range(OPEN // 100):
            await asyncio.gather(*(start() for _ in range(100)))
        await waiting.all_here.wait()
        print("ready", flush=True)
        await asyncio.Event().wait()


async def recover(directory: Path) -> None:
    """Open the log of a killed process and print the seconds until all its runs are running again."""
    waiting = Waiting(OPEN)
    begin = time.perf_counter()
    async with _engine(directory, waiting):
        await waiting.all_here.wait()
        print(orjson.dumps({"seconds": time.perf_counter() - begin}).decode(), flush=True)


def _killed(directory: Path, finished: int) -> None:
    arguments = [sys.executable, "-m", "benchmarks.recovery", "fill", str(directory), str(finished)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)


def _trial(directory: Path) -> float:
    """Recover a copy, so that every trial finds the same log."""
    copy = directory.with_suffix(".copy")
    shutil.copytree(directory, copy)
    arguments = [sys.executable, "-m", "benchmarks.recovery", "recover", str(copy)]
    answer = subprocess.run(arguments, stdout=subprocess.PIPE, check=True).stdout
    shutil.rmtree(copy)
    seconds: float = orjson.loads(answer)["seconds"]
    return seconds


def main() -> int:
    """Measure and publish; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="runline-bench-") as directory:
        alone, behind = Path(directory) / "alone", Path(directory) / "behind"
        _killed(alone, 0)
        _killed(behind, FINISHED)
        pairs = [(_trial(alone), _trial(behind)) for _ in range(TRIALS)]
    ratio = statistics.median(after / before for before, after in pairs)
    row = {
        "open_runs": OPEN,
        "seconds": round(statistics.median(before for before, _ in pairs), 3),
        "finished_runs_before": FINISHED,
        "seconds_behind_them": round(statistics.median(after for _, after in pairs), 3),
        "ratio": round(ratio, 3),
        "ratio_max": RATIO_MAX,
    }
    publish("recovery", [row])
    return int(ratio > RATIO_MAX)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fill", where, count]:
            asyncio.run(fill(Path(where), int(count)))
        case ["recover", where]:
            asyncio.run(recover(Path(where)))
        case _:
            sys.exit(main())
