"""What all workers have in common."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable

from engine.errors import LogError

CANNOT_BEGIN = 75
"""The exit code of a worker that found no brokers when it began: whoever keeps it starts it again."""
SESSION_SECONDS = 2.0
"""A member of a group that says nothing for so long is replaced."""
PROPERTIES = {
    "session.timeout.ms": str(int(SESSION_SECONDS * 1000)),
    "heartbeat.interval.ms": "200",
    # A record whose outcome is unknown becomes known to be so while the brokers are still away.
    "message.timeout.ms": "4000",
    "socket.timeout.ms": "3000",
}


def work(main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run until SIGTERM has set the event and all is over; return the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=f"%(asctime)s {os.getpid()} %(name)s %(message)s")

    async def run() -> None:
        leaving = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
        await main(leaving)

    try:
        asyncio.run(run())
    except LogError:
        logging.getLogger("chaos").exception("Cannot begin")
        return CANNOT_BEGIN
    return 0
