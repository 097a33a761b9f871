"""The store: bytes under ordered keys in named families, on disk. The port every adapter keeps to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

Row = tuple[bytes, bytes]
"""A key and its value."""


class Batch(Protocol):
    """Puts and deletes that happen together or not at all; used for one `write`."""

    def put(self, family: str, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        ...

    def delete(self, family: str, key: bytes) -> None:
        """Remove a key; it need not be there."""
        ...


class Store(Protocol):
    """Bytes under ordered keys in named families.

    Every method raises ClosedError after `close`, StoreDamagedError when the bytes on disk are not what was written,
    and StoreError for everything else that the operating system or the database refuses.
    """

    @property
    def directory(self) -> Path:
        """Where the store is."""
        ...

    def get(self, family: str, key: bytes) -> bytes | None:
        """Return the value of a key, or None."""
        ...

    def scan(
        self,
        family: str,
        start: bytes,
        end: bytes | None,
        *,
        limit: int,
        bytes_max: int | None = None,
        reverse: bool = False,
    ) -> list[Row]:
        """Return rows with start <= key < end in order of their keys, all of them checked against damage.

        Args:
            family: Where to look.
            start: The first key.
            end: The first key that is too far, or None for no end.
            limit: At most this many rows.
            bytes_max: Stop after the row with which the values reach this many bytes.
            reverse: Begin with the last row and go back.
        """
        ...

    def batch(self) -> Batch:
        """Return an empty batch."""
        ...

    def write(self, batch: Batch) -> None:
        """Apply a batch, all of it or nothing; it survives the death of the process, and after `flush` power loss.

        Raises:
            StoreFullError: There is no space left.
        """
        ...

    def flush(self) -> None:
        """Make everything written so far survive power loss.

        Raises:
            StoreFullError: There is no space left.
        """
        ...

    def refresh(self) -> None:
        """See what the writer wrote since, in a store opened for reading beside it; nothing to do in others."""
        ...

    def checkpoint(self, directory: Path) -> None:
        """Put a copy of the store as it is now into a new directory; files are shared where the disk allows it."""
        ...

    def close(self) -> None:
        """Make everything written survive power loss, and let go of the directory. Closing twice is allowed.

        Raises:
            StoreError: The last writes may not survive power loss; the directory is let go all the same.
        """
        ...


def prefix_end(prefix: bytes) -> bytes | None:
    """Return the first key behind all keys with this prefix, or None where there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else None


def pages(store: Store, family: str, start: bytes, end: bytes | None, rows: int) -> Iterator[list[Row]]:
    """Walk a range in pages of at most `rows` rows, so that memory stays bounded and nothing is pinned in between."""
    while page := store.scan(family, start, end, limit=rows):
        yield page
        start = page[-1][0] + b"\0"
