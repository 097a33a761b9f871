"""What every adapter of the log's port keeps to."""

import asyncio
import random
import time
from collections.abc import Sequence

import pytest

from engine.errors import ClosedError, LogError
from engine.limits import READ_RECORDS_MAX, RECORD_BYTES_MAX, TAIL_RECORDS_MAX
from engine.log.errors import OffsetOutOfRangeError, PlaceUnknownError, RecordTooLargeError
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, TOPICS, WORKFLOWS, Ends, Log, LogRecord, Reader, Record
from tests.log.conftest import OpenLog


def record(number: int, key: str = "run") -> Record:
    return Record(key, b"%d" % number, {"number": str(number)})


def refused(error: LogError) -> None:
    raise AssertionError(error)


async def fill(log: Log, count: int, topic: str = EVENTS, partition: int = 0) -> None:
    await asyncio.gather(*(log.append(topic, partition, record(number)) for number in range(count)))


async def take(reader: Reader, count: int) -> list[LogRecord]:
    taken: list[LogRecord] = []
    async with asyncio.timeout(60):
        while len(taken) < count:
            batch = await reader.next()
            assert batch, "next must return at least one record"
            taken += batch
    return taken


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def numbers(records: Sequence[LogRecord]) -> list[int]:
    return [int(found.value) for found in records]


async def test_a_record_comes_back_as_written_with_its_offset_and_the_logs_time(open_log: OpenLog) -> None:
    before = int(time.time() * 1000)
    log = await open_log(clock=time.time)
    written = Record("run-1", b'{"events": []}', {"ce_id": "abc", "ce_type": "commit"})
    assert await log.append(EVENTS, 0, written) == 0
    (found,) = await log.read(EVENTS, 0, 0, 10)
    assert found == LogRecord(0, found.timestamp, *written)
    assert before <= found.timestamp <= time.time() * 1000


async def test_a_time_leads_to_an_offset_that_leaves_nothing_younger_out(open_log: OpenLog) -> None:
    log = await open_log(clock=time.time)
    assert await log.first_after(EVENTS, 0, 0) == 0
    for number in range(3):
        await log.append(EVENTS, 0, record(number))
    last = (await log.read(EVENTS, 0, 2, 1))[0].timestamp
    assert await log.first_after(EVENTS, 0, 0) == 0
    assert await log.first_after(EVENTS, 0, last) <= 2
    assert await log.first_after(EVENTS, 0, last + 3_600_000) <= 3


async def test_offsets_have_no_gaps_and_keep_the_order_of_the_calls(open_log: OpenLog) -> None:
    log = await open_log()
    offsets = await asyncio.gather(*(log.append(EVENTS, 0, record(number)) for number in range(700)))
    assert list(offsets) == list(range(700))
    found = await log.read(EVENTS, 0, 0, 1000)
    assert numbers(found) == list(range(700))
    assert [one.offset for one in found] == list(range(700))


async def test_sends_and_appends_each_keep_the_order_of_the_calls(open_log: OpenLog) -> None:
    log = await open_log()
    pending = []
    for number in range(60):
        if number % 3:
            log.send(EVENTS, 0, record(number), refused)
        else:
            pending.append(asyncio.ensure_future(log.append(EVENTS, 0, record(number))))
            await asyncio.sleep(0)  # the call happens when the task runs
    offsets = await asyncio.gather(*pending)
    assert offsets == sorted(offsets)
    found = numbers(await take(log.reader(EVENTS, 0, 0), 60))
    assert sorted(found) == list(range(60))
    assert [number for number in found if number % 3] == [number for number in range(60) if number % 3]
    assert [number for number in found if number % 3 == 0] == list(range(0, 60, 3))


async def test_topics_and_partitions_are_apart(open_log: OpenLog) -> None:
    log = await open_log(partitions=3)
    assert log.partitions == 3
    places = [(COMMANDS, 0), (COMMANDS, 1), (COMMANDS, 2), (EVENTS, 0), (EVENTS, 2), (WORKFLOWS, 0), (REJECTIONS, 0)]
    for number, (topic, partition) in enumerate(places):
        for copy in range(number):
            assert await log.append(topic, partition, Record(topic, b"%d %d" % (partition, copy), {})) == copy
    for number, (topic, partition) in enumerate(places):
        assert await log.ends(topic, partition) == Ends(0, number)
        found = await log.read(topic, partition, 0, 100)
        assert [(one.key, one.value) for one in found] == [(topic, b"%d %d" % (partition, i)) for i in range(number)]
    assert await log.ends(EVENTS, 1) == Ends(0, 0)


