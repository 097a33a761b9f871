"""Hosts that do not know of each other share a database; and what is said where a library is missing."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from consumers.host import Service
from consumers.sql import RunsTable
from tests.consumers.sql_worker import Ledger
from tests.consumers.test_host import hosting, play, told
from tests.simulation.log import SimulatedLog

ROOT = Path(__file__).parents[2]


async def test_two_hosts_that_deal_with_the_same_changes_at_the_same_time_have_each_effect_once(
    tmp_path: Path, database: str
) -> None:
    log = SimulatedLog(2)
    await play(log, 10)
    ledgers = [Ledger(database, "never", 0) for _ in range(2)]
    tables = [RunsTable(database) for _ in range(2)]
    services: list[dict[str, Service]] = [
        {"ledger": ledger, "runs": table} for ledger, table in zip(ledgers, tables, strict=True)
    ]
    async with (
        hosting(log, tmp_path / "a", services[0], attempts=1000) as first,
        hosting(log, tmp_path / "b", services[1], attempts=1000) as second,
    ):
        await first.caught_up()
        await second.caught_up()
        assert [lag.parked for lag in (*await first.lag(), *await second.lag())] == [0] * 8
    changes = await told(log)
    engine = create_engine(database)
    with engine.connect() as connection:
        entered = Counter(row.event_id for row in connection.execute(text("select * from entries")))
        rows = {row.run_id: row.event_id for row in connection.execute(tables[0].runs.select())}
    assert entered == Counter(event_id for each in changes.values() for event_id, _ in each)
    assert rows == {run_id: each[-1][0] for run_id, each in changes.items()}
    engine.dispose()
    for ledger, table in zip(ledgers, tables, strict=True):
        ledger.close()
        table.close()


@pytest.mark.parametrize(
    ("package", "library", "extra"),
    [("consumers.sql", "sqlalchemy", "runline[sql]"), ("consumers.webhook", "aiohttp", "runline[webhook]")],
)
def test_a_library_that_is_missing_is_named_with_the_extra_that_brings_it(
    package: str, library: str, extra: str
) -> None:
    program = f"import sys; sys.modules[{library!r}] = None; import {package}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f"is not installed: pip install '{extra}'")
