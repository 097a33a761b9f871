"""Effects in a SQL database happen once, although a service is called at least once."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from consumers.sql import SqlPositions, SqlTableError
from consumers.sql.tables import check_dialect
from engine.errors import ArgumentError
from tests.consumers.postgres import Postgres, new_database
from tests.consumers.receiving import delivery

SECONDS = 60


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    made = create_engine(database)
    yield made
    made.dispose()


@pytest.fixture
def positions(engine: Engine) -> SqlPositions:
    made = SqlPositions("ledger")
    made.create_table(engine)
    return made


def count(engine: Engine, positions: SqlPositions) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(positions.table)) or 0


def test_a_change_is_new_once(engine: Engine, positions: SqlPositions) -> None:
    for expected in (True, False, False):
        with engine.begin() as connection:
            assert positions.once(connection, delivery(1)) is expected
    with engine.begin() as connection:
        assert positions.once(connection, delivery(2))
        assert not positions.once(connection, delivery(2, attempt=2))
    with engine.connect() as connection:
        rows = connection.execute(select(positions.table).order_by(positions.table.c.log_index)).all()
    told = [(row.service, row.event_id, row.log_partition, row.log_offset, row.log_index) for row in rows]
    assert told == [("ledger", f"{'c' * 64}.{number}", 0, 10, number) for number in (1, 2)]
    assert all(abs(datetime.now(UTC) - row.done) < timedelta(minutes=1) for row in rows)


def test_what_is_rolled_back_was_not_done(engine: Engine, positions: SqlPositions) -> None:
    with suppress(ZeroDivisionError), engine.begin() as connection:
        assert positions.once(connection, delivery())
        raise ZeroDivisionError
    with engine.begin() as connection:
        assert positions.once(connection, delivery())


def test_services_that_share_a_table_do_not_take_each_other_s_changes(engine: Engine, positions: SqlPositions) -> None:
    with engine.begin() as connection:
        assert positions.once(connection, delivery())
        assert SqlPositions("mail").once(connection, delivery())


@pytest.mark.parametrize("commits", [True, False])
def test_of_two_at_the_same_time_the_second_waits_for_the_first(
    engine: Engine, positions: SqlPositions, *, commits: bool
) -> None:
    answers: list[bool] = []
    begun = threading.Event()

    def second() -> None:
        with engine.begin() as connection:
            begun.set()
            answers.append(positions.once(connection, delivery()))

    other = threading.Thread(target=second)
    with engine.connect() as connection:
        assert positions.once(connection, delivery())
        other.start()
        begun.wait(SECONDS)
        other.join(0.2)
        assert answers == []
        connection.commit() if commits else connection.rollback()
    other.join(SECONDS)
    assert answers == [not commits]


def test_old_ones_are_forgotten_and_those_of_others_kept(engine: Engine, positions: SqlPositions) -> None:
    with engine.begin() as connection:
        positions.once(connection, delivery(1))
        SqlPositions("mail").once(connection, delivery(1))
    between = datetime.now(UTC)
    with engine.begin() as connection:
        positions.once(connection, delivery(2))
        assert positions.forget(connection, between) == 1
        assert positions.forget(connection, between) == 0
        assert not positions.once(connection, delivery(2))
        assert positions.once(connection, delivery(1))
    assert count(engine, positions) == 3


def test_a_connection_that_commits_by_itself_is_refused_before_anything_is_recorded(
    engine: Engine, positions: SqlPositions
) -> None:
    with (
        engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection,
        pytest.raises(ArgumentError, match="commits each statement by itself"),
    ):
        positions.once(connection, delivery())
    assert count(engine, positions) == 0


def test_transactions_of_sqlite_may_be_begun_by_hand(tmp_path: object) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/hand.db")

    @event.listens_for(engine, "connect")
    def connected(raw: object, record: object) -> None:  # noqa: ARG001 - as SQLAlchemy calls it
        assert isinstance(raw, sqlite3.Connection)
        raw.isolation_level = None

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    positions = SqlPositions("ledger")
    positions.create_table(engine)
    with suppress(ZeroDivisionError), engine.begin() as connection:
        assert positions.once(connection, delivery())
        raise ZeroDivisionError
    with engine.begin() as connection:
        assert positions.once(connection, delivery())
    engine.dispose()


async def test_an_asynchronous_connection_does_as_well(postgres: Postgres) -> None:
    engine = create_async_engine(new_database(postgres), poolclass=NullPool)
    positions = SqlPositions("ledger")
    async with engine.begin() as connection:
        await connection.run_sync(positions.create_table)
    for expected in (True, False):
        async with engine.begin() as connection:
            assert await connection.run_sync(positions.once, delivery()) is expected


def test_many_processes_may_make_the_table_at_once(database: str) -> None:
    engines = [create_engine(database) for _ in range(8)]
    start = threading.Barrier(len(engines))
    failures: list[Exception] = []

    def make(engine: Engine) -> None:
        start.wait()
        try:
            SqlPositions("ledger").create_table(engine)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=make, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    for engine in engines:
        engine.dispose()
    assert failures == []


def test_a_table_of_this_name_that_is_another_s_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("create table runline_positions (service text, done text)"))
    with pytest.raises(SqlTableError, match="to have the columns event_id, log_partition, log_offset, log_index"):
        SqlPositions("ledger").create_table(engine)


def test_a_table_may_have_another_name(engine: Engine) -> None:
    positions = SqlPositions("ledger", table="done")
    positions.create_table(engine)
    with engine.begin() as connection:
        assert positions.once(connection, delivery())
    with closing(engine.raw_connection()) as raw, closing(raw.cursor()) as cursor:
        cursor.execute("select count(*) from done")
        assert cursor.fetchone() == (1,)


def test_a_database_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ArgumentError, match="expected a database of postgresql or sqlite, but found mysql"):
        check_dialect(mysql.dialect())
