"""Recorded progress that is damaged: every error about it says how to go on, and what that costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engine.store.errors import StoreDamagedError

_FROM: Final = (
    "--from beginning, or a time or PARTITION:OFFSET up to which all was dealt with: services hear again of what came "
    "after that. What was parked is forgotten; without --from they begin now, and miss what happened meanwhile."
)
_TABLES: Final = ("*.sst", "*.log")


def aside(directory: Path) -> str:
    """Return the hint for a group whose progress is in a directory of this machine."""
    return f"Move {directory} aside, and follow again with {_FROM}"


def anew(group: str) -> str:
    """Return the hint for a group whose progress is on the log."""
    return f"End all hosts of the group {group}, and follow again with --reset and {_FROM}"


@contextmanager
def telling(hint: str) -> Iterator[None]:
    """Give a hint to the error about damage that is raised inside, if one is.

    Args:
        hint: How to go on.

    Raises:
        StoreDamagedError: The progress is not what was written.
    """
    try:
        yield
    except StoreDamagedError as error:
        raise StoreDamagedError(error.args[0], hint=hint) from error


def check_begun(directory: Path) -> bool:
    """Return whether there is progress in a directory.

    Raises:
        StoreDamagedError: There was, but the file that tells which others belong to it is gone.
    """
    if (directory / "CURRENT").exists():
        return True
    if left := sorted(path.name for pattern in _TABLES for path in directory.glob(pattern)):
        raise StoreDamagedError(
            f"the store {directory} is damaged: it has {left[0]}, but its file CURRENT is gone.", hint=aside(directory)
        )
    return False
