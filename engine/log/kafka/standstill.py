"""Standstill: a client that gives its reader nothing although the partition has more, and will not go on by itself.

The client library comes to that now and then, after brokers were away or partitions moved, with an assignment made by
hand: https://github.com/confluentinc/librdkafka/issues/5153. A new client reads where the old one stood.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from engine.errors import LogError
from engine.limits import KAFKA_STANDSTILL_SECONDS, KAFKA_TAKE_RECORDS
from engine.log.errors import LogUnreachableError
from engine.log.kafka.reader import KafkaReader
from engine.log.port import LogRecord


class Read(Protocol):
    """Reads records by another client than that of a reader."""

    def __call__(self, topic: str, partition: int, offset: int, count: int, /) -> Awaitable[Sequence[LogRecord]]:
        """Return up to `count` records from `offset` on, none at the end."""
        ...


class _Seen(NamedTuple):
    """What was seen of a reader that waits.

    Attributes:
        offset: What it waits for.
        there: Whether the partition had it.
    """

    offset: int
    there: bool


class Standstill:
    """Looks at readers from time to time, and tells of those that wait for what has long been there.

    Args:
        readers: Returns the readers.
        read: Reads without them.
        found: Called with a reader whose client stands still.
    """

    def __init__(
        self, readers: Callable[[], Iterable[KafkaReader]], read: Read, found: Callable[[KafkaReader], None]
    ) -> None:
        self._readers = readers
        self._read = read
        self._found = found
        self._seen: dict[KafkaReader, _Seen] = {}

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(KAFKA_STANDSTILL_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Look once. Whoever is told of had the time from one look to the next for what was there at the first."""
        before, self._seen = self._seen, {}
        waiting = {reader: reader.offset for reader in self._readers() if reader.waiting}
        for reader, offset in waiting.items():
            seen = before.get(reader)
            if seen is None or seen.offset != offset:
                # Something came, so its client works; whether more is there need not be asked.
                self._seen[reader] = _Seen(offset, there=False)
            elif seen.there:
                self._found(reader)
            else:
                try:
                    there = bool(await self._read(reader.topic, reader.partition, offset, KAFKA_TAKE_RECORDS))
                except LogUnreachableError:
                    return  # nobody can be expected to read
                except LogError:
                    continue  # the reader's own client will say so
                self._seen[reader] = _Seen(offset, there)
