"""What hosts keep of the topic that all hosts of all groups read: places, not texts, and nothing of others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from consumers.host.bulletin import Announced, Bulletin, calls_key, parked_record
from consumers.host.calls import Call, NotedCall
from consumers.host.parked import Parked
from engine.log.kafka import KafkaLog
from engine.log.port import PARKED, Record
from tests.support.logs import open_kafka

SECONDS = 60


@asynccontextmanager
async def following(log: KafkaLog, group: str = "g", host: str = "this") -> AsyncIterator[Bulletin]:
    """Follow as one host does."""
    bulletin = Bulletin(log, group, host)
    reading = asyncio.create_task(bulletin.follow((await log.ends(PARKED, 0)).end))
    async with asyncio.timeout(SECONDS):
        yield bulletin
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


def parked(partition: int, offset: int, error: str = "no") -> Parked:
    return Parked(
        "book", partition, f"run-{offset}", offset, 0, f"{offset}.0", "run.created", error, 1, "now", held=True
    )


async def test_what_is_parked_is_read_again_when_it_is_needed_as_it_was_written_last(broker: str) -> None:
    log = await open_kafka(broker)
    wanted = [parked(0, offset) for offset in range(5)]
    for each in (*wanted, parked(1, 7), parked(0, 9)):
        await log.append(PARKED, 0, parked_record("g", each, ""))
    await log.append(PARKED, 0, parked_record("other", parked(0, 11), ""))
    wanted[2] = replace(wanted[2], behind=3)
    await log.append(PARKED, 0, parked_record("g", wanted[2], ""))
    await log.erase(PARKED, 0, f"g/{parked(0, 9).key}")
    async with following(log) as bulletin:
        assert sorted(await bulletin.parked(0), key=lambda each: each.offset) == wanted
        assert await bulletin.parked(1) == [parked(1, 7)]
        assert await bulletin.parked(2) == []
        # No text is kept, however long it is.
        assert all(type(place) is int for places in bulletin._parked.values() for place in places.values())
        wanted[4] = replace(wanted[4], error="again")
        await log.append(PARKED, 0, parked_record("g", wanted[4], ""))
        await log.erase(PARKED, 0, f"g/{wanted[0].key}")
        assert sorted(await bulletin.parked(0), key=lambda each: each.offset) == wanted[1:]
    await log.close()


async def test_what_no_host_wrote_harms_nobody(broker: str, caplog: pytest.LogCaptureFixture) -> None:
    log = await open_kafka(broker)
    for key, value in (
        ("g", b"1"), ("g/", b"1"), ("g/book/x/run/1.0", b"{}"), (f"g/{parked(0, 1).key}", b"no parked change"),
        ("g/!calls/x", b"1"), (calls_key("g", 0), b"{}"), (calls_key("g", 1), b'[["book",1,0,1,true]]'),
        ("g/!host", b"1"), ("g/!host", b'{"host":1,"services":[],"answer":false}'), ("g/!other", b"1"),
    ):  # fmt: skip
        await log.append(PARKED, 0, Record(key, value, {}))
    async with following(log) as bulletin:
        assert await bulletin.parked(0) == []
        assert await bulletin.calls(0) == ()
        assert await bulletin.calls(1) == [NotedCall(Call("book", (1, 0)), 1, under_way=True)]
        await bulletin.write_calls(1, [])
        assert await bulletin.calls(1) == []
    assert "expected a parked change" in caplog.text
    assert "expected calls of services" in caplog.text
    await log.close()


async def test_only_what_hosts_say_from_now_on_is_heard_and_nothing_of_oneself(broker: str) -> None:
    log = await open_kafka(broker)
    async with following(log, host="before") as before:
        await before.announce(["old"], answer=False)
        async with following(log) as bulletin, following(log, group="other", host="elsewhere") as elsewhere:
            await bulletin.announce(["mine"], answer=False)
            await elsewhere.announce(["theirs"], answer=False)
            await before.announce(["a", "b"], answer=True)
            assert await bulletin.announced.get() == Announced("before", ("a", "b"), answer=True)
            assert await before.announced.get() == Announced("this", ("mine",), answer=False)
            await bulletin.parked(0)
            assert bulletin.announced.empty()
    await log.close()
