"""The directory of the views: stores, each folded by one set of projections, and a list that says which is which.

A set of projections with another version is folded into a store of its own, beside the one before it, and takes its
place when it has caught up. `views.json` lists the stores; it is replaced as a whole, so it is always one or the other.
"""

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine import crash_points
from engine.crash_points import CrashPoint
from engine.errors import LogError, LogLockedError
from engine.limits import VIEWS_CHANGE_SECONDS_MAX
from engine.log.embedded.lock import DirectoryLock
from engine.store.errors import StoreError, StoreFullError, StoreLockedError
from engine.store.private import make_private
from engine.store.rocks import RocksStore
from projections.ended import FAMILY as ENDED
from projections.errors import ViewsDamagedError, ViewsNewerError
from projections.position import FAMILY as POSITIONS
from projections.position import check_positions
from projections.projection import Projection, check_projections, family_name

FILE: Final = "views.json"
FORMAT: Final = 1
_STORE: Final = "store-"
_OURS: Final = re.compile(_STORE + "([0-9]{1,9})-[0-9a-f]{8}")
"""A number that rises, and a text that no other store has had: a reader may still hold one of the same number."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOCK_PAUSE_SECONDS: Final = 0.01
Versions = Mapping[str, int]
"""The names of projections with their versions."""


class Entry(BaseModel):
    """One store in the directory.

    Attributes:
        store: The name of its directory.
        projections: What it is folded by.
        complete: Whether it has caught up with the log once, so that it may be asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    store: Annotated[str, Field(pattern=f"^{_OURS.pattern}$")]
    projections: dict[str, int]
    complete: bool


class Listing(BaseModel):
    """What `views.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = FORMAT
    stores: tuple[Entry, ...] = ()


class ViewsDirectory:
    """The stores of one directory.

    Args:
        path: Where it is or will be.
        projections: The set that the caller folds or asks.

    Raises:
        ArgumentError: The projections cannot be folded together.
    """

    def __init__(self, path: Path, projections: Sequence[Projection]) -> None:
        check_projections(projections)
        self.path = path
        self._is_changing = False
        self._versions = {projection.name: projection.version for projection in projections}
        self._families = (
            POSITIONS,
            ENDED,
            *(family_name(projection.name, family) for projection in projections for family in projection.families),
        )

    def listing(self) -> Listing:
        """Return what the directory holds; nothing where there is none.

        Raises:
            ViewsNewerError: A newer version of Runline made it.
            ViewsDamagedError: The list is not what was written.
        """
        file = self.path / FILE
        try:
            text = file.read_bytes()
        except FileNotFoundError as error:
            if any(_OURS.fullmatch(path.name) for path in self.path.glob(f"{_STORE}*")):
                raise _damaged(f"expected a list of the views in {file}, but there is none.") from error
            return Listing()
        except OSError as error:
            raise StoreError(f"the views in {self.path} cannot be read: {error.strerror}.") from error
        try:
            return Listing.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            if first["loc"] == ("format",) and isinstance(first["input"], int) and first["input"] > FORMAT:
                raise ViewsNewerError(
                    f"expected views of format {FORMAT} in {self.path}, but found format {first['input']}: "
                    "a newer version of Runline made them.",
                    hint="Use that version, or another directory: --views DIR.",
                ) from error
            place = ".".join(map(str, first["loc"])) or "the document"
            raise _damaged(f"expected a list of the views in {file}, but at {place}: {first['msg']}.") from error

    def complete(self) -> Entry | None:
        """Return the newest store of exactly this set that may be asked, or None."""
        return _newest(entry for entry in self._own() if entry.complete)

    def building(self) -> Entry | None:
        """Return the store of exactly this set that is being made, or None."""
        return _newest(entry for entry in self._own() if not entry.complete)

    def serving(self) -> Entry | None:
        """Return the newest store of this set that may be asked, or else one with others besides, or None."""
        wanted = self._versions.items()
        return self.complete() or _newest(
            entry for entry in self.listing().stores if entry.complete and wanted <= entry.projections.items()
        )

    def open_writing(self, entry: Entry) -> RocksStore:
        """Open a store to fold into it.

        Raises:
            StoreLockedError: Another process folds into it.
            StoreDamagedError: It is not what was written.
            StoreError: It cannot be opened.
        """
        path = self.path / entry.store
        # A store that was begun and has nothing yet may be made; one that was complete must be there.
        return _checked(RocksStore.open(path, self._families, create=not entry.complete, together=True))

    def open_reading(self, entry: Entry) -> RocksStore:
        """Open a store to ask it, beside the process that folds into it.

        Raises:
            StoreDamagedError: It is not there, or not what was written.
            StoreError: It cannot be opened.
        """
        return _checked(RocksStore.open_reading(self.path / entry.store, self._families))

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep others from changing the list, and from choosing a store to fold into, for as long as the block lasts.

        Raises:
            StoreLockedError: Somebody else did so for too long.
            StoreError: The directory cannot be written.
        """
        if self._is_changing:
            yield
            return
        lock = _lock(self.path)
        self._is_changing = True
        try:
            yield
        finally:
            self._is_changing = False
            lock.release()

    def add(self) -> Entry:
        """Begin another store of this set; the one that is being made already is given up, if nobody makes it.

        Raises:
            ViewsNewerError: A newer version of a projection has made one, of which this one would take the place.
        """
        with self.changing():
            listing = self.listing()
            self._refuse_newer(listing)
            number = max(map(_number, listing.stores), default=0) + 1
            name = f"{_STORE}{number}-{secrets.token_hex(4)}"
            entry = Entry(store=name, projections=dict(self._versions), complete=False)
            kept = tuple(each for each in listing.stores if each.complete or each.projections != self._versions)
            self._replace(Listing(stores=(*kept, entry)))
        return entry

    def _refuse_newer(self, listing: Listing) -> None:
        for entry, (name, version) in product(listing.stores, self._versions.items()):
            if entry.complete and (found := entry.projections.get(name, version)) > version:
                raise ViewsNewerError(
                    f"expected views with version {version} of {name!r} in {self.path}, or older ones, but found "
                    f"version {found}: a newer version of Runline, or of your program, made them.",
                    hint="Use that version, or another directory: --views DIR.",
                )

    def finish(self, entry: Entry) -> Entry:
        """Let a store take the place of all others that have no projection besides its own and that nobody folds."""
        finished = entry.model_copy(update={"complete": True})
        with self.changing():
            others = [each for each in self.listing().stores if each.store != entry.store]
            self._replace(Listing(stores=(*self._not_replaced(others, finished), finished)))
        return finished

    def tidy(self, entry: Entry) -> None:
        """Remove what a store has taken the place of, if somebody still folded it then and nobody does now."""
        with self.changing():
            stores = self.listing().stores
            older = [each for each in stores if _number(each) < _number(entry)]
            kept = self._not_replaced(older, entry)
            if len(kept) < len(older):
                self._replace(Listing(stores=(*kept, *(each for each in stores if each not in older))))

    def _not_replaced(self, others: Sequence[Entry], by: Entry) -> list[Entry]:
        names = by.projections.keys()
        return [each for each in others if not each.projections.keys() <= names or _in_use(self.path / each.store)]

    def remove(self, entry: Entry) -> None:
        """Give a store up: it is damaged."""
        with self.changing():
            listing = self.listing()
            self._replace(Listing(stores=tuple(each for each in listing.stores if each.store != entry.store)))

    def reset(self) -> None:
        """Begin with an empty list: the one that was there could not be read."""
        with self.changing():
            self._replace(Listing())

    def _own(self) -> Iterator[Entry]:
        return (entry for entry in self.listing().stores if entry.projections == self._versions)

    def _replace(self, listing: Listing) -> None:
        try:
            _write(self.path / FILE, listing.model_dump_json(indent=2).encode())
        except OSError as error:
            raise _refused(self.path, error) from error
        crash_points.reached(CrashPoint.VIEWS_LISTED)
        self._sweep({entry.store for entry in listing.stores})

    def _sweep(self, listed: AbstractSet[str]) -> None:
        """Remove stores that are no longer listed and that nobody folds into."""
        with suppress(OSError):
            for path in self.path.iterdir():
                if _OURS.fullmatch(path.name) and path.name not in listed and path.is_dir() and not _in_use(path):
                    shutil.rmtree(path, ignore_errors=True)


