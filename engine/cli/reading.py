"""Opening a log to read it, beside whoever writes it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from engine.log.embedded import EmbeddedLog
from engine.log.port import Log


@asynccontextmanager
async def open_reading(directory: Path) -> AsyncIterator[Log]:
    """Open the log in a directory to read it.

    Raises:
        LogError: There is none, or it cannot be read.
    """
    log = await EmbeddedLog.open_reading(directory)
    try:
        yield log
    finally:
        await log.close()
