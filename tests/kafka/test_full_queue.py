"""A client whose queue is full lets records wait: they come later, in order, and nothing fails."""

import asyncio
import logging

import pytest

from engine.errors import LogError
from engine.log.kafka import KafkaLog
from engine.log.port import EVENTS, REJECTIONS, Record
from tests.kafka.engines import SECONDS, read_all
from tests.support.logs import new_location

QUEUE = {"queue.buffering.max.messages": "20"}
COUNT = 300


@pytest.fixture
async def full(broker: str) -> KafkaLog:
    """Return a log whose client takes twenty records at once."""
    return await KafkaLog.open(await new_location(broker), QUEUE)


def record(number: int) -> Record:
    return Record("run", b"%d" % number, {})


async def test_appends_wait_and_come_in_the_order_of_the_calls(
    full: KafkaLog, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "runline.kafka"):
        offsets = await asyncio.gather(*(full.append(REJECTIONS, 0, record(number)) for number in range(COUNT)))
    assert offsets == list(range(COUNT))
    assert [int(each.value) for each in await read_all(full, REJECTIONS)] == list(range(COUNT))
    assert "is full; waiting" in caplog.text
    await full.close()


@pytest.mark.parametrize("patient", [False, True])
async def test_what_is_sent_waits_and_comes_in_the_order_of_the_calls(full: KafkaLog, *, patient: bool) -> None:
    failures: list[LogError] = []
    for number in range(COUNT):
        full.send(EVENTS, 0, record(number), failures.append, patient=patient)
    seen: list[int] = []
    reader = full.reader(EVENTS, 0, 0)
    async with asyncio.timeout(SECONDS):
        while len(seen) < COUNT:
            seen += [int(each.value) for each in await reader.next()]
    assert seen == list(range(COUNT))
    assert failures == []
    await full.close()


async def test_what_nobody_waits_for_any_more_is_not_written(full: KafkaLog) -> None:
    appends = [asyncio.create_task(full.append(REJECTIONS, 0, record(number))) for number in range(COUNT)]
    await asyncio.sleep(0)
    waiting = {int(parcel.value) for parcel in full._sender._appends.waiting}
    assert len(waiting) > COUNT // 2
    for number, append in enumerate(appends):
        if number % 2:
            append.cancel()
    await asyncio.wait(appends)
    written = [int(each.value) for each in await read_all(full, REJECTIONS)]
    assert [number for number in written if number in waiting] == sorted(waiting - set(range(1, COUNT, 2)))
    assert full._sender._awaited == 0
    await full.close()


async def test_what_waits_when_the_log_is_closed_fails_and_nobody_waits_for_ever(full: KafkaLog) -> None:
    appends = [asyncio.create_task(full.append(REJECTIONS, 0, record(number))) for number in range(COUNT)]
    await asyncio.sleep(0)
    await full.close()
    outcomes = await asyncio.wait_for(asyncio.gather(*appends, return_exceptions=True), SECONDS)
    failed = [outcome for outcome in outcomes if isinstance(outcome, LogError)]
    assert failed
    assert len(failed) + sum(isinstance(outcome, int) for outcome in outcomes) == COUNT
