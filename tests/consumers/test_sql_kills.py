"""SIGKILL between any two steps of a service with a SQL database: in the end every change is there once."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

from sqlalchemy import create_engine, text

from consumers.sql import RunsTable
from engine.log.embedded import EmbeddedLog
from tests.consumers.sql_worker import POINTS
from tests.consumers.test_host import play, told

ROOT = Path(__file__).parents[2]
ROUNDS = 3
SECONDS = 300


async def follow(tmp_path: Path, url: str, point: str, count: int) -> int:
    """Follow in a process of its own; return how it ended."""
    arguments = (str(tmp_path / "log"), str(tmp_path / "group"), url, point, str(count))
    command = (sys.executable, "-m", "tests.consumers.sql_worker", *arguments)
    # What a killed reader of the log leaves behind stays with the test.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment)
    return await process.wait()


async def test_kills_between_any_two_steps_lose_no_effect_and_repeat_none(tmp_path: Path, database: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    log = await EmbeddedLog.open(tmp_path / "log", 2, "process")
    runs = await play(log, 30)
    changes = await told(log)
    await log.close()
    async with asyncio.timeout(SECONDS):
        for point in POINTS * ROUNDS:
            assert await follow(tmp_path, database, point, chance.randint(1, 10)) == -signal.SIGKILL, point
        assert await follow(tmp_path, database, "never", 0) == 0
    engine = create_engine(database)
    with engine.connect() as connection:
        entered = Counter((row.run_id, row.event_id) for row in connection.execute(text("select * from entries")))
        rows = list(connection.execute(RunsTable(engine).runs.select()).mappings())
    engine.dispose()
    expected = Counter((run_id, event_id) for run_id, each in changes.items() for event_id, _ in each)
    assert entered == expected
    assert sorted(row["run_id"] for row in rows) == sorted(runs)
    assert {row["status"] for row in rows} == {"Success"}
    assert {row["run_id"]: row["event_id"] for row in rows} == {run: each[-1][0] for run, each in changes.items()}
