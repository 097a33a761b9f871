"""What comes from outside may be anything: it stops nobody else, and is kept with the reason."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from typing import NamedTuple

import orjson
import pytest

from engine import EngineService, RunStatus
from engine.core.commands import CancelRun, CreateRun, encode
from engine.core.records import commit_id
from engine.core.rejection import (
    OVERSIZED,
    RUN_NOT_CREATED,
    RUN_UNKNOWN,
    UNDECODABLE,
    WORKFLOW_UNKNOWN,
    WRONG_PARTITION,
)
from engine.errors import RunNotFoundError
from engine.limits import RECORD_BYTES_MAX
from engine.log.kafka import KafkaLocation, KafkaLog
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, WORKFLOWS, LogRecord
from tests.kafka.engines import (
    SECONDS,
    event_types,
    executor,
    ids,
    read_all,
    run_in_partition,
    start_of,
)
from tests.kafka.foreign import Foreign
from tests.support.logs import new_location
from tests.support.workflows import END, chain, code, registry

PARTITIONS = 2
BOMB_BYTES = 20_000_000
UNPACKED_BOUNDED = "zstd"
"""What the client unpacks only up to a limit; what else is compressed is read, and found too large."""


class Place(NamedTuple):
    """A log with an executor on it, and a foreign producer."""

    location: KafkaLocation
    engine: EngineService
    foreign: Foreign
    log: KafkaLog

    async def prove_well(self) -> None:
        """Run something on every partition."""
        runs = [run_in_partition(partition, PARTITIONS) for partition in range(PARTITIONS)]
        for run_id in runs:
            command = start_of("chain", 7, run_id)
            self.foreign.put(COMMANDS, encode(command), key=run_id, partition=partition_of(run_id, PARTITIONS))
        for run_id in runs:
            assert (await self.ended(run_id)) == RunStatus.SUCCESS

    async def ended(self, run_id: str) -> RunStatus:
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    return (await self.engine.wait_for_workflow_run(run_id)).run_status
                except RunNotFoundError:
                    # Its command is not decided yet.
                    await asyncio.sleep(0.02)

    async def rejections(self, count: int) -> list[LogRecord]:
        """Return the refusals, when there are so many."""
        async with asyncio.timeout(SECONDS):
            while True:
                found = await read_all(self.log, REJECTIONS)
                if len(found) >= count:
                    assert len(found) == count
                    return found

    def partition(self, run_id: str) -> int:
        return partition_of(run_id, PARTITIONS)


@pytest.fixture
async def place(broker: str) -> AsyncIterator[Place]:
    location = await new_location(broker, PARTITIONS)
    with Foreign(location) as foreign:
        async with executor(location, registry()) as engine:
            await engine.publish_workflow(chain(code("a", "add"), END))
            log = await KafkaLog.open(location)
            yield Place(location, engine, foreign, log)
            await log.close()


async def test_bytes_that_are_no_command_are_kept_with_the_reason_and_the_next_command_is_done(place: Place) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    run_id = ids.run_id()
    garbage: list[bytes | None] = [
        b"\xff\xfe\x00" + chance.randbytes(200),
        b"",
        None,
        b"null",
        b'{"type": "run.start"',
        b"[" * 100_000,
        orjson.dumps({"type": "run.start", "id": "x", "run": "not a run id"}),
        orjson.dumps({"type": "run.explode", "id": "x", "run": run_id}),
        orjson.dumps({"type": "run.start", "id": "x", "run": run_id, "workflow": "chain", "class": "os.system"}),
        encode(start_of("chain")).replace(b'"number"', b'"\\ud800"'),
    ]
    keys: list[str | bytes | None] = [None, b"\xff\x00", "", run_id]
    for number, value in enumerate(garbage):
        headers = {"ce_type": b"\xff", "ce_id": b"\x00"}
        place.foreign.put(COMMANDS, value, key=keys[number % len(keys)], headers=headers, partition=0)
    await place.prove_well()
    found = await place.rejections(len(garbage))
    by_offset = {int(record.headers["offset"]): record for record in found}
    assert [by_offset[offset].value for offset in range(len(garbage))] == [value or b"" for value in garbage]
    assert {record.headers["code"] for record in found} == {UNDECODABLE}
    assert all(record.headers["reason"].startswith("expected ") for record in found)


@pytest.mark.parametrize("topic", [COMMANDS, EVENTS, WORKFLOWS])
async def test_a_header_whose_name_is_no_text_harms_nobody(place: Place, topic: str) -> None:
    command = start_of("chain", run_id=run_in_partition(0, PARTITIONS))
    place.foreign.put_with_header(topic, encode(command), b"\xff\x00a")
    await place.prove_well()
    if topic == COMMANDS:
        assert await place.ended(command.run) == RunStatus.SUCCESS


async def test_a_command_of_a_format_from_the_future_is_refused_by_its_format(place: Place) -> None:
    command = orjson.loads(encode(start_of("chain")))
    place.foreign.put(COMMANDS, orjson.dumps(command | {"format": 2, "new": "field"}), partition=1)
    (rejection,) = await place.rejections(1)
    assert rejection.headers["reason"] == "expected a command of format 1, but found format 2"
    assert orjson.loads(rejection.value)["new"] == "field"
    await place.prove_well()


async def test_commands_that_cannot_be_done_are_refused_by_name(place: Place) -> None:
    unknown = run_in_partition(0, PARTITIONS)
    place.foreign.put(COMMANDS, encode(CancelRun(id="c1", run=unknown)), key=unknown)
    place.foreign.put(COMMANDS, encode(start_of("nowhere", run_id=unknown)), key=unknown)
    found = await place.rejections(2)
    assert [record.headers["code"] for record in found] == [RUN_UNKNOWN, WORKFLOW_UNKNOWN]
    assert [record.key for record in found] == [unknown, unknown]
    await place.prove_well()


async def test_a_wrong_key_does_not_matter_and_a_wrong_partition_is_put_right_once(place: Place) -> None:
    here, elsewhere = (run_in_partition(partition, PARTITIONS) for partition in range(PARTITIONS))
    place.foreign.put(COMMANDS, encode(start_of("chain", run_id=here)), key="someone else", partition=0)
    place.foreign.put(COMMANDS, encode(start_of("chain", run_id=elsewhere)), key=elsewhere, partition=0)
    assert await place.ended(here) == RunStatus.SUCCESS
    assert await place.ended(elsewhere) == RunStatus.SUCCESS
    forwarded = [record for record in await read_all(place.log, COMMANDS, 1) if record.key == elsewhere]
    assert [record.headers["forwarded"] for record in forwarded] == ["0/1"]
    again = encode(start_of("chain", run_id=run_in_partition(1, PARTITIONS)))
    place.foreign.put(COMMANDS, again, headers={"forwarded": "1/0"}, partition=0)
    (rejection,) = await place.rejections(1)
    assert (rejection.headers["code"], rejection.value) == (WRONG_PARTITION, again)
    await place.prove_well()


async def test_a_command_that_is_too_large_to_be_forwarded_is_refused_and_the_next_one_is_done(place: Place) -> None:
    run_id = run_in_partition(1, PARTITIONS)
    command = encode(start_of("chain", run_id=run_id))
    place.foreign.put(COMMANDS, command.ljust(RECORD_BYTES_MAX), key=run_id, partition=0)
    place.foreign.put(COMMANDS, command, key=run_id, headers={"note": "x" * RECORD_BYTES_MAX}, partition=0)
    # Bytes that are no text are longer as text.
    place.foreign.put(COMMANDS, command, key=run_id, headers={"note": b"\xff" * (RECORD_BYTES_MAX // 3)}, partition=0)
    found = await place.rejections(3)
    assert {record.headers["code"] for record in found} == {OVERSIZED}
    assert all("expected a command on partition 1, that of its run" in record.headers["reason"] for record in found)
    await place.prove_well()
    place.foreign.put(COMMANDS, command, key=run_id, partition=1)
    assert await place.ended(run_id) == RunStatus.SUCCESS


async def test_a_start_sent_many_times_by_many_is_one_run(place: Place) -> None:
    command = start_of("chain", 1)
    value, partition = encode(command), place.partition(command.run)
    place.foreign.put_all(COMMANDS, [value] * 50, key=command.run, partition=partition)
    with Foreign(place.location) as other:
        other.put_all(COMMANDS, [value] * 50, key=command.run, partition=partition)
    assert await place.ended(command.run) == RunStatus.SUCCESS
    place.foreign.put_all(COMMANDS, [value] * 50, key=command.run, partition=partition)
    await place.prove_well()
    types = await event_types(place.log, command.run)
    assert (types.count("run.created"), types.count("run.started"), types.count("trace.started")) == (1, 1, 3)
    assert await read_all(place.log, REJECTIONS) == []


async def test_the_same_run_id_with_another_body_is_refused_visibly(place: Place) -> None:
    created = CreateRun(id="c1", run=ids.run_id(), workflow="chain")
    partition = place.partition(created.run)
    place.foreign.put(COMMANDS, encode(created), key=created.run, partition=partition)
    values: list[bytes | None] = [encode(start_of("chain", number, created.run)) for number in (1, 2)]
    place.foreign.put_all(COMMANDS, values, key=created.run, partition=partition)
    assert await place.ended(created.run) == RunStatus.SUCCESS
    (rejection,) = await place.rejections(1)
    assert (rejection.headers["code"], rejection.value) == (RUN_NOT_CREATED, values[1])
    run = await place.engine.get_run(created.run)
    assert run.input_context == '{"number":1}'


async def test_commands_in_another_order_than_meant_are_answered_one_by_one(place: Place) -> None:
    run_id = ids.run_id()
    partition = place.partition(run_id)
    start = start_of("chain", run_id=run_id).model_copy(update={"workflow": None, "id": "early"})
    create = CreateRun(id="late", run=run_id, workflow="chain")
    later = start.model_copy(update={"id": "again"})
    values: list[bytes | None] = [encode(start), encode(create), encode(later)]
    place.foreign.put_all(COMMANDS, values, key=run_id, partition=partition)
    assert await place.ended(run_id) == RunStatus.SUCCESS
    (rejection,) = await place.rejections(1)
    assert (rejection.headers["code"], rejection.headers["causationid"]) == (RUN_UNKNOWN, "early")


async def test_forged_commits_are_passed_over_by_everybody(place: Place) -> None:
    await place.prove_well()
    records = await read_all(place.log, EVENTS, 0)
    last = next(record for record in reversed(records) if record.headers["ce_type"] == "runline.commit")
    fence = next(record for record in reversed(records) if record.headers["ce_type"] == "runline.fence")
    victim = start_of("chain", run_id=run_in_partition(0, PARTITIONS))
    value = orjson.dumps(
        {
            "run": victim.run,
            "time": "2026-01-01T00:00:00.000Z",
            "decided": None,
            "events": [
                {"type": "run.created", "workflow": "chain", "version": "forged", "correlation": "x", "command": "x"},
                {"type": "run.failed", "error": {"type": "Forged", "message": "forged"}, "output": {}},
            ],
        }
    )
    epoch = f"{fence.offset}:{fence.headers['nonce']}"
    old = "0:before"
    forged = {
        "wrong prev": ("0" * 64, epoch, ""),
        "old epoch": ("genesis", old, ""),
        "wrong id": ("genesis", epoch, "f" * 64),
    }
    for prev, claimed, identity in forged.values():
        headers = {
            **last.headers,
            "prev": prev,
            "epoch": claimed,
            "ce_id": identity or commit_id(prev, claimed, value),
            "ce_subject": victim.run,
        }
        place.foreign.put(EVENTS, value, key=victim.run, headers=headers, partition=0)
    place.foreign.put(EVENTS, last.value + b" ", key=last.key, headers=last.headers, partition=0)
    place.foreign.copy(EVENTS, last)
    for junk in (None, b"", b"\xff" * 1000):
        place.foreign.put(EVENTS, junk, key=b"\xff", headers={"ce_type": b"runline.commit", "epoch": b"\xff"})
        place.foreign.put(EVENTS, junk, key="fence", headers={"ce_type": "runline.checkpoint", "start": "-1"})
        place.foreign.put(EVENTS, junk, key="checkpoint", headers={"ce_type": "runline.checkpoint", "checkpoint": "x"})
    place.foreign.put(COMMANDS, encode(victim), key=victim.run, partition=0)
    assert await place.ended(victim.run) == RunStatus.SUCCESS
    types = await event_types(place.log, victim.run)
    assert types[0] == "run.created"
    assert types[-1] == "run.succeeded"
    await place.prove_well()
    assert place.engine.trouble == ""


async def test_a_commit_of_a_newer_version_stops_its_own_run_and_no_other(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    await place.prove_well()
    records = await read_all(place.log, EVENTS, 0)
    fence = next(record for record in reversed(records) if record.headers["ce_type"] == "runline.fence")
    last = next(record for record in reversed(records) if record.headers["ce_type"] == "runline.commit")
    run_id = run_in_partition(0, PARTITIONS)
    epoch = f"{fence.offset}:{fence.headers['nonce']}"
    value = orjson.dumps(
        {"run": run_id, "time": "2030-01-01T00:00:00.000Z", "decided": None, "events": [{"type": "run.dreamed"}]}
    )
    headers = {**last.headers, "prev": "genesis", "epoch": epoch, "ce_id": commit_id("genesis", epoch, value)}
    place.foreign.put(EVENTS, value, key=run_id, headers=headers, partition=0)
    await place.prove_well()
    place.foreign.put(COMMANDS, encode(start_of("chain", run_id=run_id)), key=run_id, partition=0)
    (rejection,) = await place.rejections(1)
    assert rejection.headers["code"] == "run_unreadable"
    assert "run.dreamed" in rejection.headers["reason"] or "run.created" in rejection.headers["reason"]
    await place.prove_well()
    assert "stopped" not in caplog.text


async def test_a_record_of_maximal_size_goes_through_and_a_larger_one_is_refused_with_its_beginning(
    place: Place,
) -> None:
    command = start_of("chain", run_id=run_in_partition(0, PARTITIONS))
    too_much = encode(command.model_copy(update={"context": {"text": "x" * 990_000}}))
    too_large = b"x" * (RECORD_BYTES_MAX + 30_000)
    place.foreign.put(COMMANDS, too_much, key=command.run)
    place.foreign.put(COMMANDS, too_large, key=command.run)
    most = encode(command.model_copy(update={"context": {"text": "x" * 250_000}}))
    place.foreign.put(COMMANDS, most, key=command.run)
    assert await place.ended(command.run) == RunStatus.SUCCESS
    found = await place.rejections(2)
    assert [record.headers["code"] for record in found] == [UNDECODABLE, OVERSIZED]
    assert [int(record.headers["size"]) for record in found] == [len(too_much), len(too_large)]
    assert all(len(record.value) > RECORD_BYTES_MAX - 100_000 for record in found)
    assert all(value.startswith(record.value) for record, value in zip(found, (too_much, too_large), strict=True))


@pytest.mark.parametrize("compression", ["zstd", "lz4", "gzip"])
@pytest.mark.parametrize("topic", [COMMANDS, EVENTS])
async def test_a_bomb_is_passed_over_or_refused_and_what_is_beside_it_is_done(
    place: Place, topic: str, compression: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = start_of("chain", run_id=run_in_partition(0, PARTITIONS))
    with Foreign(place.location, compression) as bomber:
        place.foreign.put(COMMANDS, encode(before), key=before.run)
        with caplog.at_level(logging.ERROR):
            offset = bomber.put(topic, b"\x00" * BOMB_BYTES, key="bomb", partition=0)
            await place.prove_well()
    assert await place.ended(before.run) == RunStatus.SUCCESS
    assert place.engine.trouble == ""
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    found = await read_all(place.log, REJECTIONS)
    if compression == UNPACKED_BOUNDED:
        # Nobody knows what is in it, so nobody is answered; people are told where it is.
        where = f"expected to read {place.location.topic(topic)}/0 at offset {offset}, "
        assert said
        assert all(text.startswith(where) and "The batch is passed over" in text for text in said)
        assert found == []
    elif topic == COMMANDS:
        (rejection,) = found
        assert (rejection.headers["code"], rejection.headers["offset"]) == (OVERSIZED, str(offset))
        assert rejection.headers["size"] == str(BOMB_BYTES)
        assert said == []
    else:
        assert (said, found) == ([], [])


async def test_a_batch_of_many_records_that_unpacks_to_too_much_is_passed_over_as_one(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    many = 20_000
    with caplog.at_level(logging.ERROR), Foreign(place.location, "zstd") as bomber:
        # With its first record a producer learns where the topic is; only then it sends large batches.
        bomber.put(COMMANDS, b"first", partition=0)
        for begin in (1, many + 2):
            bombs = bomber.put_all(COMMANDS, [b"\x00" * 1_000] * many, key="bomb", partition=0)
            assert bombs == list(range(begin, begin + many))
            place.foreign.put(COMMANDS, b"behind it", partition=0)
        await place.prove_well()
    offsets: list[int] = []
    async with asyncio.timeout(SECONDS):
        while not {0, many + 1, 2 * many + 2} <= set(offsets):
            offsets = [int(record.headers["offset"]) for record in await read_all(place.log, REJECTIONS)]
    assert len(offsets) == len(set(offsets))
    # The client may send some of them in batches that are small enough.
    assert len(offsets) < 2 * many
    passed = [record.getMessage() for record in caplog.records if "passed over" in record.getMessage()]
    assert passed
