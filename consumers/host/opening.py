"""Opening the records of a group, where they are kept for a log of this kind."""

from pathlib import Path

from consumers.host.local import LocalProgress, check_name
from consumers.host.store import ProgressStore
from engine.errors import ArgumentError
from engine.log.port import Log

FOLLOWERS = "followers"
"""The folder of the groups in the directory of an embedded log."""


def open_progress(log: Log, group: str, directory: Path | None = None) -> ProgressStore:
    """Open the records of a group of a log.

    Args:
        log: The log.
        group: The group's name.
        directory: Where its records are or will be, for a log of this machine.

    Raises:
        ArgumentError: There is no directory where one is needed.
        GroupDiffersError: Another host of the group is at work on a log that has one at a time.
        StoreError: The records cannot be opened.
    """
    if directory is None:
        check_name("group", group)
        raise ArgumentError("expected a directory for the progress of a group of a log of this machine.")
    return LocalProgress.open(directory, log.partitions)
