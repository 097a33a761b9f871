"""The simulated log's hooks; what it shares with other logs is tested with them."""

import asyncio

import pytest

from engine.errors import ClosedError, LogError
from engine.log.errors import OffsetOutOfRangeError
from engine.log.port import COMMANDS, EVENTS, Ends, Record
from tests.simulation.log import SimulatedLog


def record(number: int) -> Record:
    return Record("run", b"%d" % number, {})


async def values(log: SimulatedLog) -> list[int]:
    ends = await log.ends(EVENTS, 0)
    return [int(one.value) for one in await log.read(EVENTS, 0, ends.start, 100)]


async def test_lost_records_never_land_and_unknown_ones_do_and_both_report_an_error() -> None:
    log = SimulatedLog()
    log.fail_next(EVENTS, 1, outcome="lost")
    log.fail_next(EVENTS, 2, outcome="unknown")
    errors: list[LogError] = []
    log.send(EVENTS, 0, record(0), errors.append)
    log.send(EVENTS, 0, record(1), errors.append)
    await log.append(COMMANDS, 0, record(9))
    assert len(errors) == 2
    with pytest.raises(LogError, match=r"planted.*unknown"):
        await log.append(EVENTS, 0, record(2))
    assert await log.append(EVENTS, 0, record(3)) == 2
    assert await values(log) == [1, 2, 3]


async def test_held_records_land_at_release_in_order_behind_what_landed_meanwhile() -> None:
    log = SimulatedLog()
    log.hold()
    appended = asyncio.ensure_future(log.append(EVENTS, 0, record(1)))
    await asyncio.sleep(0)
    log.send(EVENTS, 0, record(2), lambda _: None)
    await asyncio.sleep(0)
    assert [flight.record for flight in log.in_flight] == [record(1), record(2)]
    assert await log.ends(EVENTS, 0) == Ends(0, 0)
    assert log.land(EVENTS, 0, record(0)) == 0
    assert not appended.done()
    log.release()
    assert await appended == 1
    assert await values(log) == [0, 1, 2]
    assert not log.in_flight


async def test_a_record_that_lands_wakes_a_reader() -> None:
    log = SimulatedLog()
    waiting = asyncio.ensure_future(log.reader(EVENTS, 0, 0).next())
    await asyncio.sleep(0)
    log.land(EVENTS, 0, record(0))
    assert [one.value for one in await waiting] == [b"0"]


async def test_truncation_at_the_start_moves_it_and_stops_readers_that_are_behind() -> None:
    log = SimulatedLog()
    behind, ahead = log.reader(EVENTS, 0, 0), log.reader(EVENTS, 0, 3)
    for number in range(5):
        log.land(EVENTS, 0, record(number))
    log.truncate_before(EVENTS, 0, 2)
    assert await log.ends(EVENTS, 0) == Ends(2, 5)
    assert await values(log) == [2, 3, 4]
    with pytest.raises(OffsetOutOfRangeError, match="between 2 and 5, but found 0"):
        await behind.next()
    assert [one.offset for one in await ahead.next()] == [3, 4]
    assert log.land(EVENTS, 0, record(5)) == 5


async def test_truncation_at_the_end_gives_offsets_again_and_stops_readers_that_were_further() -> None:
    log = SimulatedLog()
    for number in range(5):
        log.land(EVENTS, 0, record(number))
    reader = log.reader(EVENTS, 0, 5)
    waiting = asyncio.ensure_future(reader.next())
    await asyncio.sleep(0)
    log.truncate_from(EVENTS, 0, 3)
    with pytest.raises(OffsetOutOfRangeError, match="between 0 and 3, but found 5"):
        await waiting
    assert log.land(EVENTS, 0, record(7)) == 3
    assert await values(log) == [0, 1, 2, 7]


async def test_clients_share_records_and_nothing_else() -> None:
    first = SimulatedLog(partitions=2)
    second = first.client()
    second.hold()
    second.fail_next(EVENTS, 1)
    reader = second.reader(EVENTS, 0, 0)
    waiting = asyncio.ensure_future(reader.next())
    assert await first.append(EVENTS, 0, record(0)) == 0
    assert [one.value for one in await waiting] == [b"0"]
    await first.close()
    assert await second.ends(EVENTS, 0) == Ends(0, 1)
    with pytest.raises(ClosedError):
        await first.ends(EVENTS, 0)


async def test_an_abandoned_client_writes_nothing_more_and_tells_nobody() -> None:
    log = SimulatedLog()
    other = log.client()
    told: list[LogError] = []
    log.send(EVENTS, 0, record(0), told.append)
    waiting = asyncio.ensure_future(log.reader(EVENTS, 0, 0).next())
    await asyncio.sleep(0)
    log.hold()
    log.send(EVENTS, 0, record(1), told.append)
    log.abandon()
    log.release()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0)
    assert told == []
    assert await values(other) == [0]


async def test_the_same_calls_give_the_same_log() -> None:
    async def once() -> list[tuple[int, int, bytes]]:
        ticks = iter(range(1000))
        log = SimulatedLog(clock=lambda: next(ticks))
        clients = [log, log.client(), log.client()]
        await asyncio.gather(*(clients[n % 3].append(EVENTS, 0, record(n)) for n in range(90)))
        return [(one.offset, one.timestamp, one.value) for one in await log.read(EVENTS, 0, 0, 100)]

    assert await once() == await once()