@pytest.mark.parametrize(
    ("topic", "partition"), [("other", 0), (EVENTS, 2), (EVENTS, -1), (WORKFLOWS, 1), (REJECTIONS, 1), ("", 0)]
)
async def test_unknown_places_are_refused_by_every_method(open_log: OpenLog, topic: str, partition: int) -> None:
    log = await open_log(partitions=2)
    with pytest.raises(PlaceUnknownError, match="expected"):
        await log.append(topic, partition, record(0))
    with pytest.raises(PlaceUnknownError):
        log.send(topic, partition, record(0), refused)
    with pytest.raises(PlaceUnknownError):
        await log.ends(topic, partition)
    with pytest.raises(PlaceUnknownError):
        await log.read(topic, partition, 0, 1)
    with pytest.raises(PlaceUnknownError):
        await log.read_key(topic, partition, "run")
    with pytest.raises(PlaceUnknownError):
        log.reader(topic, partition, 0)
    if topic not in TOPICS:
        with pytest.raises(PlaceUnknownError):
            await log.topic_id(topic)


async def test_every_topic_has_an_identity_of_its_own_that_stays(open_log: OpenLog) -> None:
    log, other = await open_log(partitions=2), await open_log()
    identities = [await log.topic_id(topic) for topic in TOPICS]
    assert all(identities)
    assert len({*identities, *[await other.topic_id(topic) for topic in TOPICS]}) == 2 * len(TOPICS)
    await fill(log, 3)
    assert [await log.topic_id(topic) for topic in TOPICS] == identities


async def test_an_empty_partition_reads_as_empty_everywhere(open_log: OpenLog) -> None:
    log = await open_log()
    for topic in TOPICS:
        assert await log.ends(topic, 0) == Ends(0, 0)
        assert list(await log.read(topic, 0, 0, 10)) == []
        assert list(await log.read_key(topic, 0, "")) == []


async def test_read_keeps_to_its_bounds(open_log: OpenLog) -> None:
    log = await open_log()
    await fill(log, 2 * READ_RECORDS_MAX + 7)
    end = 2 * READ_RECORDS_MAX + 7
    assert await log.ends(EVENTS, 0) == Ends(0, end)
    assert numbers(await log.read(EVENTS, 0, 3, 4)) == [3, 4, 5, 6]
    assert numbers(await log.read(EVENTS, 0, 0, 10 * end)) == list(range(end))
    assert numbers(await log.read(EVENTS, 0, end - 2, 5)) == [end - 2, end - 1]
    assert list(await log.read(EVENTS, 0, end, 5)) == []
    assert list(await log.read(EVENTS, 0, 5, 0)) == []
    for offset in (-1, end + 1):
        with pytest.raises(OffsetOutOfRangeError, match=rf"between 0 and {end}, but found {offset}"):
            await log.read(EVENTS, 0, offset, 1)


async def test_a_reader_outside_the_partition_is_told_so(open_log: OpenLog) -> None:
    log = await open_log()
    await fill(log, 3)
    with pytest.raises(OffsetOutOfRangeError, match="between 0 and 3, but found 4"):
        await log.reader(EVENTS, 0, 4).next()


async def test_a_scan_hands_over_what_was_asked_for_and_nothing_else(open_log: OpenLog) -> None:
    log = await open_log()
    await fill(log, 1_201)
    taken: list[LogRecord] = []
    await log.scan(EVENTS, 0, 3, 1_150, taken.extend)
    assert [found.offset for found in taken] == list(range(3, 1_150))
    assert taken == list(await log.read(EVENTS, 0, 3, 1_147))
    taken.clear()
    await log.scan(EVENTS, 0, 7, 7, taken.extend)
    assert taken == []


