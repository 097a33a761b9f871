"""What tests of services with a database share: a real server, started when the first test asks for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consumers.postgres import Postgres, new_database, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a real PostgreSQL server; without one, tests fail."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a database that nobody has used before."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.db"
    return new_database(request.getfixturevalue("postgres"))
