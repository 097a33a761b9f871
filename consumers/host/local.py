"""Progress in a directory of this machine, for the one host of a group."""

import asyncio
import logging
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from consumers.host.bulletin import Announced
from consumers.host.calls import NotedCall, encode_calls, read_calls
from consumers.host.damage import aside, check_begun, telling
from consumers.host.errors import GroupDiffersError
from consumers.host.parked import Parked, Request, read_parked
from consumers.host.progress import PartitionProgress, read_progress
from consumers.host.requests import Requests
from engine.errors import LogError
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
_PAGE_ROWS: Final = 500


class LocalProgress:
    """A group's progress in a store of its own. Use `open` or `read`.

    Its only member owns all partitions; the store's lock keeps a second one out.
    """

    def __init__(self, store: RocksStore, partitions: int, group: str = "") -> None:
        self._store = store
        self._partitions = partitions
        self._group = group
        self._requests = Requests(store.directory)
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

    async def shut_out(self) -> LogError:
        """Wait for ever, for the same reason."""
        return await asyncio.Future[LogError]()

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
            self._requests.forget(self._handed_over)
        while True:
            if (found := next(self._requests.take(), None)) is not None:
                self._handed_over, request = found
                return request
            await asyncio.sleep(FOLLOW_ASKED_SECONDS)

    def _take_in(self) -> None:
        if not (taken := list(self._requests.take())):
            return
        asked = {request.key: request.action for _, request in taken}
        batch = self._store.batch()
        for key, action in asked.items():
            if (text := self._store.get(_PARKED, key.encode())) is not None:
                parked = read_parked(text, str(self._store.directory))
                batch.put(_PARKED, key.encode(), replace(parked, asked=action).encode())
        self._store.write(batch)
        for path, _ in taken:
            self._requests.forget(path)

    def reset(self, names: tuple[str, ...]) -> None:
        """Forget all progress of these services, and what they parked.

        Raises:
            GroupDiffersError: It is another group's.
            StoreError: It cannot be read or written.
        """
        with telling(self._hint):
            batch = self._store.batch()
            for key, text in self._store.scan(_POSITIONS, b"", None, limit=PARTITIONS_MAX):
                progress = self._own(text)
                kept = {name: each for name, each in progress.services.items() if name not in names}
                batch.put(_POSITIONS, key, replace(progress, services=kept).encode())
                batch.delete(_CALLS, key)
            for parked in all_parked(self._store):
                if parked.service in names:
                    batch.delete(_PARKED, parked.key.encode())
            self._store.write(batch)

    @property
    def _hint(self) -> str:
        return aside(self._store.directory)

    def _own(self, text: bytes) -> PartitionProgress:
        progress = read_progress(text, str(self._store.directory))
        _check_group(self._store.directory, self._group, progress)
        return progress


def read_local(directory: Path, group: str = "") -> tuple[dict[int, PartitionProgress], list[Parked]]:
    """Return all records of a group, beside its host if there is one, with what is asked and was not taken yet.

    Args:
        directory: Where they are.
        group: The group's name, or an empty text for whichever it is.

    Raises:
        GroupDiffersError: They are another group's.
        StoreError: There are none, or they cannot be read.
    """
    if not check_begun(directory):
        raise StoreError(
            f"expected the progress of a group in {directory}, but there is none.",
            hint="A group begins with `runline follow --group NAME`.",
        )
    # Before the rows: a host that takes one meanwhile has recorded it there.
    asked = {request.key: request.action for request in Requests(directory).look()}
    with telling(aside(directory)):
        store = RocksStore.open_reading(directory, _READ)
        try:
            rows = store.scan(_POSITIONS, b"", None, limit=PARTITIONS_MAX)
            progress = {_partition(key, directory): read_progress(text, str(directory)) for key, text in rows}
            for each in progress.values():
                _check_group(directory, group, each)
            return progress, [replace(each, asked=asked.get(each.key, each.asked)) for each in all_parked(store)]
        finally:
            store.close()


def _partition(key: bytes, directory: Path) -> int:
    if not key.isdigit():
        raise StoreDamagedError(
            f"expected partitions of the progress of services in {directory}, but found {key!r:.80}."
        )
    return int(key)


def _check_group(directory: Path, group: str, progress: PartitionProgress) -> None:
    """Refuse the progress of another group; that of earlier versions does not say whose it is."""
    if group and progress.group and progress.group != group:
        raise GroupDiffersError(
            f"expected the progress of the group {group} in {directory}, but found that of the group {progress.group}.",
            hint=f"Give the directory its name {progress.group} again, or name another one with --progress.",
        )


def ask_local(directory: Path, request: Request) -> None:
    """Leave a request for the host of a group, whether it is at work or begins later; of one change the last counts.

    Raises:
        StoreError: It cannot be written.
    """
    Requests(directory).leave(request, secrets.token_hex(4))


def all_parked(store: RocksStore) -> Iterator[Parked]:
    """Yield everything that is parked, in the order of keys."""
    where = str(store.directory)
    for page in pages(store, _PARKED, b"", prefix_end(b""), _PAGE_ROWS):
        for _, text in page:
            yield read_parked(text, where)