async def test_what_a_scan_hands_over_to_may_end_it(open_log: OpenLog) -> None:
    log = await open_log()
    await fill(log, 701)
    calls: list[int] = []

    def refuse(records: Sequence[LogRecord]) -> None:
        calls.append(len(records))
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        await log.scan(EVENTS, 0, 0, 701, refuse)
    assert len(calls) == 1
    assert len(await log.read(EVENTS, 0, 0, 10)) == 10


async def test_a_scan_that_is_given_up_hands_nothing_over_any_more(open_log: OpenLog) -> None:
    log = await open_log()
    await fill(log, 3_000)
    calls: list[int] = []
    scanning: asyncio.Task[None]

    def give_up(records: Sequence[LogRecord]) -> None:
        calls.append(len(records))
        asyncio.run_coroutine_threadsafe(_cancel(scanning), loop)

    loop = asyncio.get_running_loop()
    scanning = asyncio.create_task(log.scan(EVENTS, 0, 0, 3_000, give_up))
    await asyncio.gather(scanning, return_exceptions=True)
    assert scanning.cancelled()
    seen = len(calls)
    await log.read(EVENTS, 0, 0, 500)
    assert len(calls) == seen


async def test_read_key_finds_the_records_of_one_key_and_no_others(open_log: OpenLog) -> None:
    log = await open_log(partitions=2)
    keys = ["", "a", "ab", "a\0", "b", "ü", "run" * 60]
    for number in range(3 * len(keys)):
        await log.append(EVENTS, 0, record(number, keys[number % len(keys)]))
    await log.append(EVENTS, 1, record(99, "a"))
    await log.append(COMMANDS, 0, record(98, "a"))
    for place, key in enumerate(keys):
        found = await log.read_key(EVENTS, 0, key)
        assert numbers(found) == [place, place + len(keys), place + 2 * len(keys)]
        assert {one.key for one in found} == {key}
    assert list(await log.read_key(EVENTS, 0, "c")) == []
    assert numbers(await log.read_key(EVENTS, 1, "a")) == [99]


async def test_read_key_finds_more_records_than_one_page(open_log: OpenLog) -> None:
    log = await open_log()
    count = 2 * READ_RECORDS_MAX + 3
    await asyncio.gather(*(log.append(EVENTS, 0, record(n, "even" if n % 2 == 0 else "odd")) for n in range(2 * count)))
    assert numbers(await log.read_key(EVENTS, 0, "even")) == list(range(0, 2 * count, 2))


async def test_texts_and_bytes_of_any_kind_survive(open_log: OpenLog) -> None:
    log = await open_log()
    written = [
        Record("", b"", {}),
        Record("ключ 🔑 \0 \n", bytes(range(256)), {"ünïcode 🏷": 'wert ✓ \0 " \\', "": ""}),
        Record("k" * 1000, b"\xff\xfe", {str(n): "x" * n for n in range(50)}),
        Record("big", b"z" * 700_000, {}),
    ]
    for one in written:
        await log.append(EVENTS, 0, one)
    live = await take(log.reader(EVENTS, 0, 0), len(written))
    assert [Record(one.key, one.value, one.headers) for one in live] == written
    assert list(await log.read(EVENTS, 0, 0, 10)) == live


async def test_records_of_any_size_up_to_the_limit_are_taken_and_larger_ones_refused(open_log: OpenLog) -> None:
    log = await open_log()
    headers = {'"' * 10: "\\" * 10}  # escaped in JSON, counted plainly
    exact = Record("ключ", b"x" * (RECORD_BYTES_MAX - 28), headers)
    assert await log.append(EVENTS, 0, exact) == 0
    larger = exact._replace(value=exact.value + b"x")
    with pytest.raises(RecordTooLargeError, match=f"at most {RECORD_BYTES_MAX} bytes.*has {RECORD_BYTES_MAX + 1}"):
        await log.append(EVENTS, 0, larger)
    with pytest.raises(RecordTooLargeError):
        log.send(EVENTS, 0, larger, refused)
    assert await log.append(EVENTS, 0, record(1)) == 1
    assert (await log.read(EVENTS, 0, 0, 1))[0].value == exact.value


