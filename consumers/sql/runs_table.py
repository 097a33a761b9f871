"""A table of runs in the user's database: one row for each, as it stood after its last change."""

import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from sqlalchemy import (
    JSON,
    URL,
    BigInteger,
    Column,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    inspect,
    tuple_,
)
from sqlalchemy.exc import ArgumentError as SqlArgumentError
from sqlalchemy.exc import DBAPIError

from consumers.host.delivery import Delivery
from consumers.sql.tables import PlainText, UtcTime, check_dialect, check_table, insert_into, make_table, plain
from engine.errors import ArgumentError
from engine.run import Run, RunError, Trace

_LOGGER = logging.getLogger("runline.follow")


class RunsTable:
    """Keeps a table of runs, and one of traces if it is wanted, for queries and joins in SQL.

    Each change is one statement: it inserts the row, or replaces it unless what is there comes from a later place of
    the log. So a change that is delivered twice, late or by two processes at once changes nothing, and replaying the
    log from its beginning fills a table that is missing.

    Args:
        database: An SQLAlchemy URL such as `sqlite:///runs.db` or `postgresql+psycopg://user@host/name`, or an engine.
        runs: The name of the table of runs.
        traces: The name of the table of traces; there is none unless it has a name.
        schema: The tables' schema, or None for the database's own.
        contexts: Whether input and output contexts are kept as well, as JSON texts; they may hold secrets.

    Attributes:
        runs: The table of runs.
        traces: The table of traces, or None.

    Raises:
        ArgumentError: The database is neither PostgreSQL nor SQLite, or a name is none, or both tables have the same.
        SqlTableError: A table of one of these names is there, but is another's. When the database cannot be asked now,
            the first change finds out.
    """

    def __init__(
        self,
        database: str | URL | Engine,
        *,
        runs: str = "runs",
        traces: str | None = None,
        schema: str | None = None,
        contexts: bool = False,
    ) -> None:
        self._engine = _engine_of(database)
        check_dialect(self._engine.dialect)
        _check_names(self._engine.dialect, runs, traces)
        self._contexts = contexts
        metadata = MetaData(schema=schema)
        self.runs = Table(runs, metadata, *_run_columns(), *_shared_columns(contexts=contexts))
        self.traces: Table | None = None
        if traces is not None:
            self.traces = Table(traces, metadata, *_trace_columns(), *_shared_columns(contexts=contexts))
        self._made = False
        self._making = threading.Lock()
        # SQLite has one writer at a time, and lets the others ask again and again until they give up: here they queue.
        alone = self._engine.dialect.name == "sqlite"
        self._turn: AbstractContextManager[object] = threading.Lock() if alone else nullcontext()
        self._check_tables()

    def create_tables(self) -> None:
        """Make the tables unless they are there; the first change does it as well.

        Raises:
            SqlTableError: One of their names is another's.
        """
        with self._making:
            if not self._made:
                for table in self._tables:
                    make_table(self._engine, table)
                self._made = True

    def close(self) -> None:
        """Let go of all connections; the next change makes new ones."""
        self._engine.dispose()

    def run_progress(self, run: Run, delivery: Delivery) -> None:
        """Write the run as it is now."""
        self._write(
            self.runs,
            {
                "run_id": run.run_id,
                "workflow_id": run.workflow_id,
                "workflow_version": run.workflow_version,
                "tags": [plain(tag) for tag in run.tags],
                "status": run.run_status.value,
                "created": run.created,
            },
            run,
            delivery,
        )

    def trace_progress(self, trace: Trace, delivery: Delivery) -> None:
        """Write the trace as it is now, if there is a table of traces."""
        if self.traces is None:
            return
        self._write(
            self.traces,
            {
                "run_id": trace.run_id,
                "number": trace.number,
                "node_id": trace.node_id,
                "node_type": trace.node_type,
                "title": trace.title,
                "attempt": trace.attempt,
                "status": trace.trace_status.value,
            },
            trace,
            delivery,
        )

    @property
    def _tables(self) -> Sequence[Table]:
        return (self.runs,) if self.traces is None else (self.runs, self.traces)

    def _check_tables(self) -> None:
        """Refuse tables of others as early as can be: what is called with the first change can only park it."""
        # To look at a database that SQLite does not have yet would make a file.
        if self._engine.dialect.name == "sqlite" and not Path(self._engine.url.database or "").is_file():
            return
        try:
            found = inspect(self._engine)
            for table in self._tables:
                check_table(found, table)
        except DBAPIError as error:
            _LOGGER.warning(
                "The tables %s cannot be looked at now: %s", _names(self._tables), type(error.orig).__name__
            )

    def _write(self, table: Table, row: Mapping[str, object], subject: Run | Trace, delivery: Delivery) -> None:
        if not self._made:
            self.create_tables()
        contexts = {"input_context": subject.input_context, "output_context": subject.output_context}
        insert = insert_into(table, self._engine.dialect).values(
            **row,
            message=subject.message,
            **_error(subject.error),
            started=subject.started,
            stopped=subject.stopped,
            **(contexts if self._contexts else {}),
            event_id=delivery.event_id,
            log_partition=delivery.partition,
            log_offset=delivery.offset,
            log_index=delivery.index,
        )
        new, there = insert.excluded, table.c
        with self._turn, self._engine.begin() as connection:
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=table.primary_key.columns,
                    set_={column.name: new[column.name] for column in table.columns if not column.primary_key},
                    where=tuple_(new.log_offset, new.log_index) > tuple_(there.log_offset, there.log_index),
                )
            )


