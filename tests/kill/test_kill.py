"""SIGKILL at any instant: what was acknowledged is finished, once, with an unbroken chain.

RUNLINE_SEED=<number> draws the same instants again.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from engine.log.embedded import EmbeddedLog
from engine.log.port import EVENTS, LogRecord
from tests.checkers import Effect, accepted_commits, check_runs
from tests.support.seeds import drawn_seed

KILLS = 50
WORKER = Path(__file__).parent / "worker.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
RUNS_OF_ONE_LIFE = 200
BEGIN_SECONDS_MAX = 60
LINE_BYTES = 45
"""Of a short line in the ledger."""


def start(directory: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, str(WORKER), str(directory), str(RUNS_OF_ONE_LIFE)], env=ENVIRONMENT)


def kill(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the process ended before it was killed"


def size(directory: Path) -> int:
    return (directory / "ledger").stat().st_size


def wait_for_lines(directory: Path, lines: int) -> float:
    """Wait until about so many more lines are in the ledger; return the seconds that it took."""
    begun, before = time.monotonic(), size(directory)
    while size(directory) < before + lines * LINE_BYTES:
        assert time.monotonic() - begun < BEGIN_SECONDS_MAX, "the process does not work"
        time.sleep(0.001)
    return time.monotonic() - begun


async def read_all(directory: Path) -> list[LogRecord]:
    log = await EmbeddedLog.open_reading(directory)
    end = (await log.ends(EVENTS, 0)).end
    records = list(await log.read(EVENTS, 0, 0, end))
    await log.close()
    return records


def test_fifty_kills_lose_nothing_double_nothing_and_tear_nothing(tmp_path: Path) -> None:
    chance = random.Random(drawn_seed())
    (tmp_path / "ledger").touch()
    begins = 0.0
    for number in range(KILLS):
        process = start(tmp_path)
        if number % 5 == 4:
            # Before it begins to work, or not: in real time, because it has no clock of ours.
            time.sleep(chance.uniform(0, begins))
        else:
            begins = wait_for_lines(tmp_path, 1)
            wait_for_lines(tmp_path, chance.randrange(60))
        kill(process)
    subprocess.run([sys.executable, str(WORKER), str(tmp_path), "0"], env=ENVIRONMENT, check=True, timeout=300)
    lines = [line.split() for line in (tmp_path / "ledger").read_text().splitlines()]
    acknowledged = {words[1] for words in lines if words[0] == "started"}
    effects = [
        Effect(run, int(trace), int(attempt), process)
        for kind, run, *rest in lines
        if kind == "effect"
        for trace, attempt, process in [rest]
    ]
    records = asyncio.run(read_all(tmp_path / "data"))
    runs = accepted_commits(records)
    created_only = {run for run, commits in runs.items() if commits[-1]["events"][-1]["type"] == "run.created"}
    finished = [record for record in records if record.key not in created_only]
    assert check_runs(finished, acknowledged, effects) == []
    retried = sum(effect.attempt > 1 for effect in effects)
    fences = sum(record.headers["ce_type"] == "runline.fence" for record in records)
    print(f"{len(acknowledged)} acknowledged runs, {len(runs)} on the log, {fences} fences, {retried} attempts retried")
    assert len(acknowledged) > KILLS, "too few runs were under way for the kills to mean anything"
    assert retried > 0, "no kill hit a run at work"
