"""What one reader leaves behind in a lane concerns no other."""

import asyncio

from engine.limits import TAIL_RECORDS_MAX
from engine.log.kafka import KafkaLog
from engine.log.port import EVENTS, Record
from tests.support.logs import open_kafka

COUNT = 3 * TAIL_RECORDS_MAX


async def fill(log: KafkaLog) -> None:
    failures: list[object] = []
    for number in range(COUNT):
        log.send(EVENTS, 0, Record("run", b"%d" % number, {}), failures.append)
        if number % 500 == 0:
            await asyncio.sleep(0)
    await log.append(EVENTS, 0, Record("last", b"", {}))
    assert not failures


async def test_a_reader_that_was_held_back_when_it_was_closed_holds_no_other_back(broker: str) -> None:
    log = await open_kafka(broker)
    await fill(log)
    slow = log.reader(EVENTS, 0, 0)
    async with asyncio.timeout(60):
        await slow.next()
        while not slow._held:  # noqa: ASYNC110 - nothing tells a test of it
            await asyncio.sleep(0.01)
        slow.close()
        following, seen = log.reader(EVENTS, 0, 0), 0
        while seen <= COUNT:
            seen += len(await following.next())
    await log.close()


async def test_a_slow_reader_is_held_back_and_misses_nothing(broker: str) -> None:
    log = await open_kafka(broker)
    await fill(log)
    reader, seen, held = log.reader(EVENTS, 0, 0), 0, False
    async with asyncio.timeout(60):
        while seen <= COUNT:
            seen += len(await reader.next())
            held = held or reader._held
            assert reader._records <= 2 * TAIL_RECORDS_MAX
            if seen < TAIL_RECORDS_MAX:
                await asyncio.sleep(0.05)
    assert held
    await log.close()
