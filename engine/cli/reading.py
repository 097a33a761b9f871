"""Opening a log to read it, beside whoever writes it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.log.embedded import EmbeddedLog
from engine.log.opening import is_kafka, open_log
from engine.log.port import Log
from engine.settings import Settings


@asynccontextmanager
async def open_reading(settings: Settings) -> AsyncIterator[Log]:
    """Open the log that the settings name to read it.

    Raises:
        LogError: There is none, or it cannot be read.
    """
    log = (
        await open_log(settings.data, settings.durability, settings.kafka)
        if is_kafka(settings.data)
        else await EmbeddedLog.open_reading(settings.data)
    )
    try:
        yield log
    finally:
        await log.close()
