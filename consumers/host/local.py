"""Progress in a directory of this machine, for the one host of a group."""

import asyncio
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson

from consumers.host.bulletin import Announced
from consumers.host.calls import NotedCall, encode_calls, read_calls
from consumers.host.damage import aside, check_begun, telling
from consumers.host.errors import GroupDiffersError
from consumers.host.parked import Parked, Request, read_parked
from consumers.host.progress import PartitionProgress, read_progress
from engine.errors import ArgumentError
from engine.limits import FOLLOW_ASKED_SECONDS, PARTITIONS_MAX
from engine.log.port import Owner
from engine.store.errors import StoreDamagedError, StoreError, StoreLockedError
from engine.store.port import pages, prefix_end
from engine.store.rocks import RocksStore

_LOGGER = logging.getLogger("runline.follow")

_POSITIONS: Final = "positions"
_PARKED: Final = "parked"
_CALLS: Final = "calls"
_READ: Final = (_POSITIONS, _PARKED)
"""What is read beside the host; calls concern nobody else, and groups of old have none."""
FAMILIES: Final = (*_READ, _CALLS)
_REQUESTS: Final = "requests"
"""The folder, beside the store's files, of what people ask for: a running host alone may write the store."""
_PAGE_ROWS: Final = 500
_TIME_DIGITS: Final = 20
_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def check_name(what: str, name: str) -> None:
    """Refuse a name that cannot stand in a path, a key and a topic.

    Raises:
        ArgumentError: It is not 1 to 100 letters, digits, '.', '_' or '-', not beginning with '.'.
    """
    if _NAME.fullmatch(name) is None:
        raise ArgumentError(
            f"expected the name of a {what} of 1 to 100 letters, digits, '.', '_' or '-', not beginning with '.', but "
            f"found {name[:120]!r}."
        )


class LocalProgress:
    """A group's progress in a store of its own. Use `open` or `read`.

    Its only member owns all partitions; the store's lock keeps a second one out.
    """

    def __init__(self, store: RocksStore, partitions: int, group: str = "") -> None:
        self._store = store
        self._partitions = partitions
        self._group = group
        self._requests = store.directory / _REQUESTS
        self._handed_over: Path | None = None

    @classmethod
    def open(cls, directory: Path, partitions: int, group: str = "") -> "LocalProgress":
        """Open the records of a group; make them where there are none.

        Args:
            directory: Where they are or will be; for this group of this log alone.
            partitions: Of the log.
            group: The group's name, which is recorded and then expected; an empty text for none.

        Raises:
            GroupDiffersError: Another host of the group is at work.
            StoreError: The store cannot be opened.
        """
        check_begun(directory)
        try:
            with telling(aside(directory)):
                return cls(RocksStore.open(directory, FAMILIES), partitions, group)
        except StoreLockedError as error:
            raise GroupDiffersError(
                f"expected no other host of the group whose progress is in {directory}, but one is at work.",
                hint="End it, or follow with a group of another name; on Kafka hosts of a group share the work.",
            ) from error

    @property
    def shared(self) -> bool:
        """The store's lock sees to it that there is one host."""
        return False

    async def join(self, owner: Owner, services: Sequence[str]) -> None:  # noqa: ARG002 - nobody else is here
        """Own all partitions; what was asked while no host was at work is recorded with what is parked."""
        try:
            self._take_in()
        except StoreError as error:
            # They lie where they are, and are handed over one by one.
            _LOGGER.error("What was asked cannot be recorded now: %s", error)  # noqa: TRY400 - the text says it all
        owner.assigned(range(self._partitions))

    async def others(self) -> Announced:
        """Wait for ever: the store's lock keeps other hosts out."""
        return await asyncio.Future[Announced]()

    async def leave(self) -> None:
        """Let go of the store."""
        self._store.close()

    async def load(self, partition: int) -> PartitionProgress | None:
        """Return how far the group has come in a partition, or None when it has not begun."""
        with telling(self._hint):
            text = self._store.get(_POSITIONS, b"%06d" % partition)
            return None if text is None else self._own(text)

    async def save(self, partition: int, progress: PartitionProgress) -> None:
        """Record how far the group has come; it survives the death of the process."""
        batch = self._store.batch()
        batch.put(_POSITIONS, b"%06d" % partition, replace(progress, group=self._group or progress.group).encode())
        self._store.write(batch)

    async def parked(self, partition: int) -> list[Parked]:
        """Return what is parked of a partition."""
        with telling(self._hint):
            return [parked for parked in all_parked(self._store) if parked.partition == partition]

    async def park(self, parked: Parked) -> None:
        """Keep a parked change; it survives the death of the process."""
        batch = self._store.batch()
        batch.put(_PARKED, parked.key.encode(), parked.encode())
        self._store.write(batch)

    async def unpark(self, key: str) -> None:
        """Forget a parked change, by its key."""
        batch = self._store.batch()
        batch.delete(_PARKED, key.encode())
        self._store.write(batch)

    async def noted(self, partition: int) -> Sequence[NotedCall]:
        """Return the calls that were written down in a partition."""
        with telling(self._hint):
            text = self._store.get(_CALLS, b"%06d" % partition)
            return () if text is None else read_calls(text, str(self._store.directory))

    async def note(self, partition: int, calls: Sequence[NotedCall]) -> None:
        """Write calls down, in place of those that were; they survive the death of the process."""
        batch = self._store.batch()
        if calls:
            batch.put(_CALLS, b"%06d" % partition, encode_calls(calls))
        else:
            batch.delete(_CALLS, b"%06d" % partition)
        self._store.write(batch)

    async def asked(self) -> Request:
        """Wait for the next request; it is forgotten when the one after it is waited for."""
        if self._handed_over is not None:
            self._handed_over.unlink(missing_ok=True)
        while True:
            for path in _lying(self._requests):
                if (request := _read_request(path)) is not None:
                    self._handed_over = path
                    return request
                path.unlink(missing_ok=True)
            await asyncio.sleep(FOLLOW_ASKED_SECONDS)

    def _take_in(self) -> None:
        if not (paths := _lying(self._requests)):
            return
        requests = (_read_request(path) for path in paths)
        asked = {request.key: request.action for request in requests if request is not None}
        batch = self._store.batch()
        for key, action in asked.items():
            if (text := self._store.get(_PARKED, key.encode())) is not None:
                parked = read_parked(text, str(self._store.directory))
                batch.put(_PARKED, key.encode(), replace(parked, asked=action).encode())
        self._store.write(batch)
        for path in paths:
            path.unlink(missing_ok=True)

    def reset(self, names: tuple[str, ...]) -> None:
        """Forget all progress of these services, and what they parked."""
        batch = self._store.batch()
        for key, text in self._store.scan(_POSITIONS, b"", None, limit=PARTITIONS_MAX):
            progress = read_progress(text, str(self._store.directory))
            kept = {name: each for name, each in progress.services.items() if name not in names}
            batch.put(_POSITIONS, key, replace(progress, services=kept).encode())
            batch.delete(_CALLS, key)
        for parked in all_parked(self._store):
            if parked.service in names:
                batch.delete(_PARKED, parked.key.encode())
        self._store.write(batch)


