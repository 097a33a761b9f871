"""Progress on a log whose groups share: hosts come and go, and each partition is one's."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from consumers.host.parked import Action, Parked, Request, read_parked
from consumers.host.progress import PartitionProgress, read_progress
from engine.errors import ClosedError, LogError, RunlineError
from engine.limits import FENCE_RETRY_SECONDS_MAX, FENCE_RETRY_SECONDS_MIN, FOLLOW_METADATA_BYTES_MAX
from engine.log.port import PARKED, LogRecord, Mark, Owner, Record, SharingLog, SharingMember

_LOGGER = logging.getLogger("runline.follow")

_ACTIONS: Final[Mapping[str, Action]] = {"retry": "retry", "skip": "skip"}
_ASKED: Final = "asked"
"""The header of a parked change that people ask for; one that a host wrote has none."""


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
        self._parked: dict[str, Parked] = {}
        self._read = 0
        self._moved = asyncio.Event()
        self._requests: asyncio.Queue[Request] = asyncio.Queue()

    @property
    def shared(self) -> bool:
        """Other hosts may be members at the same time."""
        return True

    async def join(self, owner: Owner) -> None:
        """Become a member of the group."""
        self._reading = asyncio.create_task(self._follow((await self._log.ends(PARKED, 0)).end))
        self._member = await self._log.share(self._group, owner)

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
        end = (await self._log.ends(PARKED, 0)).end
        while self._read < end:
            await self._moved.wait()
        return [parked for parked in self._parked.values() if parked.partition == partition]

    async def park(self, parked: Parked) -> None:
        """Keep a parked change."""
        await self._log.append(PARKED, 0, _record(self._group, parked, ""))

    async def unpark(self, parked: Parked) -> None:
        """Forget a parked change."""
        await self._log.erase(PARKED, 0, f"{self._group}/{parked.key}")

    async def asked(self) -> Request:
        """Wait for the next request."""
        return await self._requests.get()

    def _joined(self) -> SharingMember:
        if self._member is None:
            # The group gave partitions before it could be said that this process is a member.
            raise LogError(f"expected to be a member of the group {self._group}.")
        return self._member

    async def _follow(self, end: int) -> None:
        """Read what is parked, and from this end on what is asked for: what was before, the changes themselves say."""
        delay = FENCE_RETRY_SECONDS_MIN
        while True:
            try:
                reader = self._log.reader(PARKED, 0, max(self._read, (await self._log.ends(PARKED, 0)).start))
                try:
                    while True:
                        for record in await reader.next():
                            self._take(record, end)
                finally:
                    reader.close()
            except ClosedError:
                return
            except RunlineError as error:
                _LOGGER.error("What is parked cannot be read now: %s; trying again", error)  # noqa: TRY400 - the text says it all
            await asyncio.sleep(delay)
            delay = min(2 * delay, FENCE_RETRY_SECONDS_MAX)

    def _take(self, record: LogRecord, end: int) -> None:
        if (key := _own_key(record, self._group)) is not None:
            try:
                _fold(self._parked, key, record)
            except RunlineError as error:
                _LOGGER.error("%s/%d: %s", PARKED, record.offset, error)  # noqa: TRY400 - the text says it all
            action = _ACTIONS.get(record.headers.get(_ASKED, ""))
            if record.offset >= end and action is not None:
                self._requests.put_nowait(Request(action, key))
        self._read = record.offset + 1
        self._moved.set()
        self._moved = asyncio.Event()


def read_mark(mark: Mark, group: str, partition: int) -> PartitionProgress | None:
    """Return the progress that a mark has, or None when somebody else made it."""
    if not mark.text:
        _LOGGER.warning("The group %s has a position in partition %d that no host recorded", group, partition)
        return None
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
    parked: dict[str, Parked] = {}

    def take(records: object) -> None:
        assert isinstance(records, list)
        for record in records:
            if (key := _own_key(record, group)) is not None:
                _fold(parked, key, record)

    ends = await log.ends(PARKED, 0)
    await log.scan(PARKED, 0, ends.start, ends.end, take)
    return progress, [parked[key] for key in sorted(parked)]


async def ask_shared(log: SharingLog, group: str, parked: Parked, action: Action) -> None:
    """Ask the hosts of a group for something about a parked change."""
    await log.append(PARKED, 0, _record(group, parked, action))


async def reset_shared(log: SharingLog, group: str, services: tuple[str, ...]) -> None:
    """Forget how far a group has come, and what these services parked; no host may be at work.

    Raises:
        LogError: A host is at work, or nobody answers.
    """
    marks = await log.marks(group)
    if marks:
        _, found = await read_shared(log, group)
        await log.forget_marks(group)
        for parked in found:
            if parked.service in services:
                await log.erase(PARKED, 0, f"{group}/{parked.key}")


def _record(group: str, parked: Parked, action: Action | str) -> Record:
    headers = {"ce_type": "runline.parked", "content-type": "application/json"}
    value = parked.encode()
    if action:
        headers[_ASKED] = action
    return Record(f"{group}/{parked.key}", value, headers)


def _own_key(record: LogRecord, group: str) -> str | None:
    """Return the key of a parked change of a group, or None for that of another."""
    own, slash, key = record.key.partition("/")
    return key if slash and own == group else None


def _fold(parked: dict[str, Parked], key: str, record: LogRecord) -> None:
    if record.value:
        parked[key] = read_parked(record.value, f"{PARKED}/{record.offset}")
    else:
        parked.pop(key, None)
