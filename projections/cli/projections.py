"""`projections run` and `projections status`: keeps views fresh, and says how fresh they are."""

import asyncio
import logging
import signal
from collections.abc import Sequence
from typing import Final

from cyclopts import App
from rich.table import Table
from rich.text import Text

from engine.cli.exit_codes import RUN_FAILED, SUCCESS
from engine.cli.interruption import Interruptible, StoppedError
from engine.cli.logs import configure_logs
from engine.cli.options import VIEWS_OPTIONS, ViewsOptions
from engine.cli.output import Output
from engine.cli.reading import open_reading
from engine.cli.text import one_line
from engine.errors import LogDamagedError
from engine.limits import PARTITIONS_MAX
from engine.log.errors import LogUnreachableError
from engine.log.port import Log
from engine.settings import Settings
from engine.store.errors import StoreDamagedError
from projections.cli.catching_up import FoldingStuckError, catch_up
from projections.cli.freshness import Reach, read_reaches
from projections.directory import ViewsDirectory
from projections.errors import ViewsNotReadyError, damaged_views
from projections.origin import is_own
from projections.position import Position, another_topic, read_positions
from projections.projector import VIEWS, Projector

_LOGGER = logging.getLogger("runline.cli")

_RETRY_SECONDS: Final = 1.0
"""Pause between two attempts to reach the brokers; each attempt is patient itself."""

projections = App(name="projections", help_format="plaintext")


@projections.command
def run(*, options: ViewsOptions = VIEWS_OPTIONS) -> int:
    """Keep the views of a log fresh until SIGTERM or Ctrl-C. Works beside a running engine."""
    output = options.output()
    configure_logs(verbose=options.verbose, service=True)
    settings = options.load().settings
    try:
        return Interruptible().run(_run(settings, output))
    except StoppedError as stopped:
        name = signal.Signals(stopped.signal).name
        _LOGGER.info("Stopped by %s; what was folded is kept", name)
        output.document({"data": str(settings.data), "views": str(settings.views), "signal": name})
        return SUCCESS


@projections.command
def status(*, options: ViewsOptions = VIEWS_OPTIONS) -> int:
    """Print how far the views are folded, a line for each partition; exit code 1 when one is folded no further."""
    output = options.output()
    settings = options.load().settings

    async def work() -> int:
        async with open_reading(settings) as log:
            positions, complete = _positions(settings)
            found = await read_reaches(log, [await _judged(position, log) for position in positions])
        output.line(f"views in {settings.views}" + ("" if complete else ", being made"))
        output.draw(_table(found))
        output.document(
            {
                "directory": str(settings.views),
                "complete": complete,
                "partitions": [reach.data for reach in found],
            }
        )
        return RUN_FAILED if any(reach.position.stopped for reach in found) else SUCCESS

    return Interruptible().run(work())


async def _run(settings: Settings, output: Output) -> int:
    while True:
        try:
            async with open_reading(settings) as log, Projector(log, settings.views) as projector:
                await projector.require_own()
                _LOGGER.info("Folding %s into %s", settings.data, settings.views)
                while True:
                    await _keep_fresh(projector, output)
        except LogUnreachableError as error:
            _LOGGER.warning("%s Trying again", error)
        await asyncio.sleep(_RETRY_SECONDS)


async def _keep_fresh(projector: Projector, output: Output) -> None:
    """Catch up with the log and stay there until there is trouble, and wait until that is over.

    What the trouble is, and which partitions are folded no further, the projector says itself.
    """
    try:
        await catch_up(projector, output)
    except (FoldingStuckError, LogDamagedError):
        await projector.moved()
        return
    known = projector.trouble
    if known:
        _LOGGER.warning("The views are folded as far as they can be, %d records; %s", projector.progress[0], known)
    else:
        _LOGGER.info("The views are fresh, %d records", projector.progress[0])
    while projector.trouble == known:
        await projector.moved()


def _positions(settings: Settings) -> tuple[Sequence[Position], bool]:
    """Return how far the views are folded that are there, and whether they may be asked already."""
    directory = ViewsDirectory(settings.views, VIEWS)
    complete = directory.serving()
    entry = complete or directory.building()
    if entry is None:
        raise ViewsNotReadyError(
            f"expected views in {settings.views}, but there are none.",
            hint="Whoever asks them makes them; 'runline projections run' keeps them fresh.",
        )
    try:
        store = directory.open_reading(entry)
        try:
            return read_positions(store, PARTITIONS_MAX + 1), complete is not None
        finally:
            store.close()
    except StoreDamagedError as error:
        raise damaged_views(error) from error


async def _judged(position: Position, log: Log) -> Position:
    """Return a position, stopped where it is one of another log: this one will not be folded there."""
    if position.stopped is not None or await is_own(position, log):
        return position
    return position.stop(another_topic(position, await log.topic_id(position.topic)))


def _table(found: Sequence[Reach]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("partition", no_wrap=True)
    for name in ("position", "end", "behind"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("stopped", overflow="fold")
    for reach in found:
        position = reach.position
        table.add_row(
            Text(reach.name),
            Text(str(position.offset)),
            Text(str(reach.end)),
            Text(str(reach.behind)),
            Text("" if position.stopped is None else one_line(f"{position.stopped}: {position.message}"), style="red"),
        )
    return table
