"""Progress on a log whose groups share: hosts come and go, and each partition is one's."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Mapping, Sequence

from consumers.host.bulletin import Announced, Bulletin, calls_key, is_parked, own_key, parked_record
from consumers.host.calls import NotedCall
from consumers.host.damage import anew, telling
from consumers.host.parked import Action, Parked, Request, parked_in, read_parked
from consumers.host.progress import PartitionProgress, read_progress
from engine.errors import LogError
from engine.limits import FOLLOW_METADATA_BYTES_MAX
from engine.log.port import PARKED, LogRecord, Mark, Owner, SharingLog, SharingMember

_LOGGER = logging.getLogger("runline.follow")


class SharedProgress:
    """A group's progress as the marks of a group of the log, and what is parked on a topic that all hosts read.

    A host that is no longer a member cannot record anything: the group refuses.

    Args:
        log: The log.
        group: The group's name.
    """

    def __init__(self, log: SharingLog, group: str) -> None:
        self._log = log
        self._group = group
        self._member: SharingMember | None = None
        self._reading: asyncio.Task[None] | None = None
        self._services: Sequence[str] = ()
        host = f"{socket.gethostname()}, process {os.getpid()} ({secrets.token_hex(4)})"
        self._bulletin = Bulletin(log, group, host)

    @property
    def shared(self) -> bool:
        """Other hosts may be members at the same time."""
        return True

    async def join(self, owner: Owner, services: Sequence[str]) -> None:
        """Become a member of the group, and say so to the others."""
        self._services = services
        self._reading = asyncio.create_task(self._bulletin.follow((await self._log.ends(PARKED, 0)).end))
        await self._bulletin.announce(services, answer=False)
        self._member = await self._log.share(self._group, owner)

    async def others(self) -> Announced:
        """Wait for a host of the group that calls other services, and tell it of this one."""
        while True:
            other = await self._bulletin.announced.get()
            if set(other.services) != set(self._services):
                if not other.answer:
                    await self._bulletin.announce(self._services, answer=True)
                return other

    async def shut_out(self) -> LogError:
        """Wait until another process has taken this member's name, and return the error that says so."""
        return await self._joined().shut_out()

    async def leave(self) -> None:
        """Leave the group."""
        if self._member is not None:
            await self._member.leave()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def load(self, partition: int) -> PartitionProgress | None:
        """Return how far the group has come in a partition, or None when it has not begun."""
        mark = await self._joined().kept(partition)
        return None if mark is None else read_mark(mark, self._group, partition)

    async def save(self, partition: int, progress: PartitionProgress) -> None:
        """Record how far the group has come in a partition, which is this member's."""
        text = progress.encode(FOLLOW_METADATA_BYTES_MAX)
        if len(text) > FOLLOW_METADATA_BYTES_MAX:
            raise LogError(
                f"expected the progress of the group's services to fit {FOLLOW_METADATA_BYTES_MAX} bytes, but that of "
                f"{', '.join(progress.services)} has {len(text)}.",
                hint="Follow with more groups, or begin anew with --reset to forget services that are gone.",
            )
        await self._joined().keep(partition, Mark(progress.lowest, text.decode()))

    async def parked(self, partition: int) -> list[Parked]:
        """Return what is parked of a partition."""
        return await self._bulletin.parked(partition)

    async def park(self, parked: Parked) -> None:
        """Keep a parked change."""
        await self._log.append(PARKED, 0, parked_record(self._group, parked, ""))

    async def unpark(self, key: str) -> None:
        """Forget a parked change, by its key."""
        await self._log.erase(PARKED, 0, f"{self._group}/{key}")

    async def noted(self, partition: int) -> Sequence[NotedCall]:
        """Return the calls that were written down in a partition."""
        return await self._bulletin.calls(partition)

    async def note(self, partition: int, calls: Sequence[NotedCall]) -> None:
        """Write calls down, in place of those that were."""
        await self._bulletin.write_calls(partition, calls)

    async def asked(self) -> Request:
        """Wait for the next request."""
        return await self._bulletin.requests.get()

    def _joined(self) -> SharingMember:
        if self._member is None:
            # The group gave partitions before it could be said that this process is a member.
            raise LogError(f"expected to be a member of the group {self._group}.")
        return self._member


def read_mark(mark: Mark, group: str, partition: int) -> PartitionProgress | None:
    """Return the progress that a mark has, or None when somebody else made it."""
    if not mark.text:
        _LOGGER.warning("The group %s has a position in partition %d that no host recorded", group, partition)
        return None
    with telling(anew(group)):
        return read_progress(mark.text.encode(), f"the group {group}, partition {partition}")


async def read_shared(log: SharingLog, group: str) -> tuple[Mapping[int, PartitionProgress], list[Parked]]:
    """Return how far a group has come and what is parked, beside its hosts.

    Raises:
        LogError: There is no such group, or the log cannot be read.
    """
    marks = await log.marks(group)
    if not marks:
        raise LogError(
            f"expected a group {group} of services, but the log knows none.",
            hint="A group begins with `runline follow --group NAME`.",
        )
    progress = {number: found for number, mark in marks.items() if (found := read_mark(mark, group, number))}
    records = await _read_parked(log, group)
    with telling(anew(group)):
        return progress, [read_parked(each.value, f"{PARKED}/{each.offset}") for _, each in sorted(records.items())]


async def _read_parked(log: SharingLog, group: str) -> dict[str, LogRecord]:
    """Return the records of what is parked, by their keys."""
    found: dict[str, LogRecord] = {}

    def take(records: Sequence[LogRecord]) -> None:
        for record in records:
            if not is_parked(key := own_key(record, group)):
                continue
            if record.value:
                found[key] = record
            else:
                found.pop(key, None)

    ends = await log.ends(PARKED, 0)
    await log.scan(PARKED, 0, ends.start, ends.end, take)
    return found


async def ask_shared(log: SharingLog, group: str, parked: Parked, action: Action) -> None:
    """Ask the hosts of a group for something about a parked change."""
    await log.append(PARKED, 0, parked_record(group, parked, action))


async def reset_shared(log: SharingLog, group: str, services: tuple[str, ...]) -> None:
    """Forget how far a group has come, and what these services parked, damaged or not; no host may be at work.

    Raises:
        LogError: A host is at work, or nobody answers.
    """
    marks = await log.marks(group)
    if marks:
        found = await _read_parked(log, group)
        await log.forget_marks(group)
        for number in marks:
            await log.erase(PARKED, 0, calls_key(group, number))
        for key in sorted(found):
            if parked_in(key)[0] in services:
                await log.erase(PARKED, 0, f"{group}/{key}")
