"""What hosts put on the topic `parked` is as published."""

import asyncio
import json
from dataclasses import replace
from itertools import count

import pytest

from consumers.host.bulletin import Bulletin, parked_record
from consumers.host.calls import Call, NotedCall
from consumers.host.parked import Parked
from consumers.host.sharing import ask_shared
from engine.core.identity import make_run_id
from engine.log.port import PARKED, LogRecord
from tests.support.logs import open_kafka
from tests.support.wire import asyncapi_validator, problems, validator

KINDS = {
    "runline.parked": ("parked", "parkedChange"),
    "runline.calls": ("calls", "notedCalls"),
    "runline.host": ("host", "hostAnnouncement"),
}
"""For every kind of record: how its files in `schemas/` begin, and its name in the AsyncAPI document."""
SECONDS = 60
_numbers = count()


def parked() -> Parked:
    run_id, number = make_run_id(1_795_000_000_000, 7), next(_numbers)
    return Parked(
        service="mail", partition=3, run_id=run_id, offset=41, index=number, event_id=f"{'0' * 64}.{number}",
        event_type="run.started", error="no", attempts=5, time="2026-11-23T08:00:00.000000Z", held=True,
    )  # fmt: skip


def wrong(record: LogRecord) -> list[str]:
    """Return what is not as published in a record, by its file and by the AsyncAPI document."""
    file, message = KINDS[record.headers["ce_type"]]
    found = problems(asyncapi_validator(message, "key"), record.key)
    headers, value = dict(record.headers), json.loads(record.value) if record.value else None
    found += problems(validator(f"{file}.headers"), headers) + problems(asyncapi_validator(message, "headers"), headers)
    if record.value:
        found += problems(validator(file), value) + problems(asyncapi_validator(message, "payload"), value)
    return found


async def test_what_hosts_write_is_as_published(broker: str) -> None:
    log = await open_kafka(broker)
    bulletin, one = Bulletin(log, "shop.1", "here, process 7"), parked()
    async with asyncio.timeout(SECONDS):
        await log.append(PARKED, 0, parked_record("shop.1", one, ""))
        await log.append(PARKED, 0, parked_record("shop.1", replace(parked(), asked="retry", behind=2), ""))
        await ask_shared(log, "shop.1", one, "skip")
        await bulletin.announce(["mail", "book"], answer=False)
        await bulletin.write_calls(3, [NotedCall(Call("mail", (41, 0)), 2, under_way=True)])
        end = (await log.ends(PARKED, 0)).end
        records = await log.read(PARKED, 0, 0, end)
        await log.close()
    assert {record.headers["ce_type"] for record in records} == set(KINDS)
    assert [wrong(record) for record in records] == [[]] * 5


def record(key: str = "", **changed: object) -> LogRecord:
    made = parked_record("shop", parked(), "")
    value = {**json.loads(made.value), **changed}
    return LogRecord(0, 0, key or made.key, json.dumps(value).encode(), made.headers)


@pytest.mark.parametrize(
    "found",
    [
        record(more=1),
        record(run_id="42"),
        record(asked="perhaps"),
        record(offset="41"),
        record("shop/mail/3/run/41.0"),
        record()._replace(headers={"ce_type": "runline.parked"}),
        record()._replace(headers={**record().headers, "asked": "perhaps"}),
        LogRecord(0, 0, "shop/!calls/000003", b'[["mail",41,0,2]]', {**record().headers, "ce_type": "runline.calls"}),
    ],
)
def test_what_no_host_would_write_is_found(found: LogRecord) -> None:
    assert wrong(record()) == []
    assert wrong(found)


def test_every_field_that_a_host_needs_to_read_it_is_required() -> None:
    whole = json.loads(record().value)
    for name in whole:
        without = {each: value for each, value in whole.items() if each != name}
        assert problems(validator("parked"), without), name
