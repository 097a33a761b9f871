"""Which changes a service has dealt with, recorded in the transaction that dealt with them."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, Column, Connection, Engine, Integer, MetaData, Table, delete

from consumers.host.delivery import Delivery
from consumers.sql.tables import PlainText, UtcTime, check_dialect, insert_into, make_table
from engine.errors import ArgumentError


class SqlPositions:
    """Makes a service's effects in a SQL database happen once, although it is called at least once.

    The change's id is inserted in the service's own transaction. Whatever dies, either both are there or neither; and
    of two processes that deal with one change at the same time, the second waits until the first has committed.

    The ids are kept, not only the highest place: changes of different runs arrive in any order, and a parked one comes
    long after those behind it. Drop old ones with `forget`.

    Args:
        service: Whose changes; services share a table.
        table: Its name.
        schema: Its schema, or None for the connection's own.

    Attributes:
        table: With the columns `service`, `event_id`, `log_partition`, `log_offset`, `log_index` and `done`.
    """

    def __init__(self, service: str, *, table: str = "runline_positions", schema: str | None = None) -> None:
        self._service = service
        self.table = Table(
            table,
            MetaData(schema=schema),
            Column("service", PlainText, primary_key=True),
            Column("event_id", PlainText, primary_key=True),
            Column("log_partition", Integer, nullable=False),
            Column("log_offset", BigInteger, nullable=False),
            Column("log_index", Integer, nullable=False),
            Column("done", UtcTime, nullable=False, index=True),
        )

    def create_table(self, database: Engine | Connection) -> None:
        """Make the table unless it is there.

        Raises:
            SqlTableError: One of this name is there, but is another's.
        """
        make_table(database, self.table)

    def once(self, connection: Connection, delivery: Delivery) -> bool:
        """Record a change in the connection's transaction, and return whether it is the first time.

        Only when it is, the service has something to do, in the same transaction.

        Args:
            connection: In a transaction, which the caller commits. With an asynchronous one call
                `await connection.run_sync(positions.once, delivery)`.
            delivery: The change.

        Raises:
            ArgumentError: The connection commits each statement by itself, or the database is of an unknown kind.
        """
        check_dialect(connection.dialect)
        _check_transaction(connection)
        inserted = connection.execute(
            insert_into(self.table, connection.dialect)
            .values(
                service=self._service,
                event_id=delivery.event_id,
                log_partition=delivery.partition,
                log_offset=delivery.offset,
                log_index=delivery.index,
                done=datetime.now(UTC),
            )
            .on_conflict_do_nothing()
            .returning(self.table.c.event_id)
        )
        return inserted.first() is not None

    def forget(self, connection: Connection, before: datetime) -> int:
        """Drop what was done before a time, and return how much; a change that is delivered again is then done again.

        Args:
            connection: In a transaction.
            before: With its zone, and long before what the host may still repeat or has parked.
        """
        old = delete(self.table).where(self.table.c.service == self._service, self.table.c.done < before)
        return connection.execute(old).rowcount


def _check_transaction(connection: Connection) -> None:
    raw = connection.connection.dbapi_connection
    assert raw is not None, "the connection is open"
    # Who begins transactions of SQLite by hand has the driver commit by itself, and yet is in one.
    if connection.dialect.detect_autocommit_setting(raw) and not getattr(raw, "in_transaction", False):
        raise ArgumentError(
            "expected a connection with transactions, but found one that commits each statement by itself.",
            hint="The change would be recorded as done before it is.",
        )
