"""The table of runs says what the log says, on every database, however its changes arrive."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Engine, RowMapping, create_engine, inspect, select, text
from sqlalchemy.exc import DBAPIError

from consumers.sql import RunsTable, SqlTableError
from engine import Run, Trace
from engine.core.state import RunStatus
from engine.errors import ArgumentError
from engine.log.port import Log
from engine.run import RunError
from tests.consumers.postgres import Postgres, new_database
from tests.consumers.receiving import RUN, TRACE, delivery
from tests.consumers.test_host import Book, hosting, play
from tests.simulation.log import SimulatedLog
from tests.support.workflows import code

THREADS, WRITES = 8, 10


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    made = create_engine(database)
    yield made
    made.dispose()


def rows_of(table: RunsTable, engine: Engine, *, traces: bool = False) -> list[RowMapping]:
    chosen = table.traces if traces else table.runs
    assert chosen is not None
    with engine.connect() as connection:
        return list(connection.execute(select(chosen).order_by(*chosen.primary_key.columns)).mappings())


async def make_log() -> Log:
    log = SimulatedLog(2)
    await play(log, 6)
    await play(log, 3, "failing", code("f", "fail"))
    return log


def last_of(book: Book) -> tuple[dict[str, Run], dict[str, Trace]]:
    """Return every run and trace as a service last heard of it."""
    runs = {subject.run_id: subject for subject, _ in book.heard if isinstance(subject, Run)}
    traces = {subject.trace_id: subject for subject, _ in book.heard if isinstance(subject, Trace)}
    return runs, traces


def check_runs(rows: list[RowMapping], runs: dict[str, Run]) -> None:
    assert [row["run_id"] for row in rows] == sorted(runs)
    for row in rows:
        run = runs[row["run_id"]]
        error = (None, None, None) if run.error is None else (run.error.type, run.error.message, run.error.node_id)
        assert (row["error_type"], row["error_message"], row["error_node_id"]) == error
        told = (run.workflow_id, run.workflow_version, list(run.tags), run.run_status, run.message)
        assert (row["workflow_id"], row["workflow_version"], row["tags"], row["status"], row["message"]) == told
        assert (row["created"], row["started"], row["stopped"]) == (run.created, run.started, run.stopped)
        assert row["event_id"].startswith(run.commit_id)


def check_traces(rows: list[RowMapping], traces: dict[str, Trace]) -> None:
    found = sorted((trace.run_id, trace.number) for trace in traces.values())
    assert [(row["run_id"], row["number"]) for row in rows] == found
    for row in rows:
        trace = traces[f"{row['run_id']}.{row['number']}"]
        assert (row["node_id"], row["node_type"], row["title"]) == (trace.node_id, trace.node_type, trace.title)
        assert (row["attempt"], row["status"], row["message"]) == (trace.attempt, trace.trace_status, trace.message)
        assert (row["started"], row["stopped"]) == (trace.started, trace.stopped)
        assert row["error_type"] == (None if trace.error is None else trace.error.type)


async def test_the_tables_say_what_the_log_says(tmp_path: Path, database: str, engine: Engine) -> None:
    log, book, table = await make_log(), Book(), RunsTable(database, traces="traces")
    async with hosting(log, tmp_path / "group", {"book": book, "table": table}) as host:
        await host.caught_up()
    runs, traces = last_of(book)
    assert {run.run_status for run in runs.values()} == {RunStatus.SUCCESS, RunStatus.FAILED}
    check_runs(rows_of(table, engine), runs)
    check_traces(rows_of(table, engine, traces=True), traces)
    table.close()


async def test_a_second_replay_changes_nothing_and_a_missing_table_is_filled_again(
    tmp_path: Path, engine: Engine
) -> None:
    log = await make_log()
    table = RunsTable(engine)
    found: list[list[RowMapping]] = []
    for number, drop in enumerate((False, False, True)):
        if drop:
            table.runs.drop(engine)
            table = RunsTable(engine)
        async with hosting(log, tmp_path / str(number), {"table": table}) as host:
            await host.caught_up()
        found.append(rows_of(table, engine))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 9


async def test_changes_may_arrive_late_twice_and_in_any_order(tmp_path: Path, engine: Engine) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    book, table = Book(), RunsTable(engine, traces="traces")
    async with hosting(await make_log(), tmp_path / "group", {"book": book}) as host:
        await host.caught_up()
    changes = book.heard * 2
    random.Random(seed).shuffle(changes)
    for subject, each in changes:
        if isinstance(subject, Run):
            table.run_progress(subject, each)
        else:
            table.trace_progress(subject, each)
    runs, traces = last_of(book)
    check_runs(rows_of(table, engine), runs)
    check_traces(rows_of(table, engine, traces=True), traces)


HOSTILE = "'; drop table runs; --\0\x1b[2J\u202e" + "x" * 4000
CLEAN = HOSTILE.replace("\0", "\ufffd")


def test_threads_that_write_at_the_same_time_are_not_turned_away_by_sqlite(tmp_path: Path) -> None:
    # Whoever finds another writer is turned away at once.
    table = RunsTable(f"sqlite:///{tmp_path}/test.db?timeout=0", traces="traces")
    together = threading.Barrier(THREADS)

    def write(first: int) -> None:
        together.wait()
        for number in range(first, first + WRITES):
            table.run_progress(RUN, delivery(number))
            table.trace_progress(TRACE, delivery(number))

    with ThreadPoolExecutor(THREADS) as threads:
        done = [threads.submit(write, WRITES * each) for each in range(THREADS)]
        for each in done:
            each.result()
    table.close()


def hostile_run() -> Run:
    context = orjson.dumps({"a": "\0", "b": HOSTILE}).decode()
    return Run(
        run_id=RUN.run_id,
        workflow_id=HOSTILE,
        workflow_version="v",
        tags=(HOSTILE, "\0"),
        run_status=RunStatus.FAILED,
        message=HOSTILE,
        error=RunError(HOSTILE, HOSTILE, HOSTILE),
        input_context=context,
        output_context=context,
        created=datetime(1970, 1, 1, tzinfo=UTC),
        started=None,
        stopped=datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        commit_id="c",
    )


def test_hostile_texts_are_kept_as_texts(engine: Engine) -> None:
    table = RunsTable(engine, contexts=True)
    run = hostile_run()
    table.run_progress(run, delivery())
    (row,) = rows_of(table, engine)
    for name in ("workflow_id", "message", "error_type", "error_message", "error_node_id"):
        assert row[name] == CLEAN
    assert row["tags"] == [CLEAN, "\ufffd"]
    assert orjson.loads(row["input_context"]) == {"a": "\0", "b": HOSTILE}
    assert (row["created"], row["started"], row["stopped"]) == (run.created, None, run.stopped)


def test_contexts_are_kept_when_that_is_wanted(engine: Engine) -> None:
    RunsTable(engine, traces="traces").run_progress(RUN, delivery())
    assert not {"input_context", "output_context"} & {each["name"] for each in inspect(engine).get_columns("runs")}
    table = RunsTable(engine, runs="full", traces="full_traces", contexts=True)
    table.run_progress(RUN, delivery())
    table.trace_progress(TRACE, delivery(2))
    (row,) = rows_of(table, engine)
    assert (row["input_context"], row["output_context"]) == (RUN.input_context, RUN.output_context)
    (row,) = rows_of(table, engine, traces=True)
    assert (row["input_context"], row["output_context"]) == ("{}", "{}")


def test_there_is_no_table_of_traces_unless_it_is_wanted(engine: Engine) -> None:
    table = RunsTable(engine)
    table.trace_progress(TRACE, delivery())
    table.run_progress(RUN, delivery())
    assert inspect(engine).get_table_names() == ["runs"]


_WHOLE = (
    "run_id text primary key, workflow_id text not null, workflow_version text not null, tags json not null, "
    "status text not null, created timestamp with time zone not null, message text not null, error_type text, "
    "error_message text, error_node_id text, started timestamp with time zone, stopped timestamp with time zone, "
    "event_id text not null, log_partition integer not null, log_offset bigint not null, log_index integer not null"
)


def made(engine: Engine, columns: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"create table runs ({columns})"))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("run_id text primary key, distance integer", "the columns workflow_id, .*, but found only run_id, distance"),
        (_WHOLE + ", distance integer not null", "no other columns that need a value, but found distance"),
        (_WHOLE.replace(" primary key", ""), "the key run_id, but found none"),
        (_WHOLE.replace(" primary key", "") + ", primary key (run_id, status)", "the key .* but found run_id, status"),
    ],
)
def test_a_table_of_another_program_is_refused_when_the_service_is_made_and_left_alone(
    engine: Engine, columns: str, said: str
) -> None:
    made(engine, columns)
    before = [each["name"] for each in inspect(engine).get_columns("runs")]
    with pytest.raises(SqlTableError, match=f"expected the table runs to have {said}.*follow with --from beginning"):
        RunsTable(engine)
    assert [each["name"] for each in inspect(engine).get_columns("runs")] == before


def test_a_column_of_another_type_is_refused_where_it_could_not_take_the_value(postgres: Postgres) -> None:
    engine = create_engine(new_database(postgres))
    made(engine, _WHOLE.replace("message text", "message integer"))
    with pytest.raises(SqlTableError, match="the column message as TEXT, but found it as INTEGER"):
        RunsTable(engine)
    engine.dispose()


def test_a_table_that_somebody_made_with_more_columns_and_other_words_is_used(engine: Engine) -> None:
    columns = _WHOLE.replace("run_id text primary key", "run_id varchar(36) not null unique")
    made(engine, columns.replace("bigint", "numeric") + ", note text, rank integer not null default 0")
    table = RunsTable(engine)
    table.run_progress(RUN, delivery())
    assert [row["run_id"] for row in rows_of(table, engine)] == [RUN.run_id]


def test_a_table_of_traces_is_looked_at_as_well(engine: Engine) -> None:
    made(engine, "run_id text primary key")
    with pytest.raises(SqlTableError, match="expected the table runs to have the columns number, "):
        RunsTable(engine, runs="others", traces="runs")
    assert inspect(engine).get_table_names() == ["runs"]


def test_a_database_that_cannot_be_asked_is_asked_with_the_first_change(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    url = new_database(postgres)
    postgres.crash()
    try:
        table = RunsTable(url)
    finally:
        postgres.start()
    assert "The tables runs cannot be looked at now: OperationalError" in caplog.text
    table.run_progress(RUN, delivery())
    assert len(rows_of(table, table._engine)) == 1
    table.close()


def test_to_make_the_service_makes_no_database(tmp_path: Path) -> None:
    RunsTable(f"sqlite:///{tmp_path}/test.db").close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"runs": "t", "traces": "t"}, "different names for the tables of runs and of traces, but found 't' for both"),
        ({"runs": "t", "traces": "T"}, "different names"),
        ({"runs": ""}, "a text as the name of a table, but found ''"),
        ({"traces": 5}, "a text as the name of a table, but found 5"),
        ({"database": 5}, "an SQLAlchemy URL such as .*, but found int"),
        ({"database": "secret"}, "an SQLAlchemy URL such as .*, but found a text that is none"),
        ({"database": "nosuch://a:secret@b/c"}, "an SQLAlchemy URL such as .*, but found a text that is none"),
    ],
    ids=str,
)
def test_arguments_with_which_there_could_be_no_tables_are_refused(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ArgumentError, match=f"expected {said}") as refused:
        RunsTable(**{"database": "sqlite://", **settings})  # type: ignore[arg-type]  # the mistake
    assert "secret" not in str(refused.value)


def test_names_that_differ_in_capital_letters_are_two_on_postgresql(postgres: Postgres) -> None:
    table = RunsTable(new_database(postgres), runs="t", traces="T")
    table.run_progress(RUN, delivery())
    table.trace_progress(TRACE, delivery(2))
    table.close()


def test_an_error_of_the_database_does_not_show_what_was_written(database: str, engine: Engine) -> None:
    table = RunsTable(database, contexts=True)
    table.create_tables()
    table.runs.drop(engine)
    with pytest.raises(DBAPIError) as failed:
        table.run_progress(RUN, delivery())
    assert "secret" not in str(failed.value)
    table.close()


async def test_a_server_that_crashes_and_comes_back_has_everything_once_in_the_end(
    tmp_path: Path, postgres: Postgres
) -> None:
    url, log, book = new_database(postgres), await make_log(), Book()
    table = RunsTable(url)

    class Crash:
        """Crashes the server at the third call of the service before, and starts it again at a later one."""

        calls = 0
        one_by_one = threading.Lock()

        def run_progress(self, run: Run) -> None:  # noqa: ARG002 - whichever it is
            with self.one_by_one:
                self.calls += 1
                if self.calls == 3:
                    postgres.crash()
                elif self.calls == 5:
                    postgres.start()

        def trace_progress(self, trace: Trace) -> None:
            pass

    crash = Crash()
    async with hosting(
        log, tmp_path / "group", {"crash": crash, "book": book, "table": table}, attempts=10_000
    ) as host:
        await host.caught_up()
        assert sum(lag.parked for lag in await host.lag()) == 0
    engine = create_engine(url)
    check_runs(rows_of(table, engine), last_of(book)[0])
    engine.dispose()
    table.close()
