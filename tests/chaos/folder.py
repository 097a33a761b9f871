"""A process that folds the log into views: LOCATION VIEWS. Told to leave, it first catches up."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import projections.partition_fold
from engine.log.kafka import KafkaLog, parse_location
from projections import Projector
from tests.chaos.roles import PROPERTIES, work

_BATCH_RECORDS = 20
"""Smaller than in use, so that kills come between batches and within them."""


def main(words: Sequence[str]) -> int:
    """Fold until SIGTERM."""
    location, views = words
    vars(projections.partition_fold)["PROJECTION_BATCH_RECORDS"] = _BATCH_RECORDS

    async def fold(leaving: asyncio.Event) -> None:
        log = await KafkaLog.open(parse_location(location), PROPERTIES)
        async with Projector(log, Path(views)) as projector:
            await leaving.wait()
            await projector.caught_up()
        await log.close()

    return work(fold)
