"""Directories of this user's for long work that was interrupted."""

import hashlib
import os
import tempfile
from pathlib import Path

from engine.errors import RunlineError
from engine.log.embedded.opening import STORE


def working_directory(what: str, name: str) -> Path:
    """Return a temporary directory for work of this name, made if it is not there: this user's, and nobody else's.

    Args:
        what: The kind of work, one word.
        name: Tells it from all other work of this kind.

    Raises:
        RunlineError: It cannot be made, or is somebody else's.
    """
    digest = hashlib.sha256(name.encode()).hexdigest()[:24]
    directory = Path(tempfile.gettempdir()) / f"runline-{what}-{os.getuid()}-{digest}"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        owner = directory.lstat().st_uid
    except OSError as error:
        raise RunlineError(
            f"{directory} cannot be made: {error.strerror}.", hint="Name another with --work."
        ) from error
    if owner != os.getuid() or directory.is_symlink():
        raise RunlineError(f"expected {directory} to be a directory of this user's.", hint="Name another with --work.")
    return directory


def log_origin(data: Path | str) -> str:
    """Return where a log is read from, which tells a copy of it from the original, and from what was restored there."""
    if isinstance(data, str):
        return data
    try:
        found = (data / STORE).stat()
    except OSError:
        return str(data.resolve())
    return f"{data.resolve()} {found.st_dev}:{found.st_ino}"