def read_local(directory: Path) -> tuple[dict[int, PartitionProgress], list[Parked]]:
    """Return all records of a group, beside its host if there is one, with what is asked and was not taken yet.

    Raises:
        StoreError: There are none, or they cannot be read.
    """
    if not (directory / "CURRENT").exists():
        raise StoreError(
            f"expected the progress of a group in {directory}, but there is none.",
            hint="A group begins with `runline follow --group NAME`.",
        )
    # Before the rows: a host that takes one meanwhile has recorded it there.
    requests = [request for path in _lying(directory / _REQUESTS) if (request := _read_request(path)) is not None]
    asked = {request.key: request.action for request in requests}
    store = RocksStore.open_reading(directory, _READ)
    try:
        rows = store.scan(_POSITIONS, b"", None, limit=PARTITIONS_MAX)
        progress = {int(key): read_progress(text, str(directory)) for key, text in rows}
        return progress, [replace(each, asked=asked.get(each.key, each.asked)) for each in all_parked(store)]
    finally:
        store.close()


def ask_local(directory: Path, request: Request) -> None:
    """Leave a request for the host of a group, whether it is at work or begins later; of one change the last counts.

    Raises:
        StoreError: It cannot be written.
    """
    requests = directory / _REQUESTS
    # The host takes them in the order of their names.
    path = requests / f"{time.time_ns():0{_TIME_DIGITS}}-{secrets.token_hex(4)}.json"
    try:
        requests.mkdir(exist_ok=True)
        with (unfinished := path.with_suffix(".new")).open("wb") as file:
            file.write(orjson.dumps(request._asdict()))
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError as error:
        raise StoreError(
            f"expected to leave a request for the group's host in {requests}, but that cannot be written: "
            f"{error.strerror or error}.",
            hint="Ask as a user who may write there, such as the one whose host it is.",
        ) from error


def all_parked(store: RocksStore) -> Iterator[Parked]:
    """Yield everything that is parked, in the order of keys."""
    where = str(store.directory)
    for page in pages(store, _PARKED, b"", prefix_end(b""), _PAGE_ROWS):
        for _, text in page:
            yield read_parked(text, where)


def _lying(requests: Path) -> list[Path]:
    """Return the requests that no host has taken, in the order in which they were made."""
    # Names of earlier versions say nothing about when, and are shorter.
    return sorted(requests.glob("*.json"), key=lambda path: (len(path.name), path.name))


def _read_request(path: Path) -> Request | None:
    # What is no request of ours is put away without a word: nobody could be told.
    with suppress(OSError, KeyError, TypeError, ValueError):
        row = orjson.loads(path.read_bytes())
        if row["action"] in ("retry", "skip") and isinstance(row["key"], str):
            return Request(row["action"], row["key"])
    return None
