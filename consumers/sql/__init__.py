"""Progress services that keep what they do in a SQL database, together with what they have done already."""

try:
    from consumers.sql.positions import SqlPositions as SqlPositions
    from consumers.sql.runs_table import RunsTable as RunsTable
    from consumers.sql.tables import SqlTableError as SqlTableError
except ModuleNotFoundError as error:
    if error.name != "sqlalchemy":
        raise
    raise ModuleNotFoundError(
        "Expected SQLAlchemy, but it is not installed: pip install 'runline[sql]'", name=error.name
    ) from error