@pytest.mark.parametrize(
    "bad", [Record("\ud800", b"", {}), Record("k", b"", {"h": "\ud800"}), Record("k", b"", {"\udfff": "v"})]
)
async def test_texts_that_are_no_unicode_are_refused(open_log: OpenLog, bad: Record) -> None:
    log = await open_log()
    with pytest.raises(LogError, match="valid Unicode text"):
        await log.append(EVENTS, 0, bad)
    assert await log.ends(EVENTS, 0) == Ends(0, 0)


async def test_a_reader_from_the_middle_sees_what_is_there_and_what_comes(open_log: OpenLog) -> None:
    log = await open_log()
    await fill(log, 10)
    reader = log.reader(EVENTS, 0, 4)
    assert numbers(await take(reader, 6)) == list(range(4, 10))
    for number in range(10, 20):
        await log.append(EVENTS, 0, record(number))
    assert numbers(await take(reader, 10)) == list(range(10, 20))


async def test_a_reader_at_the_end_waits_and_sees_only_what_comes(open_log: OpenLog) -> None:
    log = await open_log()
    await fill(log, 5)
    reader = log.reader(EVENTS, 0, 5)
    waiting = asyncio.ensure_future(reader.next())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    await log.append(EVENTS, 0, record(5))
    assert numbers(await waiting) == [5]


