"""What `executor` does: it executes runs until it is told to stop."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.cli.exit_codes import SUCCESS
from engine.cli.failures import ArgumentsError
from engine.cli.interruption import Interruptible, StoppedError
from engine.cli.logs import configure_logs
from engine.cli.options import EngineOptions
from engine.cli.output import printing_aside
from engine.cli.session import open_engine
from engine.log.errors import LogUnreachableError
from engine.registry import Registry
from engine.runs import RunViews
from engine.settings import Settings

_LOGGER = logging.getLogger("runline.cli")

_RETRY_SECONDS: Final = 1.0
"""Pause between two attempts to reach the brokers; each attempt is patient itself."""


def execute(options: EngineOptions, grace: float, views: Callable[[Path], RunViews] | None) -> int:
    """Execute runs until SIGTERM or Ctrl-C, or until this process can take part no more.

    Args:
        options: The command's.
        grace: Seconds that nodes under way get to end then.
        views: Makes the views that this process keeps fresh meanwhile from their directory, or None for no views.
    """
    output = options.output()
    configure_logs(verbose=options.verbose, service=True)
    settings = options.load().settings
    registry = options.registry()
    if registry is None:
        raise ArgumentsError(
            "Expected an application, which has the functions of the runs to execute.",
            hint="Name it with --app module:attribute.",
        )
    try:
        with printing_aside(as_json=options.json):
            return Interruptible().run(_execute(settings, registry, grace, views))
    except StoppedError as stopped:
        name = signal.Signals(stopped.signal).name
        _LOGGER.info("Stopped by %s; what has not ended goes on in other executors, or in the next one", name)
        output.document({"data": str(settings.data), "signal": name})
        return SUCCESS


async def _execute(
    settings: Settings, registry: Registry, grace: float, views: Callable[[Path], RunViews] | None
) -> int:
    while True:
        _LOGGER.info("Opening %s", settings.data)
        try:
            kept = None if views is None else views(settings.views)
            async with open_engine(settings, registry, executes=True, views=kept) as (engine, _):
                _LOGGER.info("Executing runs of %s in process %d", settings.data, os.getpid())
                if kept is not None:
                    _LOGGER.info("Keeping views fresh in %s", settings.views)
                try:
                    await engine.executing()
                except asyncio.CancelledError:
                    await engine.drain(grace)
                    raise
        except LogUnreachableError as error:
            _LOGGER.warning("%s Trying again", error)
        await asyncio.sleep(_RETRY_SECONDS)
