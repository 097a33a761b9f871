"""A group's records, where they are kept for a log of this kind: opened by a host, read and asked by people."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from consumers.host.arguments import check_directory, check_log, check_name
from consumers.host.local import LocalProgress, ask_local, read_local
from consumers.host.parked import Parked, Request
from consumers.host.progress import PartitionProgress
from consumers.host.sharing import SharedProgress, ask_shared, read_shared, reset_shared
from consumers.host.store import ProgressStore
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
        ArgumentError: The group's name or the log is none, or there is no directory where one is needed.
        GroupDiffersError: Another host of the group is at work on a log that has one at a time.
        StoreError: The records cannot be opened.
    """
    _check(log, group)
    if isinstance(log, SharingLog):
        return SharedProgress(log, group)
    return LocalProgress.open(check_directory(directory), log.partitions, group)


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
    _check(log, group)
    if isinstance(log, SharingLog):
        return await read_shared(log, group)
    return read_local(check_directory(directory), group)


async def reset_group(log: Log, group: str, directory: Path | None, services: tuple[str, ...]) -> None:
    """Forget how far services have come, and what they parked; no host of the group may be at work.

    Raises:
        ArgumentError: As `open_progress`.
        RunlineError: A host is at work, or the records cannot be written.
    """
    _check(log, group)
    if isinstance(log, SharingLog):
        await reset_shared(log, group, services)
        return
    store = LocalProgress.open(check_directory(directory), log.partitions, group)
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
    _check(log, group)
    if isinstance(log, SharingLog):
        await ask_shared(log, group, replace(parked, asked=request.action), request.action)
        return
    ask_local(check_directory(directory), request)


def _check(log: object, group: object) -> None:
    check_log(log)
    check_name("group", group)
