"""The views that a replay compares with, as they are at one moment, beside whoever folds them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from engine.limits import PARTITIONS_MAX
from engine.log.port import Log
from engine.store.errors import StoreDamagedError, StoreError
from engine.store.port import Store
from projections.directory import ViewsDirectory
from projections.errors import ViewsNotReadyError, damaged_views
from projections.origin import require_own
from projections.position import Position, read_positions
from projections.projection import Projection

_TRIES: Final = 3
"""How often the views are opened that were replaced, or opened anew by whoever folds them, just then."""


class LiveViews(NamedTuple):
    """Views at one moment.

    Attributes:
        store: What they hold.
        positions: How far each partition is folded into them.
    """

    store: Store
    positions: Sequence[Position]

    async def require_own(self, log: Log) -> None:
        """Refuse the views of another log.

        Raises:
            ViewsError: They are of another one.
        """
        await require_own(self.positions, log, self.store.directory.parent)


@contextmanager
def open_live(path: Path, projections: Sequence[Projection]) -> Iterator[LiveViews]:
    """Open the views of a directory; what is written to them later is not seen.

    Args:
        path: The directory.
        projections: The set whose views are wanted.

    Raises:
        ViewsNotReadyError: There are none of this set with these versions that may be asked.
        ViewsError: The directory is of a newer version, or damaged.
        StoreError: They cannot be read.
    """
    try:
        store = _open(ViewsDirectory(path, projections))
    except StoreDamagedError as error:
        raise damaged_views(error) from error
    try:
        yield LiveViews(store, read_positions(store, PARTITIONS_MAX + 1))
    except StoreDamagedError as error:
        # What is replayed into is a store, too.
        raise (damaged_views(error) if str(store.directory) in error.args[0] else error) from error
    finally:
        store.close()


def _open(directory: ViewsDirectory) -> Store:
    for tries in range(_TRIES):
        entry = directory.serving()
        if entry is None:
            raise ViewsNotReadyError(_why(directory), hint="Make them with: runline rebuild.")
        try:
            return directory.open_reading(entry)
        except StoreError:
            if tries == _TRIES - 1:
                raise
    raise AssertionError("the last try returns or raises")


def _why(directory: ViewsDirectory) -> str:
    if directory.building() is not None:
        return f"the views in {directory.path} are being made."
    others = [
        ", ".join(f"{name} {version}" for name, version in sorted(entry.projections.items()))
        for entry in directory.listing().stores
        if entry.complete
    ]
    if others:
        return f"the views in {directory.path} were folded by other versions of the projections: {'; '.join(others)}."
    return f"there are no views in {directory.path}."
