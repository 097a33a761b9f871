"""Real processes die at the crash points of what is around the engine: the log on disk, views, progress services."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from engine.crash_points import CrashPoint
from engine.log.embedded import EmbeddedLog
from engine.log.kafka import KafkaLog
from engine.log.port import EVENTS, LogRecord
from tests.checkers import Effect, accepted_commits, check_runs
from tests.kill.mortal import RUNS
from tests.simulation.crashes import SIMULATED
from tests.support.logs import new_location

MORTAL = Path(__file__).parent / "mortal.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
LIFE_SECONDS_MAX = 240
EMBEDDED = (
    # Views take the place of nothing only once, at the beginning.
    CrashPoint.VIEWS_LISTED,
    CrashPoint.VIEWS_BEFORE,
    CrashPoint.EMBEDDED_BEFORE,
    CrashPoint.EMBEDDED_WRITTEN,
    CrashPoint.EMBEDDED_AFTER,
    CrashPoint.PROJECTION_BEFORE,
    CrashPoint.PROJECTION_AFTER,
    CrashPoint.SERVICE_BEFORE,
    CrashPoint.SERVICE_AFTER,
    CrashPoint.PROGRESS_BEFORE,
    CrashPoint.PROGRESS_AFTER,
)
KAFKA = (CrashPoint.OFFSETS_BEFORE, CrashPoint.OFFSETS_AFTER)


def live(location: str, directory: Path, point: CrashPoint | None, visit: int) -> None:
    words = [location, str(directory), "-" if point is None else point.name, str(visit)]
    done = subprocess.run([sys.executable, str(MORTAL), *words], env=ENVIRONMENT, check=False, timeout=LIFE_SECONDS_MAX)
    expected = 0 if point is None else -signal.SIGKILL
    assert done.returncode == expected, f"at visit {visit} of {words[2]}: ended with {done.returncode}"


def die_at_all(location: str, directory: Path, points: tuple[CrashPoint, ...]) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    (directory / "ledger").touch()
    for point in points:
        live(location, directory, point, 1 if point.name.startswith("VIEWS") else chance.randint(1, 5))
    live(location, directory, None, 0)


def check(records: list[LogRecord], directory: Path) -> None:
    lines = [line.split() for line in (directory / "ledger").read_text().splitlines()]
    effects = [Effect(words[1], int(words[2]), int(words[3]), words[4]) for words in lines if words[0] == "effect"]
    started = [words[1] for words in lines if words[0] == "started"]
    assert len(started) >= RUNS
    commits = accepted_commits(records)
    created_only = {run for run, chain in commits.items() if chain[-1]["events"][-1]["type"] == "run.created"}
    assert check_runs([record for record in records if record.key not in created_only], started, effects) == []


def test_processes_die_at_the_points_of_the_log_on_disk_the_views_and_the_services(tmp_path: Path) -> None:
    die_at_all(str(tmp_path / "data"), tmp_path, EMBEDDED)

    async def read() -> list[LogRecord]:
        log = await EmbeddedLog.open_reading(tmp_path / "data")
        try:
            return list(await log.read(EVENTS, 0, 0, (await log.ends(EVENTS, 0)).end))
        finally:
            await log.close()

    check(asyncio.run(read()), tmp_path)


def test_an_executor_dies_beside_the_offsets_that_it_commits_for_people_who_watch(tmp_path: Path, broker: str) -> None:
    location = asyncio.run(new_location(broker))
    die_at_all(str(location), tmp_path, KAFKA)

    async def read() -> list[LogRecord]:
        log = await KafkaLog.open(location)
        try:
            return list(await log.read(EVENTS, 0, 0, (await log.ends(EVENTS, 0)).end))
        finally:
            await log.close()

    check(asyncio.run(read()), tmp_path)


def test_every_crash_point_is_one_at_which_a_test_kills() -> None:
    assert sorted(point.name for point in (*SIMULATED, *EMBEDDED, *KAFKA)) == sorted(point.name for point in CrashPoint)