async def test_a_reader_sees_only_its_own_partition(open_log: OpenLog) -> None:
    log = await open_log(partitions=2)
    reader = log.reader(EVENTS, 1, 0)
    waiting = asyncio.ensure_future(reader.next())
    await log.append(EVENTS, 0, record(0))
    await log.append(COMMANDS, 1, record(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    await log.append(EVENTS, 1, record(2))
    assert numbers(await waiting) == [2]


async def test_several_readers_at_their_own_pace_all_see_everything_in_order(open_log: OpenLog) -> None:
    log = await open_log()
    seed = 20_261_122
    print("seed", seed)
    chance = random.Random(seed)
    await fill(log, 50)

    async def follow(start: int, pauses: random.Random) -> list[LogRecord]:
        reader = log.reader(EVENTS, 0, start)
        seen: list[LogRecord] = []
        while len(seen) < 1000 - start:
            seen += await reader.next()
            for _ in range(pauses.randrange(6)):
                await asyncio.sleep(0)
        return seen

    starts = [0, 1, 25, 49, 50]
    followers = [asyncio.create_task(follow(start, random.Random(chance.random()))) for start in starts]
    for number in range(50, 1000):
        log.send(EVENTS, 0, record(number), refused)
        if chance.random() < 0.2:
            await asyncio.sleep(0)
    async with asyncio.timeout(60):
        results = await asyncio.gather(*followers)
    for start, seen in zip(starts, results, strict=True):
        assert numbers(seen) == list(range(start, 1000))
        assert [one.offset for one in seen] == list(range(start, 1000))


async def test_a_reader_far_behind_misses_nothing(open_log: OpenLog) -> None:
    log = await open_log()
    reader = log.reader(EVENTS, 0, 0)
    waiting = asyncio.ensure_future(reader.next())
    await log.append(EVENTS, 0, record(0))
    assert numbers(await waiting) == [0]
    count = 2 * TAIL_RECORDS_MAX + 100
    for start in range(1, count, 1000):
        stop = min(start + 1000, count)
        await asyncio.gather(*(log.append(EVENTS, 0, record(number)) for number in range(start, stop)))
    assert numbers(await take(reader, count - 1)) == list(range(1, count))
    await log.append(EVENTS, 0, record(count))
    assert numbers(await take(reader, 1)) == [count]


async def test_a_cancelled_next_loses_no_records(open_log: OpenLog) -> None:
    log = await open_log()
    reader = log.reader(EVENTS, 0, 0)
    for number in range(20):
        waiting = asyncio.ensure_future(reader.next())
        await asyncio.sleep(0)
        if number % 2:  # cancelled when the record is already on its way to the reader
            await log.append(EVENTS, 0, record(number))
        waiting.cancel()
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        if number % 2 == 0:
            assert isinstance(outcome, asyncio.CancelledError)
            await log.append(EVENTS, 0, record(number))
        if isinstance(outcome, BaseException):
            outcome = await take(reader, 1)
        assert numbers(outcome) == [number]


async def test_a_next_cancelled_while_it_catches_up_loses_no_records(open_log: OpenLog) -> None:
    log = await open_log()
    await fill(log, 1200)
    reader = log.reader(EVENTS, 0, 0)
    seen: list[LogRecord] = []
    while len(seen) < 1200:
        waiting = asyncio.ensure_future(reader.next())
        await asyncio.sleep(0)
        waiting.cancel()
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        seen += await reader.next() if isinstance(outcome, BaseException) else outcome
    assert numbers(seen) == list(range(1200))


async def test_a_cancelled_append_leaves_the_log_in_order(open_log: OpenLog) -> None:
    log = await open_log()
    calls = [asyncio.ensure_future(log.append(EVENTS, 0, record(number))) for number in range(20)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    end = await log.append(EVENTS, 0, record(20))
    found = numbers(await log.read(EVENTS, 0, 0, 100))
    assert len(found) == end + 1
    assert found == sorted(found)
    assert set(range(1, 21, 2)) <= set(found)


async def test_an_appended_record_can_be_read_at_once(open_log: OpenLog) -> None:
    log = await open_log()
    for number in range(30):
        offset = await log.append(EVENTS, 0, record(number))
        assert (await log.ends(EVENTS, 0)).end == offset + 1
        assert numbers(await log.read(EVENTS, 0, offset, 1)) == [number]
        assert numbers(await log.read_key(EVENTS, 0, "run"))[-1] == number


async def test_concurrent_appenders_to_many_partitions_lose_nothing_and_keep_their_own_order(open_log: OpenLog) -> None:
    log = await open_log(partitions=5)

    async def writer(name: int) -> dict[tuple[int, int], int]:
        chance = random.Random(name)
        mine = {}
        for number in range(40):
            partition = chance.randrange(5)
            mine[partition, await log.append(EVENTS, partition, record(number, str(name)))] = number
        return mine

    written = await asyncio.gather(*(writer(name) for name in range(25)))
    total = 0
    for partition in range(5):
        end = (await log.ends(EVENTS, partition)).end
        found = await log.read(EVENTS, partition, 0, end)
        assert [one.offset for one in found] == list(range(end))
        for one in found:
            assert written[int(one.key)][partition, one.offset] == int(one.value)
        total += end
    assert total == 25 * 40


async def test_closing_writes_what_was_sent_and_closes_everything(open_log: OpenLog) -> None:
    log = await open_log()
    reader = log.reader(EVENTS, 0, 0)
    waiting = asyncio.ensure_future(reader.next())
    idle = log.reader(EVENTS, 0, 0)
    await asyncio.sleep(0)
    pending = [asyncio.ensure_future(log.append(COMMANDS, 0, record(number))) for number in range(10)]
    await asyncio.sleep(0)
    await log.close()
    assert await asyncio.gather(*pending) == list(range(10))
    with pytest.raises(ClosedError):
        await waiting
    with pytest.raises(ClosedError):
        await idle.next()
    await log.close()


async def test_a_closed_log_refuses_everything(open_log: OpenLog) -> None:
    log = await open_log()
    await log.close()
    with pytest.raises(ClosedError, match="closed"):
        await log.append(EVENTS, 0, record(0))
    with pytest.raises(ClosedError):
        log.send(EVENTS, 0, record(0), refused)
    with pytest.raises(ClosedError):
        await log.ends(EVENTS, 0)
    with pytest.raises(ClosedError):
        await log.read(EVENTS, 0, 0, 1)
    with pytest.raises(ClosedError):
        await log.read_key(EVENTS, 0, "run")
    with pytest.raises(ClosedError):
        await log.topic_id(EVENTS)
    with pytest.raises(ClosedError):
        log.reader(EVENTS, 0, 0)


async def test_a_closed_reader_says_so_and_others_go_on(open_log: OpenLog) -> None:
    log = await open_log()
    closed, other = log.reader(EVENTS, 0, 0), log.reader(EVENTS, 0, 0)
    waiting = asyncio.ensure_future(closed.next())
    await asyncio.sleep(0)
    closed.close()
    closed.close()
    with pytest.raises(ClosedError):
        await waiting
    await log.append(EVENTS, 0, record(0))
    assert numbers(await take(other, 1)) == [0]
    with pytest.raises(ClosedError):
        await closed.next()
