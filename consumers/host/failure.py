"""Why a host cannot go on: said once, and to everybody who waits for it."""

import asyncio
import logging

from engine.errors import RunlineError

_LOGGER = logging.getLogger("runline.follow")


class Failure:
    """What has ended a host, if anything has; the first reason stands. Made in the host's event loop.

    Attributes:
        reason: Gets the reason as its exception; cancelled when there will be none.
    """

    def __init__(self) -> None:
        self.reason: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def say(self, error: BaseException) -> None:
        """Let everybody hear of a reason."""
        if self.reason.done():
            return
        self.reason.set_exception(error)
        # Whoever does not wait for the failure reads of it here.
        self.reason.exception()
        if isinstance(error, RunlineError):
            _LOGGER.error("The host cannot go on: %s", error)
        else:
            _LOGGER.error("The host cannot go on", exc_info=error)

    def close(self) -> None:
        """Let nobody wait any more: without a reason until now there will be none."""
        self.reason.cancel()
