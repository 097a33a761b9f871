"""Directories for views."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: hundreds of stores are made that nobody wants to survive power loss."""
    memory = Path("/dev/shm")  # noqa: S108 - where Linux has it
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    path = Path(tempfile.mkdtemp(dir=memory, prefix="runline-views-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
