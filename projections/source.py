"""Where views are read from: the store of a projector in this process, or one that another process folds into."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from engine.errors import ClosedError
from engine.limits import FOLLOW_SECONDS
from engine.store.errors import StoreDamagedError, StoreError
from engine.store.port import Store
from engine.store.rocks import RocksStore
from projections.directory import Entry, ViewsDirectory
from projections.errors import ViewsNotReadyError, damaged_views
from projections.projection import Projection

_SETTLE_TRIES: Final = 3
"""How often a store is opened again that was replaced, or written, just then."""


class Source(Protocol):
    """Gives the store that holds the views."""

    @property
    def store(self) -> Store:
        """The store as it is now.

        Raises:
            ViewsNotReadyError: There are no views yet.
            ClosedError: The views were closed.
        """
        ...

    async def moved(self) -> None:
        """Wait until the store may have become fresher.

        Raises:
            ClosedError: The views were closed.
        """
        ...

    def damaged(self, error: StoreDamagedError) -> StoreDamagedError:
        """Hear that somebody who asked found the store damaged; return the error that he shall see."""
        ...


class Beside:
    """Reads the views that another process folds, or nobody.

    Args:
        path: The directory.
        projections: The set that is asked.
    """

    def __init__(self, path: Path, projections: Sequence[Projection]) -> None:
        self._directory = ViewsDirectory(path, projections)
        self._entry: Entry | None = None
        self._opened: RocksStore | None = None
        self._closed = False
        self._refreshed = 0.0

    @property
    def store(self) -> Store:
        """The store, with all that was written until a moment ago: looking costs more than many a question."""
        if self._closed:
            raise ClosedError(f"the views in {self._directory.path} were closed.")
        for tries in range(_SETTLE_TRIES):
            try:
                return self._fresh()
            except StoreError as error:
                # Replaced by another one, or opened anew by whoever writes it, in between.
                self._let_go()
                if tries == _SETTLE_TRIES - 1:
                    if isinstance(error, StoreDamagedError):
                        raise self.damaged(error) from error
                    raise
        raise AssertionError("the last try returns or raises")

    async def moved(self) -> None:
        """Wait a moment: nobody tells this process."""
        if self._closed:
            raise ClosedError(f"the views in {self._directory.path} were closed.")
        await asyncio.sleep(FOLLOW_SECONDS)
        self._refreshed = 0.0

    def damaged(self, error: StoreDamagedError) -> StoreDamagedError:
        """Open the store anew when it is asked next; only who folds it can do more."""
        self._let_go()
        return damaged_views(error)

    def close(self) -> None:
        """Let go of the store. Closing twice is allowed."""
        self._closed = True
        self._let_go()

    def _fresh(self) -> Store:
        now = time.monotonic()
        if self._opened is not None and now - self._refreshed < FOLLOW_SECONDS:
            return self._opened
        entry = self._directory.serving()
        if entry is None:
            being_made = self._directory.building() is not None
            raise ViewsNotReadyError(
                f"expected views in {self._directory.path}, but "
                + ("they are being made." if being_made else "there are none."),
                hint="Make them and keep them fresh with: runline projections run.",
            )
        if self._opened is None or entry != self._entry:
            self._let_go()
            self._opened = self._directory.open_reading(entry)
            self._entry = entry
        else:
            self._opened.refresh()
        self._refreshed = now
        return self._opened

    def _let_go(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()
