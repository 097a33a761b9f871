"""A group's records, where they are kept for a log of this kind: opened by a host, read and asked by people."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from consumers.host.local import LocalProgress, ask_local, check_name, read_local
from consumers.host.parked import Parked, Request
from consumers.host.progress import PartitionProgress
from consumers.host.sharing import SharedProgress, ask_shared, read_shared, reset_shared
from consumers.host.store import ProgressStore
from engine.errors import ArgumentError
from engine.log.port import Log, SharingLog

FOLLOWERS = "followers"
"""The folder of the groups in the directory of an embedded log."""


def open_progress(log: Log, group: str, directory: Path | None = None) -> ProgressStore:
    """Open the records of a group of a log, for a host.

    Args:
        log: The log.
        group: The group's name.
        directory: Where its records are or will be, for a log of this machine.

    Raises:
        ArgumentError: The group's name is none, or there is no directory where one is needed.
        GroupDiffersError: Another host of the group is at work on a log that has one at a time.
        StoreError: The records cannot be opened.
    """
    check_name("group", group)
    if isinstance(log, SharingLog):
        return SharedProgress(log, group)
    return LocalProgress.open(_needed(directory), log.partitions)


async def read_group(
    log: Log,
    group: str,
    directory: Path | None = None,
) -> tuple[Mapping[int, PartitionProgress], Sequence[Parked]]:
    """Return how far a group has come and what is parked, beside its hosts.

    Raises:
        ArgumentError: As `open_progress`.
        RunlineError: There is no such group, or its records cannot be read.
    """
    check_name("group", group)
    if isinstance(log, SharingLog):
        return await read_shared(log, group)
    return read_local(_needed(directory))


async def reset_group(log: Log, group: str, directory: Path | None, services: tuple[str, ...]) -> None:
    """Forget how far services have come, and what they parked; no host of the group may be at work.

    Raises:
        ArgumentError: As `open_progress`.
        RunlineError: A host is at work, or the records cannot be written.
    """
    check_name("group", group)
    if isinstance(log, SharingLog):
        await reset_shared(log, group, services)
        return
    store = LocalProgress.open(_needed(directory), log.partitions)
    try:
        store.reset(services)
    finally:
        await store.leave()


async def ask_group(
    log: Log,
    group: str,
    directory: Path | None,
    parked: Parked,
    request: Request,
) -> None:
    """Ask the group's host to deliver a parked change again, or to skip it: at once, or when it begins.

    Raises:
        ArgumentError: As `open_progress`.
        RunlineError: The request cannot be written.
    """
    check_name("group", group)
    if isinstance(log, SharingLog):
        await ask_shared(log, group, replace(parked, asked=request.action), request.action)
        return
    ask_local(_needed(directory), request)


def _needed(directory: Path | None) -> Path:
    if directory is None:
        raise ArgumentError("expected a directory for the progress of a group of a log of this machine.")
    return directory
