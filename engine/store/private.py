"""Directories for their owner alone: what is stored has contexts in it, which may be secret."""

from pathlib import Path

_OWNER_ALONE = 0o700


def make_private(directory: Path) -> None:
    """Make a directory that only its owner may enter, and those above it as always; one that is there stays as it is.

    Raises:
        OSError: It cannot be made.
    """
    directory.mkdir(_OWNER_ALONE, parents=True, exist_ok=True)
