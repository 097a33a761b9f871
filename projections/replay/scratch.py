"""Where a replay folds to, and what an interrupted one goes on from.

Everything that belongs to one place of the log is written in one batch with that place. A finished replay leaves
nothing behind: the next one folds the whole log again, because the code, or the log, may be another one by then.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson

from engine.errors import LogDamagedError
from engine.store.errors import StoreDamagedError, StoreLockedError
from engine.store.port import Batch
from engine.store.rocks import RocksStore
from projections.ended import FAMILY as ENDED
from projections.position import FAMILY as POSITIONS
from projections.projection import Projection, family_name

_LOGGER = logging.getLogger("runline.projections")

FORMAT: Final = 1
"""The version of what is written here; another one begins anew."""
_STORE: Final = "replay"
_FAMILY: Final = "replay"
_OF: Final = b"of"


def families_of(projections: Sequence[Projection]) -> list[str]:
    """Return the families of rows that these projections are folded into, those of the framework first."""
    own = [family_name(projection.name, family) for projection in projections for family in projection.families]
    return [POSITIONS, ENDED, *own]


class Scratch:
    """The store of one replay. Use `open_scratch`.

    Args:
        directory: Where it is or will be.
        families: The families of rows.
        of: What must be the same for an interrupted replay to be gone on with.

    Attributes:
        resumed: Whether an interrupted replay is gone on with.
    """

    def __init__(self, directory: Path, families: Sequence[str], of: Sequence[object]) -> None:
        self._path = directory / _STORE
        self._families = families
        self._of = orjson.dumps([FORMAT, *of])
        try:
            self.store = self._open()
        except StoreDamagedError as error:
            _LOGGER.warning("%s The replay begins anew", error)
            shutil.rmtree(self._path, ignore_errors=True)
            self.store = self._open()
        found = self.store.get(_FAMILY, _OF)
        self.resumed = found == self._of
        if found is None:
            self._begin()
        elif not self.resumed:
            self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.store.close()
        shutil.rmtree(self._path, ignore_errors=True)
        self.store = self._open()
        self._begin()

    def get(self, key: str) -> bytes | None:
        """Return what was written down, or None."""
        return self.store.get(_FAMILY, key.encode())

    def put(self, batch: Batch, key: str, value: bytes) -> None:
        """Write something down together with all else in a batch."""
        batch.put(_FAMILY, key.encode(), value)

    def close(self) -> None:
        """Keep what is there for the next time."""
        self.store.close()

    def remove(self) -> None:
        """Leave nothing behind."""
        self.close()
        shutil.rmtree(self._path, ignore_errors=True)
        directory = self._path.parent
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()

    def _open(self) -> RocksStore:
        return RocksStore.open(self._path, (*self._families, _FAMILY), together=True)

    def _begin(self) -> None:
        self.resumed = False
        batch = self.store.batch()
        batch.put(_FAMILY, _OF, self._of)
        self.store.write(batch)


@contextmanager
def open_scratch(directory: Path, projections: Sequence[Projection], of: Sequence[object]) -> Iterator[Scratch]:
    """Open the store of a replay; begin anew where there is none, or one of something else.

    Args:
        directory: Where it is or will be.
        projections: What is folded.
        of: What must be the same for an interrupted replay to be gone on with; JSON data.

    Raises:
        StoreLockedError: Another replay uses it.
        StoreError: It cannot be used.
    """
    try:
        scratch = Scratch(directory, families_of(projections), of)
    except StoreLockedError as error:
        raise StoreLockedError(
            f"expected nobody else to replay in {directory}, but another process does.",
            hint="Wait until it is done, or give this replay a directory of its own: --work DIR.",
        ) from error
    try:
        yield scratch
    except (LogDamagedError, StoreDamagedError):
        # What is damaged will be another log, or other views, when it can be replayed: nothing can be gone on with.
        scratch.remove()
        raise
    finally:
        scratch.close()
