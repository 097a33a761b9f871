"""The store that one process folds into: chosen, opened, opened again after it failed, made anew when it is damaged."""

import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from engine import crash_points
from engine.crash_points import CrashPoint
from engine.limits import STORE_MARGIN_BYTES
from engine.store.errors import StoreDamagedError, StoreError, StoreFullError, StoreLockedError
from engine.store.rocks import RocksStore
from projections.directory import Entry, ViewsDirectory
from projections.errors import ViewsDamagedError, ViewsLockedError
from projections.projection import Projection

_LOGGER = logging.getLogger("runline.projections")

ANEW: Final = "All is folded anew."


class FoldedStore:
    """The store of a set of projections that this process folds into.

    Args:
        path: The directory of the views.
        projections: The set.
        anew: Whether to begin with a new store, even where there is one.
    """

    def __init__(self, path: Path, projections: Sequence[Projection], *, anew: bool) -> None:
        self.directory = ViewsDirectory(path, projections)
        self._anew = anew
        self._entry: Entry | None = None
        self._store: RocksStore | None = None
        self._before: RocksStore | None = None
        self._usable = False
        self._lost = False

    @property
    def complete(self) -> bool:
        """Whether it has caught up with the log once, so that it may be asked."""
        return self._entry is not None and self._entry.complete and not self._lost

    @property
    def asked(self) -> RocksStore | None:
        """The store that may be asked: this one, or the one that it is to take the place of; or None."""
        return self._store if self.complete else self._before

    @property
    def replaces(self) -> bool:
        """Whether a new store would take the place of another one."""
        try:
            return self.directory.complete() is not None
        except ViewsDamagedError:
            return False

    def open(self) -> RocksStore:
        """Return the store to fold into; after it failed, opened again, and after it was lost, a new one.

        Raises:
            ViewsLockedError: Another process folds into this directory.
            ViewsNewerError: A newer version of Runline made the directory.
            StoreFullError: There is no space left; what was folded can be asked meanwhile.
            StoreError: The store cannot be opened.
        """
        if self._store is not None and self._usable:
            return self._store
        if self._lost:
            assert self._entry is not None
            self._let_go()
            self.directory.remove(self._entry)
            self._lost = False
        elif self._store is not None:
            _require_space(self._store.directory)
            # RocksDB gets over a failed write only like this.
            self._let_go()
        try:
            with self.directory.changing():
                self._entry, self._store = self._choose()
        except StoreLockedError as error:
            raise ViewsLockedError(
                f"expected nobody else to fold into the views in {self.directory.path}, but another process does.",
                hint="Stop it, or use another directory: --views DIR. Views can be read beside it.",
            ) from error
        self._usable = True
        return self._store

    def fail(self) -> None:
        """Open it again before anything is written."""
        self._usable = False

    def lose(self) -> None:
        """Give it up: it is damaged."""
        self._lost = True
        self._usable = False

    def damaged(self) -> bool:
        """Hear that who asked found damage; return whether it is in the store that is folded into."""
        if self.complete:
            return True
        # What is about to take its place is another one.
        self._let_go_before()
        return False

    def finish(self) -> None:
        """Let it take the place of those before it."""
        assert self._store is not None
        assert self._entry is not None
        self._store.flush()
        self._let_go_before()
        crash_points.reached(CrashPoint.VIEWS_BEFORE)
        self._entry = self.directory.finish(self._entry)
        self._anew = False

    def close(self) -> None:
        """Let go of all."""
        self._usable = False
        self._let_go()
        self._let_go_before()

    def _choose(self) -> tuple[Entry, RocksStore]:
        directory = self.directory
        try:
            entry = directory.complete()
        except ViewsDamagedError as error:
            _LOGGER.error("%s %s", error, ANEW)  # noqa: TRY400 - the text says it all
            directory.reset()
            entry = None
        if self._anew and entry is not None:
            self._keep(entry)
            entry = None
        elif entry is not None:
            directory.tidy(entry)
        entry = entry or directory.building() or directory.add()
        try:
            return entry, directory.open_writing(entry)
        except StoreDamagedError as error:
            _LOGGER.error("%s %s", error, ANEW)  # noqa: TRY400 - the text says it all
            directory.remove(entry)
            entry = directory.add()
            return entry, directory.open_writing(entry)

    def _keep(self, entry: Entry) -> None:
        """Keep the store that is to be replaced: it is asked until then, and nobody else may go on folding into it."""
        if self._before is None:
            # It may be damaged: the reason why all is folded anew, perhaps.
            with suppress(StoreDamagedError):
                self._before = self.directory.open_writing(entry)

    def _let_go(self) -> None:
        store, self._store = self._store, None
        _close(store)

    def _let_go_before(self) -> None:
        store, self._before = self._before, None
        _close(store)


def _close(store: RocksStore | None) -> None:
    if store is not None:
        try:
            store.close()
        except StoreError as error:
            # What it had not written yet can be folded again.
            _LOGGER.warning("%s", error)


def _require_space(directory: Path) -> None:
    needed = STORE_MARGIN_BYTES + sum(file.stat().st_size for file in directory.glob("*.log"))
    if shutil.disk_usage(directory).free < needed:
        raise StoreFullError(f"there is no space left for the store {directory}: expected {needed} bytes free.")
