"""Opening an engine, or a log to write, with the settings of a command."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from engine.cli.absence import mention_absence
from engine.errors import LogError
from engine.log.opening import open_log as open_at
from engine.log.port import Log
from engine.progress import ProgressService
from engine.registry import Registry
from engine.runs import RunViews
from engine.service import EngineService
from engine.settings import Settings


@asynccontextmanager
async def open_log(settings: Settings) -> AsyncIterator[Log]:
    """Open the log that the settings name, for writing.

    Raises:
        LogLockedError: Another process has the directory open.
        TopicsError: The topics are missing or not as they must be; the text is the plan.
        LogError: The log cannot be opened.
    """
    log = await open_at(settings.data, settings.durability, settings.kafka)
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
    executes: bool,
    makes_log: bool = False,
    views: RunViews | None = None,
) -> AsyncIterator[tuple[EngineService, Log]]:
    """Open the log and an engine on it.

    Args:
        settings: Where and how.
        registry: The application's, or None: then nodes whose function is not known here wait.
        progress_services: Called with every change.
        executes: Whether this process executes runs of a log that others may execute; those of an embedded log it does.
        makes_log: Whether to make the log where there is none; otherwise that is a mistake in the directory's name.
        views: Kept fresh while the engine is open, or None.

    Raises:
        LogLockedError: Another process has the directory open.
        TopicsError: The topics are missing or not as they must be; the text is the plan.
        LogError: The log cannot be opened.
        RunlineError: The views cannot be folded.
    """
    if isinstance(settings.data, Path) and not makes_log:
        _require_log(settings.data)
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_log(settings))
        engine = EngineService.open(
            log,
            registry,
            progress_services=progress_services,
            executor=executes,
            views=views,
            nodes_running_max=settings.nodes_running_max,
            nodes_running_per_workflow_max=settings.nodes_running_per_workflow_max,
        )
        await stack.enter_async_context(engine)
        if log.shared and not executes:
            mentioning = asyncio.create_task(mention_absence(settings))
            stack.callback(mentioning.cancel)
        yield engine, log


def _require_log(directory: Path) -> None:
    if not directory.is_dir():
        raise LogError(
            f"expected an embedded log in {directory}, but there is none.",
            hint="Name the directory of a log with --data; `runline run` and `runline publish` make one.",
        )
