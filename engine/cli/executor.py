"""`executor`: executes runs until it is told to stop."""

import asyncio
import logging
import os
import signal
from typing import Final

from engine.cli.exit_codes import SUCCESS
from engine.cli.failures import ArgumentsError
from engine.cli.interruption import Interruptible, StoppedError
from engine.cli.logs import configure_logs
from engine.cli.options import ENGINE_OPTIONS, EngineOptions
from engine.cli.session import open_engine
from engine.log.errors import LogUnreachableError
from engine.registry import Registry
from engine.settings import Settings

_LOGGER = logging.getLogger("runline.cli")

_RETRY_SECONDS: Final = 1.0
"""Pause between two attempts to reach the brokers; each attempt is patient itself."""


def executor(*, options: EngineOptions = ENGINE_OPTIONS) -> int:
    """Execute runs until SIGTERM or Ctrl-C; on Kafka any number of executors share the work."""
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
        return Interruptible().run(_execute(settings, registry))
    except StoppedError as stopped:
        name = signal.Signals(stopped.signal).name
        _LOGGER.info("Stopped by %s; what has not ended goes on in other executors, or in the next one", name)
        output.document({"data": str(settings.data), "signal": name})
        return SUCCESS


async def _execute(settings: Settings, registry: Registry) -> int:
    while True:
        _LOGGER.info("Opening %s", settings.data)
        try:
            async with open_engine(settings, registry, executes=True):
                _LOGGER.info("Executing runs of %s in process %d", settings.data, os.getpid())
                await asyncio.Event().wait()
        except LogUnreachableError as error:
            _LOGGER.warning("%s Trying again", error)
        await asyncio.sleep(_RETRY_SECONDS)
