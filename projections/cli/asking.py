"""Opening the views of a log to ask them: they are made fresh first, by this process unless another one folds them."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from engine.cli.output import Output
from engine.cli.reading import open_reading
from engine.errors import LogDamagedError, RunlineError
from engine.limits import FOLLOW_SECONDS, VIEWS_FRESH_SECONDS
from engine.log.port import Log
from engine.settings import Settings
from engine.store.errors import StoreError
from projections.cli.catching_up import FoldingStuckError, catch_up
from projections.cli.freshness import Reach, reaches, read_ends, read_reaches, to_records
from projections.directory import ViewsDirectory
from projections.errors import ViewsError, ViewsLockedError, ViewsNotReadyError
from projections.origin import require_own
from projections.projector import VIEWS, Projector
from projections.views import Views

_LOGGER: Final = logging.getLogger("runline.cli")

_STILL_SECONDS: Final = 2.0
"""How long views may stand still that another process folds; then they are taken as they are."""
_REPLACED_SECONDS: Final = 0.3
"""The same while others are made that will take their place: whoever makes those folds nothing into these, mostly."""
_DRAWING_SECONDS: Final = 0.125
"""How long at least what is shown stands before it is shown anew."""
_ANOTHER_SECONDS: Final = 1.0
"""How often who watches looks anew though nothing moved: durations grow, and whoever folded the views may have gone."""
OTHER_DIRECTORY: Final = "Name another directory with --views DIR."


class AskedViews:
    """The views of a log, as fresh as they can be had.

    Use `open_views`.

    Attributes:
        log: The log.
        directory: The directory of the views.
    """

    def __init__(self, log: Log, directory: Path, output: Output) -> None:
        self.log = log
        self.directory = directory
        self._output = output
        self._source = AsyncExitStack()
        self._views: Views | None = None
        self._projector: Projector | None = None
        self._folds = True
        self._look_due = 0.0

    @property
    def views(self) -> Views:
        """The views; what was asked before may be answered from others now."""
        assert self._views is not None, "the views were opened"
        return self._views

    async def freshen(self) -> None:
        """Wait until the views show what the log has now, or nobody brings them any further.

        Raises:
            ViewsNotReadyError: Another process makes them, and has not come to the end yet.
            ViewsError: They are of another log, or of a newer version.
            StoreError: They cannot be read or written.
            LogError: The log cannot be read.
        """
        ends = await read_ends(self.log)
        now = time.monotonic()
        deadline, still_since, folded, looked = now + VIEWS_FRESH_SECONDS, now, -1, False
        while True:
            missing = await self._open()
            if self._projector is not None and await self._catch_up(self._projector):
                return
            now = time.monotonic()
            if self._views is not None:
                await self._require_own()
                found = reaches(await self._views.positions(), ends)
                if all(not reach.behind or reach.position.stopped is not None for reach in found):
                    return
                if (count := sum(reach.position.offset for reach in found)) != folded:
                    folded, still_since, looked = count, now, False
                elif not looked:
                    looked = True
                    ends = {reach.place: reach.end for reach in await to_records(self.log, found)}
                if not self._folds or now - still_since > self._patience():
                    return
            if now > deadline:
                break
            await asyncio.sleep(FOLLOW_SECONDS)
        if missing is not None:
            raise missing

    def _patience(self) -> float:
        """Return for how many seconds views may stand still before they are taken as they are."""
        try:
            made = ViewsDirectory(self.directory, VIEWS).building()
        except ViewsError:
            made = None
        return _STILL_SECONDS if made is None else _REPLACED_SECONDS

    async def moved(self) -> None:
        """Wait until the views may have changed, or a second is over.

        Raises:
            RunlineError: They cannot be made fresh any more.
        """
        if self._projector is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_ANOTHER_SECONDS):
                    await self._projector.moved()
            await asyncio.sleep(_DRAWING_SECONDS)
            return
        await asyncio.sleep(_DRAWING_SECONDS)
        if self._folds and time.monotonic() > self._look_due:
            self._look_due = time.monotonic() + _ANOTHER_SECONDS
            await self._open()

    async def reaches(self) -> list[Reach]:
        """Return how far each partition is folded, beside where the log ends now."""
        return await read_reaches(self.log, await self.views.positions())

    async def warn(self) -> None:
        """Say what the views do not show."""
        found = await self.reaches()
        for reach in found:
            if reach.position.stopped is not None and self._projector is None:
                # A projector of this process has said so itself.
                _LOGGER.warning("%s is folded no further: %s", reach.name, reach.position.message)
        behind = sum(reach.behind for reach in found if reach.position.stopped is None)
        if behind and self._projector is None:
            _LOGGER.warning("The views in %s are %d records behind the log", self.directory, behind)

    async def data(self) -> dict[str, object]:
        """Return as JSON data where the views are and how far they reach."""
        return {"directory": str(self.directory), "partitions": [reach.data for reach in await self.reaches()]}

    async def close(self) -> None:
        """Let go of the views."""
        await self._source.aclose()

    async def _open(self) -> ViewsNotReadyError | None:
        """Fold the views from now on, or read them beside whoever does; return why neither can be done yet."""
        if self._projector is not None or not self._folds:
            return None
        try:
            source = AsyncExitStack()
            projector = await source.enter_async_context(Projector(self.log, self.directory))
        except ViewsLockedError:
            try:
                await self._read_beside()
            except ViewsNotReadyError as error:
                return error
        except StoreError as error:
            await self._read_instead(error)
        else:
            await self._source.aclose()
            self._source, self._projector, self._views = source, projector, Views.of(projector)
        return None

    async def _read_beside(self) -> None:
        if self._views is None:
            self._views = await self._source.enter_async_context(Views.open(self.directory))

    async def _read_instead(self, why: RunlineError) -> None:
        """Read what there is, because the views cannot be written."""
        try:
            await self._read_beside()
        except (ViewsError, StoreError) as error:
            if not isinstance(why, LogDamagedError):
                why.hint = OTHER_DIRECTORY
            raise why from error
        self._folds = False
        _LOGGER.warning("%s What they show may be older than the log", why)

    async def _catch_up(self, projector: Projector) -> bool:
        """Fold all that there is, and return whether that could be done."""
        try:
            await catch_up(projector, self._output)
        except (FoldingStuckError, LogDamagedError) as error:
            self._projector = self._views = None
            await self._source.aclose()
            await self._read_instead(error)
            return False
        await self._require_own()
        return True

    async def _require_own(self) -> None:
        """Refuse the views of another log: what they show is not what was asked for.

        Raises:
            ViewsError: They are of another one.
        """
        await require_own(await self.views.positions(), self.log, self.directory)


@asynccontextmanager
async def open_views(settings: Settings, output: Output) -> AsyncIterator[AskedViews]:
    """Open the log that the settings name and its views, made fresh; say so where they cannot be.

    Args:
        settings: Where the log and its views are.
        output: What the command prints on.

    Raises:
        ViewsNotReadyError: Another process makes the views, and has not come to the end yet.
        ViewsError: They are of another log, or of a newer version.
        StoreError: They cannot be read or written.
        LogError: There is no log, or it cannot be read.
    """
    async with open_reading(settings) as log:
        asked = AskedViews(log, settings.views, output)
        try:
            await asked.freshen()
            await asked.warn()
            yield asked
        finally:
            await asked.close()
