"""Fold until the disk is full, make space, and check that folding goes on by itself and nothing is missing.

Run as a program with a directory, it does so under a limit on the size of files.
"""

import asyncio
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.log.port import EVENTS
from projections import Projector, ViewsNotReadyError
from tests.projections.folding import Rows, dump, fold
from tests.projections.forging import created, forge_runs, make_runs, moved_until
from tests.simulation.log import SimulatedLog

FILE_BYTES = 600 * 1024
RUNS = 1_500
MESSAGE_CHARACTERS = 2_000


async def fill(directory: Path, elsewhere: Path, make_space: Callable[[], object]) -> tuple[str, Rows]:
    """Fold more than there is room for; return what the trouble was, and the rows that were there at last."""
    log = SimulatedLog()
    runs = await make_runs(log, 5)
    async with Projector(log, directory) as projector:
        await projector.caught_up()
        assert projector.trouble == ""
        forge_runs(log, RUNS, [created("x" * MESSAGE_CHARACTERS)])
        log.partition(EVENTS, 0).wake()
        await moved_until(projector, lambda: projector.trouble != "")
        trouble = projector.trouble
        # Where it could not be opened again either, there is nothing to ask until there is space.
        with suppress(ViewsNotReadyError):
            rows = projector.store.scan("runs.rows", b"", None, limit=len(runs))
            assert len(rows) == len(runs), "what was folded is still there"
        make_space()
        await projector.caught_up()
        assert projector.trouble == ""
        rows_at_last = dump(projector.store)
    assert rows_at_last == await fold(log, elsewhere)
    return trouble, rows_at_last


if __name__ == "__main__":
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, hard))
    found, _rows = asyncio.run(
        fill(Path(sys.argv[1]), Path(sys.argv[2]), lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)))
    )
    print(found)
