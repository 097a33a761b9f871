"""The lock on a log's directory: one process writes, and whoever comes second learns which."""

import fcntl
import os
import threading
from pathlib import Path
from typing import Final

from engine.log.embedded.failures import from_system, locked

FILE: Final = "lock"
_held: Final[set[tuple[int, int]]] = set()
_held_lock: Final = threading.Lock()


class DirectoryLock:
    """Holds a directory for this process until `release`, or until the process dies.

    The operating system's record locks belong to the process: two holders inside one process do not see each other, and
    the second one's close would free the first one's lock. So the process also keeps a set of what it holds.

    Args:
        directory: The directory; it exists.

    Raises:
        LogLockedError: Another process, or this one, holds it.
        LogError: The operating system refuses.
    """

    def __init__(self, directory: Path) -> None:
        with _held_lock:
            try:
                identity = directory.stat()
                self._identity = (identity.st_dev, identity.st_ino)
                if self._identity in _held:
                    raise locked(directory, "this process")
                self._file = os.open(directory / FILE, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise from_system(error, directory) from error
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, str(os.getpid()).encode(), 0)
            except (BlockingIOError, PermissionError) as error:
                holder = os.pread(self._file, 32, 0).decode(errors="replace")
                os.close(self._file)
                raise locked(directory, f"process {holder}" if holder else "another process") from error
            except OSError as error:
                os.close(self._file)
                raise from_system(error, directory) from error
            _held.add(self._identity)

    def release(self) -> None:
        """Let go of the directory; the file stays."""
        with _held_lock:
            _held.discard(self._identity)
            os.close(self._file)
