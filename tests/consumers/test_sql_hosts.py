"""Ready-made services in hosts on every log, and what is said where a library is missing."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from consumers.host import Service
from consumers.sql import RunsTable
from consumers.webhook import RUN_TYPES, TRACE_TYPES, Webhook
from tests.consumers.postgres import Postgres, new_database
from tests.consumers.receiving import receiving
from tests.consumers.sql_worker import Ledger
from tests.consumers.test_host import hosting, play, told
from tests.consumers.test_webhook import HERE, secret
from tests.consumers.test_webhook_host import received
from tests.simulation.log import SimulatedLog
from tests.support.logs import open_kafka

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


async def test_on_kafka_they_hear_and_write_the_same(broker: str, postgres: Postgres, tmp_path: Path) -> None:
    log = await open_kafka(broker, 2)
    await play(log, 5)
    url = new_database(postgres)
    ledger, table = Ledger(url, "never", 0), RunsTable(url)
    async with receiving() as receiver:
        hook = Webhook(receiver.url, [secret()], types=RUN_TYPES + TRACE_TYPES, allow_http=True, allowed_networks=HERE)
        async with hosting(log, tmp_path, {"ledger": ledger, "runs": table, "hook": hook}) as host:
            await host.caught_up()
    changes = await told(log)
    expected = Counter(event_id for each in changes.values() for event_id, _ in each)
    engine = create_engine(url)
    with engine.connect() as connection:
        entered = Counter(row.event_id for row in connection.execute(text("select * from entries")))
        rows = {row.run_id: row.event_id for row in connection.execute(table.runs.select())}
    assert entered == expected == Counter(each for events in received(receiver).values() for each in events)
    assert rows == {run_id: each[-1][0] for run_id, each in changes.items()}
    engine.dispose()
    ledger.close()
    table.close()
    await log.close()


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
