"""Reading what is known to be there."""

import asyncio
from collections.abc import Sequence

from engine.errors import LogError
from engine.limits import LOG_KNOWN_SECONDS_MAX
from engine.log.port import LogRecord, Reader


async def next_known(reader: Reader) -> Sequence[LogRecord]:
    """Return the next records, of which at least one was on the log a moment ago.

    An unclean election may have taken it away since, and a reader that stands before it does not notice: without a
    bound it would wait for ever for what does not come.

    Raises:
        LogError: Nothing came in `LOG_KNOWN_SECONDS_MAX`, or the log cannot be read.
    """
    try:
        async with asyncio.timeout(LOG_KNOWN_SECONDS_MAX):
            return await reader.next()
    except TimeoutError:
        raise LogError(
            f"expected records that were on the log, but within {LOG_KNOWN_SECONDS_MAX:.0f} s none came: "
            "they were lost, or no broker answers."
        ) from None
