"""A client that gives its reader nothing although more is there: a new one takes its place, and only then."""

import asyncio

import pytest
from confluent_kafka import TopicPartition

from engine.errors import LogError
from engine.log.kafka import KafkaLog
from engine.log.kafka.reader import KafkaReader
from engine.log.port import EVENTS, Record
from tests.support.logs import open_kafka

SECONDS = 60
FIRST, SECOND = 0, 1


def record(text: str) -> Record:
    return Record("run", text.encode(), {})


async def stand_still(log: KafkaLog, reader: KafkaReader) -> None:
    """Let the client of a reader fetch nothing any more, as it sometimes does by itself."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    lane = log._readers[reader]

    def stop() -> None:
        lane._consumer.pause([TopicPartition(reader.topic, reader.partition)])
        loop.call_soon_threadsafe(stopped.set)

    lane._orders.append(stop)
    await stopped.wait()


async def begun(reader: KafkaReader) -> "asyncio.Task[object]":
    """Wait for the next records in a task, and return it when it waits."""
    task: asyncio.Task[object] = asyncio.create_task(reader.next())
    await asyncio.sleep(0)
    assert reader.waiting
    return task


async def test_readers_of_a_client_that_stands_still_fail_and_read_on_with_a_new_one(broker: str) -> None:
    log = await open_kafka(broker, 2)
    async with asyncio.timeout(SECONDS):
        await log.append(EVENTS, FIRST, record("a"))
        reader, other = log.reader(EVENTS, FIRST, 0), log.reader(EVENTS, SECOND, 0)
        assert [each.value for each in await reader.next()] == [b"a"]
        lane = log._readers[reader]
        assert log._readers[other] is lane
        await stand_still(log, reader)
        tasks = [await begun(reader), await begun(other)]
        await log.append(EVENTS, FIRST, record("b"))
        for _ in range(3):
            await log._standstill.look()
        for task in tasks:
            with pytest.raises(LogError, match=r"go on reading .*\.events/0 at offset 1, but the client stands still"):
                await task
        for each in (reader, other):
            each.close()
        again = log.reader(EVENTS, FIRST, 1)
        assert log._readers[again] is not lane
        assert [each.value for each in await again.next()] == [b"b"]
    await log.close()


async def test_a_reader_that_has_all_or_is_slow_itself_is_left_in_peace(broker: str) -> None:
    log = await open_kafka(broker, 2)
    async with asyncio.timeout(SECONDS):
        quiet, slow = log.reader(EVENTS, FIRST, 0), log.reader(EVENTS, SECOND, 0)
        task = await begun(quiet)
        await log.append(EVENTS, SECOND, record("a"))
        assert [each.value for each in await slow.next()] == [b"a"]
        await log.append(EVENTS, SECOND, record("b"))
        lane = log._readers[slow]
        for _ in range(5):
            await log._standstill.look()
        assert not task.done()
        assert log._lanes == [lane]
        assert [each.value for each in await slow.next()] == [b"b"]
        await log.append(EVENTS, FIRST, record("c"))
        assert await task
    await log.close()


async def test_what_came_between_two_looks_is_no_standstill(broker: str) -> None:
    log = await open_kafka(broker)
    async with asyncio.timeout(SECONDS):
        reader = log.reader(EVENTS, FIRST, 0)
        for number in range(4):
            task = await begun(reader)
            await log._standstill.look()
            await log.append(EVENTS, FIRST, record(str(number)))
            await task
        task = await begun(reader)
        await log._standstill.look()
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await log.close()
