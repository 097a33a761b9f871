"""A process that keeps the views: the real projector, on a simulated store."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.log.port import Log
from engine.store.port import Store
from projections import VIEWS, Projector
from projections.ended import FAMILY as ENDED
from projections.projection import family_name
from projections.projector import stopped
from tests.checkers import ViewDump
from tests.simulation.program import Program

if TYPE_CHECKING:
    from tests.simulation.world import World

_FAMILIES: Final = (ENDED, *(family_name(each.name, family) for each in VIEWS for family in each.families))
_ALL: Final = 10_000_000


class Keeper(Program):
    """Folds the log into the views of the world.

    Args:
        world: Where it runs.
        name: How the process is called.
        path: Where the views are.
        anew: Whether all is folded anew.
    """

    def __init__(self, world: "World", name: str, path: Path, *, anew: bool) -> None:
        super().__init__(world, name)
        self._path = path
        self._anew = anew
        self.projector: Projector | None = None

    async def work(self) -> None:
        """Fold."""
        async with Projector(self.log, self._path, anew=self._anew) as self.projector:
            await self.until_told()

    async def stops(self) -> bool:
        """Wait until all is folded, and return whether a partition is folded no further."""
        projector = self.projector
        assert projector is not None, "it has begun"
        await projector.caught_up()
        return bool(stopped(projector.positions))

    async def dump(self) -> ViewDump:
        """Wait until all is folded and return all rows.

        Raises:
            AssertionError: A partition is folded no further.
        """
        projector = self.projector
        assert projector is not None, "it has begun"
        await self.process.spawn(projector.caught_up())
        assert not stopped(projector.positions), f"views are folded no further: {projector.trouble}"
        return _dump(projector.store, "live")


async def dump_from_zero(log: Log, path: Path) -> ViewDump:
    """Fold a log that nobody writes any more into new views, and return all rows."""
    async with Projector(log, path) as projector:
        await projector.caught_up()
        return _dump(projector.store, "from zero")


def _dump(store: Store, origin: str) -> ViewDump:
    rows: Sequence[tuple[str, str, str]] = [
        (family, key.hex(), value.hex())
        for family in _FAMILIES
        for key, value in store.scan(family, b"", None, limit=_ALL)
    ]
    return ViewDump("all", origin, rows)
