"""Opening an engine, or a log to read, with the settings of a command."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from engine.errors import LogError
from engine.log.embedded import EmbeddedLog
from engine.log.port import Log
from engine.progress import ProgressService
from engine.registry import Registry
from engine.service import EngineService
from engine.settings import Settings


@asynccontextmanager
async def open_log(settings: Settings) -> AsyncIterator[Log]:
    """Open the log for writing.

    Raises:
        LogLockedError: Another process has the directory open.
        LogError: The log cannot be opened.
    """
    log = await EmbeddedLog.open(settings.data, durability=settings.durability)
    try:
        yield log
    finally:
        await log.close()


@asynccontextmanager
async def open_engine(
    settings: Settings,
    registry: Registry | None,
    progress_services: Sequence[ProgressService] = (),
    *,
    makes_log: bool = False,
) -> AsyncIterator[tuple[EngineService, Log]]:
    """Open the log and an engine on it.

    Args:
        settings: Where and how.
        registry: The application's, or None: then nodes whose function is not known here wait.
        progress_services: Called with every change.
        makes_log: Whether to make the log where there is none; otherwise that is a mistake in the directory's name.

    Raises:
        LogLockedError: Another process has the directory open.
        LogError: The log cannot be opened.
    """
    if not makes_log:
        _require_log(Path(settings.data))
    async with (
        open_log(settings) as log,
        EngineService.open(
            log,
            registry,
            progress_services=progress_services,
            nodes_running_max=settings.nodes_running_max,
            nodes_running_per_workflow_max=settings.nodes_running_per_workflow_max,
        ) as engine,
    ):
        yield engine, log


def _require_log(directory: Path) -> None:
    if not directory.is_dir():
        raise LogError(
            f"expected an embedded log in {directory}, but there is none.",
            hint="Name the directory of a log with --data; `runline run` and `runline publish` make one.",
        )
