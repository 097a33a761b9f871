"""What an error of the store or the operating system means for the log."""

import errno
from pathlib import Path
from typing import Final

from engine.errors import LogDamagedError, LogError, LogFullError, LogLockedError
from engine.store.errors import StoreDamagedError, StoreError, StoreFullError, StoreLockedError

DAMAGED_HINT: Final = "Restore the directory from a copy, or begin with a new one; nothing was repaired or shortened."
FULL_HINT: Final = "Make space; the log then goes on by itself."
LOCKED_HINT: Final = (
    "One process writes an embedded log: stop the other one, or give this one its own directory. "
    "`runline show`, `runs` and `doctor` read beside it."
)
ACCESS_HINT: Final = "Name a directory that this process may write, on a disk that is not read-only."
_NAME_BYTES_MAX: Final = 255
"""Bytes of one name in a path; the operating systems' own limit."""
_PATH_BYTES_MAX: Final = 4000
"""Bytes of a path: the operating system's limit is 4,096, and the files of the log are to fit in."""


def name_problem(directory: Path) -> str:
    """Return what was expected of a directory's name and what was found, or an empty text where a log can be in it."""
    name = str(directory)
    if "\0" in name:
        return f"expected a directory whose name has no null characters, but found {name!r:.80}"
    try:
        size = max(map(len, map(str.encode, directory.parts)), default=0)
    except UnicodeEncodeError:
        return f"expected a directory whose name is in UTF-8, but found {name!r:.80}"
    if size > _NAME_BYTES_MAX:
        return f"expected a directory whose name has at most {_NAME_BYTES_MAX} bytes, but found one with {size}"
    if len(name.encode()) > _PATH_BYTES_MAX:
        return f"expected a directory at a path of at most {_PATH_BYTES_MAX} bytes, but found {len(name.encode())}"
    return ""


def damaged(directory: Path, what: str) -> LogDamagedError:
    """Return the error for a log that is not what was written."""
    return LogDamagedError(f"the log {directory} is damaged: {what}", hint=DAMAGED_HINT)


def locked(directory: Path, by: str) -> LogLockedError:
    """Return the error for a log that somebody else writes."""
    return LogLockedError(f"the log {directory} is open for writing in {by}.", hint=LOCKED_HINT)


def full(directory: Path, what: str) -> LogFullError:
    """Return the error for a log that has no space left."""
    return LogFullError(f"there is no space left for the log {directory}: {what}", hint=FULL_HINT)


def from_store(error: StoreError, directory: Path) -> LogError:
    """Return the log's error for one of its store."""
    text = error.args[0]
    if isinstance(error, StoreDamagedError):
        return damaged(directory, text)
    if isinstance(error, StoreFullError):
        return full(directory, text)
    if isinstance(error, StoreLockedError):
        return locked(directory, "another process, or in this one")
    return LogError(f"the log {directory} cannot be used: {text}", hint=ACCESS_HINT)


def from_system(error: OSError, directory: Path) -> LogError:
    """Return the log's error for one of the operating system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return full(directory, f"{error}.")
    # Not by looking at the directory once more: that may fail in the same way.
    if isinstance(error, FileExistsError):
        return LogError(f"the log {directory} cannot be used: it is a file.", hint="Name a directory.")
    return LogError(f"the log {directory} cannot be used: {error}.", hint=ACCESS_HINT)