def _engine_of(database: object) -> Engine:
    if isinstance(database, Engine):
        return database
    if isinstance(database, str | URL):
        try:
            # What is in a row may be secret, and errors are written down.
            return create_engine(database, pool_pre_ping=True, hide_parameters=True)
        except SqlArgumentError:
            # Its text shows the URL, which may have a password.
            pass
    raise ArgumentError(
        "expected an SQLAlchemy URL such as 'sqlite:///runs.db', or an engine, as the database, but found "
        f"{'a text that is none' if isinstance(database, str) else type(database).__name__}."
    )


def _check_names(dialect: Dialect, runs: object, traces: object) -> None:
    names = [runs] if traces is None else [runs, traces]
    for name in names:
        if not isinstance(name, str) or not name or "\0" in name:
            raise ArgumentError(f"expected a text as the name of a table, but found {name!r:.80}.")
    # SQLite does not tell capital letters from small ones.
    if len({str(name).lower() if dialect.name == "sqlite" else name for name in names}) < len(names):
        raise ArgumentError(
            f"expected different names for the tables of runs and of traces, but found {runs!r} for both."
        )


def _names(tables: Sequence[Table]) -> str:
    return " and ".join(table.fullname for table in tables)


def _run_columns() -> list[Column[object]]:
    return [
        Column("run_id", PlainText, primary_key=True),
        Column("workflow_id", PlainText, nullable=False),
        Column("workflow_version", PlainText, nullable=False),
        Column("tags", JSON, nullable=False),
        Column("status", PlainText, nullable=False),
        Column("created", UtcTime, nullable=False),
    ]


def _trace_columns() -> list[Column[object]]:
    return [
        Column("run_id", PlainText, primary_key=True),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("node_id", PlainText, nullable=False),
        Column("node_type", PlainText, nullable=False),
        Column("title", PlainText, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("status", PlainText, nullable=False),
    ]


def _shared_columns(*, contexts: bool) -> list[Column[object]]:
    return [
        Column("message", PlainText, nullable=False),
        Column("error_type", PlainText),
        Column("error_message", PlainText),
        Column("error_node_id", PlainText),
        Column("started", UtcTime),
        Column("stopped", UtcTime),
        *((Column("input_context", PlainText), Column("output_context", PlainText)) if contexts else ()),
        Column("event_id", PlainText, nullable=False),
        Column("log_partition", Integer, nullable=False),
        Column("log_offset", BigInteger, nullable=False),
        Column("log_index", Integer, nullable=False),
    ]


def _error(error: RunError | None) -> dict[str, str | None]:
    if error is None:
        return {"error_type": None, "error_message": None, "error_node_id": None}
    return {"error_type": error.type, "error_message": error.message, "error_node_id": error.node_id}
