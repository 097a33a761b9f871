"""One process that writes an embedded log and one that reads it, as the two hands of one log."""

import asyncio
from collections.abc import Callable, Sequence

from engine.errors import LogError
from engine.log.embedded import EmbeddedLog, EmbeddedReader, ReadOnlyLog
from engine.log.port import Ends, LogRecord, Member, Owner, Record
from engine.log.scanning import scan_by_reading


async def at_once(_seconds: float) -> None:
    """Stand for a sleep between two looks at a log: let everybody else run once."""
    await asyncio.sleep(0)


class Beside:
    """Writes with the writer, and reads and follows with a log that was opened for reading beside it."""

    def __init__(self, writer: EmbeddedLog, reading: ReadOnlyLog) -> None:
        self._writer = writer
        self._reading = reading

    @property
    def shared(self) -> bool:
        return self._reading.shared

    @property
    def indexed(self) -> bool:
        return self._reading.indexed

    @property
    def trouble(self) -> str:
        return self._reading.trouble

    @property
    def partitions(self) -> int:
        return self._reading.partitions

    async def topic_id(self, topic: str) -> str:
        found = await self._reading.topic_id(topic)
        assert found == await self._writer.topic_id(topic)
        return found

    async def append(self, topic: str, partition: int, record: Record) -> int:
        return await self._writer.append(topic, partition, record)

    def send(
        self,
        topic: str,
        partition: int,
        record: Record,
        failed: Callable[[LogError], None],
        *,
        patient: bool = False,
    ) -> None:
        self._writer.send(topic, partition, record, failed, patient=patient)

    async def ends(self, topic: str, partition: int) -> Ends:
        await self._reading.refresh()
        return await self._reading.ends(topic, partition)

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        await self._reading.refresh()
        return await self._reading.read(topic, partition, offset, count)

    async def scan(
        self, topic: str, partition: int, start: int, end: int, take: Callable[[Sequence[LogRecord]], None]
    ) -> None:
        """Hand over the records from `start` to before `end`, in order."""
        await scan_by_reading(self, topic, partition, start, end, take)

    async def read_key(self, topic: str, partition: int, key: str) -> Sequence[LogRecord]:
        await self._reading.refresh()
        return await self._reading.read_key(topic, partition, key)

    async def first_after(self, topic: str, partition: int, milliseconds: int) -> int:
        return await self._reading.first_after(topic, partition, milliseconds)

    async def join(self, group: str, owner: Owner) -> Member:
        return await self._writer.join(group, owner)

    def reader(self, topic: str, partition: int, offset: int) -> EmbeddedReader:
        return self._reading.reader(topic, partition, offset)

    async def close(self) -> None:
        await self._writer.close()
        await self._reading.close()
