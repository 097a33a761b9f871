"""What both kinds of tables share: their types, their making, and inserting where a row may be there already."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, DateTime, Dialect, Engine, Table, Text, TypeDecorator, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from engine.errors import ArgumentError, RunlineError

Insert = postgresql.Insert | sqlite.Insert

_INSERT: Final[dict[str, type[Insert]]] = {"postgresql": postgresql.Insert, "sqlite": sqlite.Insert}


class SqlTableError(RunlineError):
    """A table of the database is not what it must be."""

    code = "sql_table"


class UtcTime(TypeDecorator[datetime]):
    """A time in UTC, also where the database keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - all alike
        """Return what is stored."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - all alike
        """Return what was stored."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PlainText(TypeDecorator[str]):
    """Any text of the log: PostgreSQL cannot store the character 0, so U+FFFD stands for it everywhere."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - all alike
        """Return what is stored."""
        return None if value is None else plain(value)


def plain(text: str) -> str:
    """Return a text as every database can store it."""
    return text.replace("\0", "\ufffd")


def check_dialect(dialect: Dialect) -> None:
    """Refuse a database that cannot insert a row unless it is there.

    Raises:
        ArgumentError: It is neither PostgreSQL nor SQLite.
    """
    if dialect.name not in _INSERT:
        raise ArgumentError(f"expected a database of {' or '.join(sorted(_INSERT))}, but found {dialect.name}.")


def insert_into(table: Table, dialect: Dialect) -> Insert:
    """Return an insertion that can say what happens when the row is there already."""
    return _INSERT[dialect.name](table)


def make_table(database: Engine | Connection, table: Table) -> None:
    """Make a table unless it is there; several processes may do so at once.

    Raises:
        SqlTableError: One of this name is there, but lacks columns.
    """
    try:
        table.create(database, checkfirst=True)
    except DBAPIError:
        # Somebody else made it between the look and the making.
        if isinstance(database, Connection) or not inspect(database).has_table(table.name, schema=table.schema):
            raise
    found = {column["name"] for column in inspect(database).get_columns(table.name, schema=table.schema)}
    missing = [column.name for column in table.columns if column.name not in found]
    if missing:
        raise SqlTableError(
            f"expected the table {table.fullname} to have the columns {', '.join(missing)}, but it has none of these "
            "names.",
            hint="It is another program's, or an older one: give this one another name, or remove that one.",
        )
