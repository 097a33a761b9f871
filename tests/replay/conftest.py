"""Directories for replays, and the command line."""

from tests.cli.conftest import _own_directory, runline, spawn
from tests.projections.conftest import quick

__all__ = ["_own_directory", "quick", "runline", "spawn"]
