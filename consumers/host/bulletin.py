"""What the hosts of a group tell each other, and people tell them, on a topic that all of them read."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from consumers.host.calls import NotedCall, encode_calls, read_calls
from consumers.host.parked import Action, Parked, Request, parked_in, read_parked
from engine.errors import ClosedError, RunlineError
from engine.limits import FENCE_RETRY_SECONDS_MAX, FENCE_RETRY_SECONDS_MIN
from engine.log.port import PARKED, LogRecord, Record, SharingLog

_LOGGER = logging.getLogger("runline.follow")

_ACTIONS: Final[Mapping[str, Action]] = {"retry": "retry", "skip": "skip"}
_ASKED: Final = "asked"
"""The header of a parked change that people ask for; one that a host wrote has none."""
_CALLS: Final = "!calls/"
"""Begins the keys of calls that were written down. No service has such a name."""
_HOST: Final = "!host"
"""The key of what a host says of itself: of interest only to those that are there."""


class Announced(NamedTuple):
    """What a host says of itself.

    Attributes:
        host: Tells it from others, for people, too.
        services: The names of its services, in their order.
        answer: Whether it says so because another host did.
    """

    host: str
    services: tuple[str, ...]
    answer: bool


class Bulletin:
    """Follows the topic on behalf of a group. Of what is parked it keeps the places alone; texts are read when needed.

    Args:
        log: The log.
        group: The group's name.
        host: What this host calls itself.

    Attributes:
        requests: What people ask for.
        announced: What other hosts say of themselves.
    """

    def __init__(self, log: SharingLog, group: str, host: str) -> None:
        self.requests: asyncio.Queue[Request] = asyncio.Queue()
        self.announced: asyncio.Queue[Announced] = asyncio.Queue()
        self._log = log
        self._group = group
        self._host = host
        self._parked: dict[int, dict[str, int]] = defaultdict(dict)
        self._calls: dict[int, bytes] = {}
        self._read = 0
        self._moved = asyncio.Event()

    async def follow(self, end: int) -> None:
        """Read everything; requests and announcements only from this end on: those before it have had their time."""
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

    async def parked(self, partition: int) -> list[Parked]:
        """Return what is parked of a partition.

        Raises:
            RunlineError: It cannot be read now.
        """
        await self._caught_up()
        while places := {offset: key for key, offset in self._parked[partition].items()}:
            found = await self._read_parked(places)
            if len(found) == len(places):
                return found
            await self._caught_up()
            if places == {offset: key for key, offset in self._parked[partition].items()}:
                _LOGGER.error("%d changes parked of partition %d cannot be read", len(places) - len(found), partition)
                return found
            # Some were written again meanwhile, and the topic keeps the last.
        return []

    async def calls(self, partition: int) -> Sequence[NotedCall]:
        """Return the calls that were written down in a partition.

        Raises:
            RunlineError: They cannot be read now.
        """
        await self._caught_up()
        try:
            return read_calls(self._calls.get(partition) or b"[]", f"{PARKED} of the group {self._group}")
        except RunlineError as error:
            _LOGGER.error("%s", error)  # noqa: TRY400 - the text says it all
            return ()

    async def write_calls(self, partition: int, calls: Sequence[NotedCall]) -> None:
        """Write calls down, in place of those that were.

        Raises:
            RunlineError: They cannot be written now.
        """
        key = calls_key(self._group, partition)
        if calls:
            headers = {"ce_type": "runline.calls", "content-type": "application/json"}
            await self._log.append(PARKED, 0, Record(key, encode_calls(calls), headers))
        else:
            await self._log.erase(PARKED, 0, key)

    async def announce(self, services: Sequence[str], *, answer: bool) -> None:
        """Say which services this host calls.

        Raises:
            RunlineError: It cannot be said now.
        """
        value = orjson.dumps({"host": self._host, "services": services, "answer": answer})
        headers = {"ce_type": "runline.host", "content-type": "application/json"}
        await self._log.append(PARKED, 0, Record(f"{self._group}/{_HOST}", value, headers))

    async def _caught_up(self) -> None:
        end = (await self._log.ends(PARKED, 0)).end
        while self._read < end:
            await self._moved.wait()

    async def _read_parked(self, places: Mapping[int, str]) -> list[Parked]:
        found: list[Parked] = []

        def take(records: Sequence[LogRecord]) -> None:
            read = (_parked(record) for record in records if record.offset in places)
            found.extend(parked for parked in read if parked is not None)

        ends = await self._log.ends(PARKED, 0)
        await self._log.scan(PARKED, 0, max(min(places), ends.start), max(places) + 1, take)
        return found

    def _take(self, record: LogRecord, end: int) -> None:
        key = own_key(record, self._group)
        if key == _HOST:
            if record.offset >= end and (announced := _announced(record)) and announced.host != self._host:
                self.announced.put_nowait(announced)
        elif key.startswith(_CALLS):
            # As the key of a parked change begins: the partition stands behind the name.
            if (partition := parked_in(key)[1]) >= 0:
                self._calls[partition] = record.value
        elif key:
            self._take_parked(key, record, end)
        self._read = record.offset + 1
        self._moved.set()
        self._moved = asyncio.Event()

    def _take_parked(self, key: str, record: LogRecord, end: int) -> None:
        _, partition = parked_in(key)
        if record.value and _parked(record) is not None:
            self._parked[partition][key] = record.offset
        elif not record.value:
            self._parked[partition].pop(key, None)
        action = _ACTIONS.get(record.headers.get(_ASKED, ""))
        if record.offset >= end and action is not None:
            self.requests.put_nowait(Request(action, key))


def calls_key(group: str, partition: int) -> str:
    """Return the record's key of the calls written down in a partition."""
    return f"{group}/{_CALLS}{partition:06d}"


def parked_record(group: str, parked: Parked, action: Action | str) -> Record:
    """Return the record of a parked change, with what people ask for or an empty text."""
    headers = {"ce_type": "runline.parked", "content-type": "application/json"}
    value = parked.encode()
    if action:
        headers[_ASKED] = action
    return Record(f"{group}/{parked.key}", value, headers)


def own_key(record: LogRecord, group: str) -> str:
    """Return what a record's key says below the group's name, or an empty text for that of another group."""
    own, _, key = record.key.partition("/")
    return key if own == group else ""


def is_parked(key: str) -> bool:
    """Return whether a key of a group is that of a parked change."""
    return bool(key) and not key.startswith("!")


def _parked(record: LogRecord) -> Parked | None:
    try:
        return read_parked(record.value, f"{PARKED}/{record.offset}")
    except RunlineError as error:
        _LOGGER.error("%s/%d: %s", PARKED, record.offset, error)  # noqa: TRY400 - the text says it all
        return None


def _announced(record: LogRecord) -> Announced | None:
    # Whoever can write the topic can write anything; what no host wrote is nobody's announcement.
    try:
        row = orjson.loads(record.value)
        host, services, answer = row["host"], row["services"], row["answer"]
    except (KeyError, TypeError, ValueError):
        return None
    if not isinstance(host, str) or not isinstance(services, list) or not all(isinstance(n, str) for n in services):
        return None
    return Announced(host, tuple(services), bool(answer))
