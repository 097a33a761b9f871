"""Scanning a log that hands out stretches quickly enough: one after the other, in the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from engine.log.port import LogRecord

_AT_ONCE: Final = 500


class Readable(Protocol):
    """What is asked of the log."""

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        """Return up to `count` records from `offset` on, fewer at the end."""
        ...


async def scan_by_reading(  # noqa: PLR0917 - those of `Log.scan`, with the log in front
    log: Readable, topic: str, partition: int, start: int, end: int, take: Callable[[Sequence[LogRecord]], None]
) -> None:
    """Hand over the records from `start` to before `end`, in order; see `Log.scan`."""
    while start < end:
        records = await log.read(topic, partition, start, min(_AT_ONCE, end - start))
        if not records:
            # Where offsets are left out at the end, as Kafka may, there is nothing more to hand over.
            return
        take(records)
        start = records[-1].offset + 1
        await asyncio.sleep(0)
