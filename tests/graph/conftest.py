"""The command line's fixtures."""

from tests.cli.conftest import _own_directory, runline, spawn

__all__ = ["_own_directory", "runline", "spawn"]
