"""Doing what must be done, however long it cannot be done."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from engine.errors import ClosedError, RunlineError
from engine.limits import FENCE_RETRY_SECONDS_MAX, FENCE_RETRY_SECONDS_MIN
from engine.ports import Clock

_LOGGER = logging.getLogger("runline.follow")

R = TypeVar("R")


async def persist(who: str, clock: Clock, work: Callable[[], Awaitable[R]]) -> R:
    """Do something with the log or the store; while that cannot be done, try again: nothing may be left out.

    Args:
        who: What has to wait meanwhile, for people.
        clock: Waits between the attempts.
        work: What is to be done.

    Raises:
        ClosedError: It will never be done.
    """
    delay = FENCE_RETRY_SECONDS_MIN
    while True:
        try:
            return await work()
        except ClosedError:
            raise
        except RunlineError as error:
            _LOGGER.error("%s: %s; trying again", who, error)  # noqa: TRY400 - the text says it all
        await clock.sleep(delay)
        delay = min(2 * delay, FENCE_RETRY_SECONDS_MAX)
