"""SIGKILL at any instant: what was acknowledged is finished, once, with an unbroken chain."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from engine.log.embedded import EmbeddedLog
from engine.log.port import EVENTS, LogRecord
from tests.checkers import Effect, accepted_commits, check_runs

KILLS = 50
WORKER = Path(__file__).parent / "worker.py"
RUNS_OF_ONE_LIFE = 200


def kill_after(directory: Path, seconds: float) -> None:
    process = subprocess.Popen([sys.executable, str(WORKER), str(directory), str(RUNS_OF_ONE_LIFE)])
    time.sleep(seconds)  # a real process in real time: there is no clock of ours to turn
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the process ended before it was killed"


async def read_all(directory: Path) -> list[LogRecord]:
    log = await EmbeddedLog.open_reading(directory)
    end = (await log.ends(EVENTS, 0)).end
    records = list(await log.read(EVENTS, 0, 0, end))
    await log.close()
    return records


def test_fifty_kills_lose_nothing_double_nothing_and_tear_nothing(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    (tmp_path / "ledger").touch()
    for _ in range(KILLS):
        # A process needs about 0.4 s to begin to work: some are killed before that, most while they work.
        kill_after(tmp_path, chance.uniform(0.25, 1.0))
    subprocess.run([sys.executable, str(WORKER), str(tmp_path), "0"], check=True, timeout=120)
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
    created_only = {run for run, commits in runs.items() if commits[-1]["events"][-1]["type"] == "run.created"}  # type: ignore[index]  # JSON
    finished = [record for record in records if record.key not in created_only]
    assert check_runs(finished, acknowledged, effects) == []
    retried = sum(effect.attempt > 1 for effect in effects)
    fences = sum(record.headers["ce_type"] == "runline.fence" for record in records)
    print(f"{len(acknowledged)} acknowledged runs, {len(runs)} on the log, {fences} fences, {retried} attempts retried")
    assert len(acknowledged) > KILLS, "too few runs were under way for the kills to mean anything"
    assert retried > 0, "no kill hit a run at work"
