"""Progress in a directory of this machine, for the one host of a group."""

import asyncio
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from consumers.host.errors import GroupDiffersError
from consumers.host.parked import Parked, Request, read_parked
from consumers.host.progress import PartitionProgress, read_progress
from engine.errors import ArgumentError
from engine.limits import FOLLOW_ASKED_SECONDS, FOLLOW_PARKED_MAX, FOLLOW_SERVICES_MAX, PARTITIONS_MAX
from engine.log.port import Owner
from engine.store.errors import StoreError, StoreLockedError
from engine.store.port import pages, prefix_end
from engine.store.rocks import RocksStore

_POSITIONS: Final = "positions"
_PARKED: Final = "parked"
FAMILIES: Final = (_POSITIONS, _PARKED)
_REQUESTS: Final = "requests"
"""The folder, beside the store's files, of what people ask for: a running host alone may write the store."""
_PAGE_ROWS: Final = 500
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

    def __init__(self, store: RocksStore, partitions: int) -> None:
        self._store = store
        self._partitions = partitions
        self._requests = store.directory / _REQUESTS

    @classmethod
    def open(cls, directory: Path, partitions: int) -> "LocalProgress":
        """Open the records of a group; make them where there are none.

        Args:
            directory: Where they are or will be; for this group of this log alone.
            partitions: Of the log.

        Raises:
            GroupDiffersError: Another host of the group is at work.
            StoreError: The store cannot be opened.
        """
        try:
            return cls(RocksStore.open(directory, FAMILIES), partitions)
        except StoreLockedError as error:
            raise GroupDiffersError(
                f"expected no other host of the group whose progress is in {directory}, but one is at work.",
                hint="End it, or follow with a group of another name; on Kafka hosts of a group share the work.",
            ) from error

    @property
    def shared(self) -> bool:
        """The store's lock sees to it that there is one host."""
        return False

    async def join(self, owner: Owner) -> None:
        """Own all partitions."""
        owner.assigned(range(self._partitions))

    async def leave(self) -> None:
        """Let go of the store."""
        self._store.close()

    async def load(self, partition: int) -> PartitionProgress | None:
        """Return how far the group has come in a partition, or None when it has not begun."""
        text = self._store.get(_POSITIONS, b"%06d" % partition)
        return None if text is None else read_progress(text, str(self._store.directory))

    async def save(self, partition: int, progress: PartitionProgress) -> None:
        """Record how far the group has come; it survives the death of the process."""
        batch = self._store.batch()
        batch.put(_POSITIONS, b"%06d" % partition, progress.encode())
        self._store.write(batch)

    async def parked(self, partition: int) -> list[Parked]:
        """Return what is parked of a partition."""
        return [parked for parked in all_parked(self._store) if parked.partition == partition]

    async def park(self, parked: Parked) -> None:
        """Keep a parked change; it survives the death of the process."""
        batch = self._store.batch()
        batch.put(_PARKED, parked.key.encode(), parked.encode())
        self._store.write(batch)

    async def unpark(self, parked: Parked) -> None:
        """Forget a parked change."""
        batch = self._store.batch()
        batch.delete(_PARKED, parked.key.encode())
        self._store.write(batch)

    async def asked(self) -> Request:
        """Wait for the next request; it is forgotten when it is handed over."""
        while True:
            for path in sorted(self._requests.glob("*.json")):
                request = _read_request(path)
                path.unlink(missing_ok=True)
                if request is not None:
                    return request
            await asyncio.sleep(FOLLOW_ASKED_SECONDS)

    def reset(self, names: tuple[str, ...]) -> None:
        """Forget all progress of these services, and what they parked."""
        batch = self._store.batch()
        for key, text in self._store.scan(_POSITIONS, b"", None, limit=PARTITIONS_MAX):
            progress = read_progress(text, str(self._store.directory))
            kept = {name: each for name, each in progress.services.items() if name not in names}
            batch.put(_POSITIONS, key, PartitionProgress(progress.topic_id, kept).encode())
        for parked in all_parked(self._store):
            if parked.service in names:
                batch.delete(_PARKED, parked.key.encode())
        self._store.write(batch)


def read_local(directory: Path) -> tuple[dict[int, PartitionProgress], list[Parked]]:
    """Return all records of a group, beside its host if there is one.

    Raises:
        StoreError: There are none, or they cannot be read.
    """
    if not (directory / "CURRENT").exists():
        raise StoreError(
            f"expected the progress of a group in {directory}, but there is none.",
            hint="A group begins with `runline follow --group NAME`.",
        )
    store = RocksStore.open_reading(directory, FAMILIES)
    try:
        rows = store.scan(_POSITIONS, b"", None, limit=PARTITIONS_MAX)
        return {int(key): read_progress(text, str(directory)) for key, text in rows}, list(all_parked(store))
    finally:
        store.close()


def ask_local(directory: Path, request: Request) -> None:
    """Leave a request for the host of a group, whether it is at work or begins later."""
    requests = directory / _REQUESTS
    requests.mkdir(exist_ok=True)
    path = requests / f"{secrets.token_hex(8)}.json"
    with (unfinished := path.with_suffix(".new")).open("wb") as file:
        file.write(orjson.dumps(request._asdict()))
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)


def all_parked(store: RocksStore) -> list[Parked]:
    """Return everything that is parked, in the order of keys; its number is bounded."""
    where = str(store.directory)
    limit = FOLLOW_PARKED_MAX * FOLLOW_SERVICES_MAX * PARTITIONS_MAX
    found: list[Parked] = []
    for page in pages(store, _PARKED, b"", prefix_end(b""), _PAGE_ROWS):
        found += [read_parked(text, where) for _, text in page]
        assert len(found) <= limit, "parking is bounded"
    return found


def _read_request(path: Path) -> Request | None:
    # What is no request of ours is put away without a word: nobody could be told.
    with suppress(OSError, KeyError, TypeError, ValueError):
        row = orjson.loads(path.read_bytes())
        if row["action"] in ("retry", "skip") and isinstance(row["key"], str):
            return Request(row["action"], row["key"])
    return None
