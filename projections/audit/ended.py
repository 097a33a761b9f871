"""Ended runs: remembered for ever, on disk, so that nothing comes after an end unnoticed."""

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from engine.limits import AUDIT_SAVE_RECORDS
from engine.store.port import Store, pages, prefix_end

FAMILY: Final = "ended"
_HEAD: Final = 16
_ID: Final = 32
_PAGE: Final = 1_000


class EndedRun(NamedTuple):
    """A run that has ended.

    Attributes:
        offset: Where its last commit stands.
        decided: The highest `commands` offset that it decided, -1 before any.
        ids: The ids of all its accepted commits; the last one is its head.
    """

    offset: int
    decided: int
    ids: list[str]


class EndedRuns(Protocol):
    """The ended runs of one partition."""

    def get(self, run: str) -> EndedRun | None:
        """Return a run, or None when it is not known to have ended."""
        ...

    def put(self, run: str, ended: EndedRun) -> None:
        """Remember a run."""
        ...


class EndedOnDisk:
    """The ended runs of one partition, in a store.

    What an interrupted audit wrote ahead of the place where it goes on is there too, so a run that ended at or behind
    the place that is being read has not ended yet.

    Args:
        store: Where they are.
        partition: Whose they are.

    Attributes:
        position: The offset that is being read.
    """

    def __init__(self, store: Store, partition: int) -> None:
        self._store = store
        self._prefix = partition.to_bytes(4, "big")
        self._new: dict[str, EndedRun] = {}
        self.position = 0

    def get(self, run: str) -> EndedRun | None:
        """Return a run, or None when it is not known to have ended."""
        found = self._new.get(run)
        if found is None:
            stored = self._store.get(FAMILY, self._prefix + run.encode())
            found = None if stored is None else _decode(stored)
        return found if found is not None and found.offset < self.position else None

    def put(self, run: str, ended: EndedRun) -> None:
        """Remember a run."""
        self._new[run] = ended
        if len(self._new) >= AUDIT_SAVE_RECORDS:
            self.flush()

    def flush(self) -> None:
        """Write what is new."""
        batch = self._store.batch()
        for run, ended in self._new.items():
            batch.put(FAMILY, self._prefix + run.encode(), _encode(ended))
        self._store.write(batch)
        self._new.clear()

    def scan(self) -> Iterator[tuple[str, EndedRun]]:
        """Yield all runs that ended before `position`."""
        for page in pages(self._store, FAMILY, self._prefix, prefix_end(self._prefix), _PAGE):
            for key, stored in page:
                ended = _decode(stored)
                if ended.offset < self.position:
                    yield key[len(self._prefix) :].decode(), ended


class EndedInMemory(dict[str, EndedRun]):
    """The ended runs of something small."""

    def put(self, run: str, ended: EndedRun) -> None:
        """Remember a run."""
        self[run] = ended


def _encode(ended: EndedRun) -> bytes:
    numbers = ended.offset.to_bytes(8, "big") + ended.decided.to_bytes(8, "big", signed=True)
    return numbers + bytes.fromhex("".join(ended.ids))


def _decode(stored: bytes) -> EndedRun:
    ids = stored[_HEAD:].hex()
    return EndedRun(
        int.from_bytes(stored[:8], "big"),
        int.from_bytes(stored[8:_HEAD], "big", signed=True),
        [ids[at : at + 2 * _ID] for at in range(0, len(ids), 2 * _ID)],
    )
