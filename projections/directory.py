"""The directory of the views: stores, each folded by one set of projections, and a list that says which is which.

A set of projections with another version is folded into a store of its own, beside the one before it, and takes its
place when it has caught up. `views.json` lists the stores; it is replaced as a whole, so it is always one or the other.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import LogLockedError
from engine.log.embedded.lock import DirectoryLock
from engine.store.errors import StoreError, StoreLockedError
from engine.store.rocks import RocksStore
from projections.ended import FAMILY as ENDED
from projections.errors import ViewsDamagedError, ViewsNewerError
from projections.position import FAMILY as POSITIONS
from projections.projection import Projection, family_name

FILE: Final = "views.json"
FORMAT: Final = 1
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

    store: Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]
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
    """

    def __init__(self, path: Path, projections: Sequence[Projection]) -> None:
        self.path = path
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
        except FileNotFoundError:
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
            raise ViewsDamagedError(
                f"expected a list of views in {file}, but at {place}: {first['msg']}.",
                hint="Remove the directory, or use another one: --views DIR. Views can be made anew from the log.",
            ) from error

    def complete(self) -> Entry | None:
        """Return the newest store of this set that may be asked, or None."""
        return self._newest(complete=True)

    def building(self) -> Entry | None:
        """Return the store of this set that is being made, or None."""
        return self._newest(complete=False)

    def open_writing(self, entry: Entry) -> RocksStore:
        """Open a store to fold into it.

        Raises:
            StoreLockedError: Another process folds into it.
            StoreDamagedError: It is not what was written.
            StoreError: It cannot be opened.
        """
        path = self.path / entry.store
        # A store that was begun and has nothing yet may be made; one that was complete must be there.
        return RocksStore.open(path, self._families, create=not entry.complete)

    def open_reading(self, entry: Entry) -> RocksStore:
        """Open a store to ask it, beside the process that folds into it.

        Raises:
            StoreDamagedError: It is not there, or not what was written.
            StoreError: It cannot be opened.
        """
        return RocksStore.open_reading(self.path / entry.store, self._families)

    def add(self) -> Entry:
        """Begin another store of this set; the one that is being made already is given up, if nobody makes it."""
        with self._locked():
            listing = self.listing()
            number = max((int(entry.store) for entry in listing.stores), default=0) + 1
            while (self.path / str(number)).exists():
                number += 1
            entry = Entry(store=str(number), projections=dict(self._versions), complete=False)
            kept = tuple(each for each in listing.stores if each.complete or each.projections != self._versions)
            self._replace(Listing(stores=(*kept, entry)))
        self._sweep()
        return entry

    def finish(self, entry: Entry) -> Entry:
        """Let a store take the place of all older ones of the same projections."""
        finished = entry.model_copy(update={"complete": True})
        with self._locked():
            listing = self.listing()
            kept = tuple(
                each
                for each in listing.stores
                if each.store != entry.store
                and not (each.projections.keys() == self._versions.keys() and each.complete)
            )
            self._replace(Listing(stores=(*kept, finished)))
        self._sweep()
        return finished

    def remove(self, entry: Entry) -> None:
        """Give a store up: it is damaged."""
        with self._locked():
            listing = self.listing()
            self._replace(Listing(stores=tuple(each for each in listing.stores if each.store != entry.store)))
        self._sweep()

    def reset(self) -> None:
        """Begin with an empty list: the one that was there could not be read."""
        with self._locked():
            self._replace(Listing())
        self._sweep()

    def _newest(self, *, complete: bool) -> Entry | None:
        found = [
            entry
            for entry in self.listing().stores
            if entry.complete is complete and entry.projections == self._versions
        ]
        return max(found, key=lambda entry: int(entry.store), default=None)

    def _locked(self) -> "_Lock":
        return _Lock(self.path)

    def _replace(self, listing: Listing) -> None:
        try:
            handle, name = tempfile.mkstemp(dir=self.path, prefix=f"{FILE}.")
            with os.fdopen(handle, "wb") as file:
                file.write(listing.model_dump_json(indent=2).encode())
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path / FILE)
        except OSError as error:
            raise StoreError(f"the views in {self.path} cannot be written: {error.strerror}.") from error

    def _sweep(self) -> None:
        """Remove stores that are no longer listed and that nobody folds into."""
        listed = {entry.store for entry in self.listing().stores}
        for path in self.path.iterdir():
            if path.is_dir() and path.name.isdecimal() and path.name not in listed:
                with suppress(StoreError):
                    if not _in_use(path):
                        shutil.rmtree(path, ignore_errors=True)


class _Lock:
    """Holds the directory's list while it is changed, which takes no time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            self._lock = DirectoryLock(self._path)
        except OSError as error:
            raise StoreError(f"the views in {self._path} cannot be written: {error.strerror}.") from error
        except LogLockedError as error:
            raise StoreLockedError(
                f"expected nobody else to change the list of views in {self._path} now, but another process does.",
                hint="Try again.",
            ) from error

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _in_use(path: Path) -> bool:
    try:
        RocksStore.open(path, (), create=False).close()
    except StoreLockedError:
        return True
    except StoreError:
        # Damaged or cut: nobody folds into it.
        return False
    return False
