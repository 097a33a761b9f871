"""What both kinds of tables share: their types, their making, and inserting where a row may be there already."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Column, Connection, DateTime, Dialect, Engine, Inspector, Table, Text, TypeDecorator, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

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
        SqlTableError: One of this name is there, but no row could be put into it.
    """
    try:
        table.create(database, checkfirst=True)
    except DBAPIError:
        # Somebody else made it between the look and the making.
        if isinstance(database, Connection) or not inspect(database).has_table(table.name, schema=table.schema):
            raise
    check_table(inspect(database), table)


def check_table(found: Inspector, table: Table) -> None:
    """Refuse a table of the database into which no row could be put; one that is not there is none.

    Args:
        found: Looks at the database.
        table: As it must be; more columns may be there if they need no value.

    Raises:
        SqlTableError: Columns are missing, are of another type or need a value, or the key is another one.
    """
    if not found.has_table(table.name, schema=table.schema):
        return
    columns = {column["name"]: column for column in found.get_columns(table.name, schema=table.schema)}
    if missing := [column.name for column in table.columns if column.name not in columns]:
        raise _refused(table, f"the columns {', '.join(missing)}", f"only {', '.join(columns)}")
    # SQLite takes any value in any column.
    for column in table.columns if found.dialect.name != "sqlite" else ():
        _check_type(table, column, columns[column.name]["type"])
    if needed := [name for name in columns if name not in table.columns and _needs_value(columns[name])]:
        raise _refused(table, "no other columns that need a value", ", ".join(needed))
    key, keys = [column.name for column in table.primary_key.columns], _keys(found, table)
    if set(key) not in map(set, keys):
        raise _refused(table, f"the key {', '.join(key)}", " and ".join(", ".join(each) for each in keys) or "none")


def _keys(found: Inspector, table: Table) -> list[list[str]]:
    """Return the columns of each key that a table of the database has."""
    name, schema = table.name, table.schema
    keys = [
        found.get_pk_constraint(name, schema=schema)["constrained_columns"],
        *(each["column_names"] for each in found.get_unique_constraints(name, schema=schema)),
    ]
    # SQLAlchemy does not find all unique columns of SQLite, save by the indexes that SQLite makes for them.
    for index in found.get_indexes(name, schema=schema, include_auto_indexes=True):
        columns = [column for column in index["column_names"] if column is not None]
        # An index of some rows only, or of what is made from columns, is no key.
        partial = any(option.endswith("_where") for option in index.get("dialect_options", {}))
        if index["unique"] and not partial and len(columns) == len(index["column_names"]):
            keys.append(columns)
    return [each for each in keys if each]


def _needs_value(column: ReflectedColumn) -> bool:
    made = column.get("autoincrement") is True or "identity" in column or "computed" in column
    return not (column["nullable"] or column["default"] is not None or made)


def _check_type(table: Table, column: Column[object], there: TypeEngine[object]) -> None:
    expected: TypeEngine[object] = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    try:
        fits = there.python_type is expected.python_type or (
            expected.python_type is int and there.python_type is Decimal
        )
    except NotImplementedError:
        # A type that the library does not know; the database does.
        return
    if not fits:
        raise _refused(table, f"the column {column.name} as {expected}", f"it as {there}")


def _refused(table: Table, expected: str, found: str) -> SqlTableError:
    return SqlTableError(
        f"expected the table {table.fullname} to have {expected}, but found {found}.",
        hint="It is another program's, or an older one: give this one another name, or rename that one and follow "
        "with --from beginning --reset.",
    )
