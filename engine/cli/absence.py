"""Saying that nobody executes runs, when that is what a command waits for."""

import asyncio
import logging
from contextlib import suppress
from typing import Final

from engine.errors import LogError
from engine.executor.executor import GROUP
from engine.settings import Settings

_LOGGER = logging.getLogger("runline.cli")

_PATIENCE_SECONDS: Final = 2.0
"""How long a command waits for its answer before it looks whether there is anybody to give it."""


async def mention_absence(settings: Settings) -> None:
    """Say so if no executor works on the log on Kafka after a while."""
    from engine.log.kafka import parse_location  # noqa: PLC0415 - whoever has no brokers need not wait for it to load
    from engine.log.kafka.admin import count_members  # noqa: PLC0415 - the same

    await asyncio.sleep(_PATIENCE_SECONDS)
    # Without an answer nobody knows; the log says what is wrong with the brokers.
    with suppress(LogError):
        if not await asyncio.to_thread(count_members, parse_location(str(settings.data)), settings.kafka, GROUP):
            _LOGGER.warning(
                "No executor works on %s; start one with `runline executor --app module:attribute`. Waiting for it.",
                settings.data,
            )
