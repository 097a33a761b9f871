"""Catching up with the log, shown as long work when it takes longer than a moment."""

import asyncio
import time
from typing import Final

from engine.cli.long_work import LongWork, long_work
from engine.cli.output import Output
from engine.limits import VIEWS_FRESH_SECONDS
from projections.cli.damage import damage_named
from projections.errors import ViewsError
from projections.projector import Projector

_MOMENT_SECONDS: Final = 0.5
"""Catching up that takes no longer is not worth a word."""
_STORE_SECONDS: Final = 2.0
"""How long the store may be unusable: a damaged one is made anew at once, a full one stays full."""


class FoldingStuckError(ViewsError):
    """Nothing was folded for a while, though there is something to fold."""

    code = "folding_stuck"


async def catch_up(projector: Projector, output: Output) -> None:
    """Fold all that the log has now, except in partitions that are folded no further.

    Args:
        projector: Folds.
        output: What the command prints on.

    Raises:
        FoldingStuckError: It does not go on, for want of space or of the log.
        LogDamagedError: It cannot go on, because the log is damaged.
        StoreError: The store cannot be used.
        LogError: The log cannot be read.
    """
    shown = _Shown(projector)
    catching_up = asyncio.create_task(projector.caught_up(shown.moved))
    try:
        await asyncio.wait({catching_up}, timeout=_MOMENT_SECONDS)
        with damage_named():
            if not catching_up.done():
                with long_work(output, "folding the log") as shown.work:
                    shown.moved()
                    await catching_up
            await catching_up
    finally:
        catching_up.cancel()
        await asyncio.gather(catching_up, return_exceptions=True)


class _Shown:
    """Hands on how far a projector is, and notices when it does not go on."""

    def __init__(self, projector: Projector) -> None:
        self.work: LongWork | None = None
        self._projector = projector
        self._done = -1
        self._since = time.monotonic()

    def moved(self) -> None:
        done, total = self._projector.progress
        patience = VIEWS_FRESH_SECONDS if self._projector.positions else _STORE_SECONDS
        if done > self._done:
            self._done, self._since = done, time.monotonic()
        elif self._projector.trouble and time.monotonic() - self._since > patience:
            raise FoldingStuckError(f"the views cannot be made fresh: {self._projector.trouble}")
        if self.work is not None:
            self.work.total = total
            self.work.advance(max(0, done - self.work.done))