def _checked(store: RocksStore) -> RocksStore:
    try:
        check_positions(store)
    except BaseException:
        with suppress(StoreError):
            store.close()
        raise
    return store


def _damaged(what: str) -> ViewsDamagedError:
    return ViewsDamagedError(what, hint="Views can be made anew from the log: runline rebuild.")


def _newest(entries: Iterator[Entry]) -> Entry | None:
    return max(entries, key=_number, default=None)


def _number(entry: Entry) -> int:
    found = _OURS.fullmatch(entry.store)
    assert found is not None, "the list was checked"
    return int(found[1])


def _write(path: Path, data: bytes) -> None:
    """Replace a file as a whole, also where power is lost in between."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _lock(path: Path) -> DirectoryLock:
    """Lock a directory, as soon as whoever has it locked is done."""
    until = time.monotonic() + VIEWS_CHANGE_SECONDS_MAX
    while True:
        try:
            make_private(path)
            return DirectoryLock(path)
        except LogLockedError as error:
            if time.monotonic() > until:
                raise StoreLockedError(
                    f"expected nobody else to change the views in {path} now, but another process does.",
                    hint="Try again.",
                ) from error
            time.sleep(_LOCK_PAUSE_SECONDS)
        except OSError as error:
            raise _refused(path, error) from error
        except LogError as error:
            cause = error.__cause__
            raise (_refused(path, cause) if isinstance(cause, OSError) else StoreError(str(error))) from error


def _refused(path: Path, error: OSError) -> StoreError:
    kind = StoreFullError if error.errno in _FULL else StoreError
    return kind(f"the views in {path} cannot be written: {error.strerror}.", hint="Or name another place: --views DIR.")


def _in_use(path: Path) -> bool:
    try:
        RocksStore.open(path, (), create=False).close()
    except StoreLockedError:
        return True
    except StoreError:
        # Damaged or cut: nobody folds into it.
        return False
    return False
