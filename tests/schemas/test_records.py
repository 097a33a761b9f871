"""Every record that an engine puts on a log is as published: so say the schemas and the CloudEvents library."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import get_args

import orjson
import pytest
from cloudevents.core.bindings.kafka import to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from engine import Call, ContextObject, EngineService, Registry
from engine.core.events import Event
from engine.core.identity import make_run_id
from engine.errors import RunNotFoundError
from engine.executor import checkpointer
from engine.log.embedded import EmbeddedLog
from engine.log.partitioner import partition_of
from engine.log.place import places
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, TOPICS, Log, LogRecord, Record
from tests.support.logs import open_kafka
from tests.support.wire import KINDS, UNDECODABLE, check_records, validator
from tests.support.workflows import END, chain, code, edit, registry

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_numbers = count()

Topics = dict[str, list[LogRecord]]
"""The records of every topic."""


def new_run(milliseconds: int | None = None) -> str:
    return make_run_id(time.time_ns() // 1_000_000 if milliseconds is None else milliseconds, next(_numbers))


class Producer:
    """Sends commands as a program in another language would."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def send(
        self, document: Mapping[str, object], *, astray: bool = False, headers: Mapping[str, str] | None = None
    ) -> None:
        run = str(document["run"])
        await self.send_bytes(run, orjson.dumps(document), astray=astray, headers=headers or {})

    async def send_bytes(self, key: str, value: bytes, *, astray: bool, headers: Mapping[str, str]) -> None:
        right = partition_of(key, self._log.partitions)
        await self._log.append(COMMANDS, 1 - right if astray else right, Record(key, value, headers))

    async def send_event(self, document: Mapping[str, object]) -> None:
        """Send a command as a CloudEvent, by the library that others use."""
        attributes = {"type": document["type"], "source": "/shop", "id": document["id"], "subject": document["run"]}
        event = CloudEvent(
            attributes | {"datacontenttype": "application/json", "time": datetime.now(UTC)}, dict(document)
        )
        message = to_binary(event, JSONFormat())
        headers = {name: text.decode() for name, text in message.headers.items()}
        await self.send_bytes(str(document["run"]), message.value, astray=False, headers=headers)


class Gate:
    """A node function that waits until its run is cancelled."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()

    async def __call__(self, context: ContextObject, call: Call) -> None:  # noqa: ARG002 - the signature of one
        self.entered.set()
        await asyncio.Event().wait()


def functions(gate: Gate) -> Registry:
    made = registry()
    made.node("gate")(gate)

    @made.node("types")
    async def types(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        context.set("found.at", datetime.now(UTC))
        context.set("found.price", Decimal("1.50"))
        context.set("found.bytes", b"\x00\xff")
        context.remove_path("given.unused")

    return made


async def publish(engine: EngineService) -> None:
    switch: dict[str, object] = {
        "id": "b",
        "type": "switch",
        "configuration": {"cases": [{"output": "next", "when": "given.go"}]},
    }
    changed = edit("a", set=[{"path": "total", "expression": "given.number"}])
    for definition in (
        chain(code("a", "types"), code("b", "add"), END, workflow_id="types"),
        chain(code("a", "fail"), END, workflow_id="fail"),
        chain(code("a", "gate"), END, workflow_id="gate"),
        chain(changed, switch, END, workflow_id="core"),
        chain(END, workflow_id="types"),
        chain(code("a", "types"), code("b", "add"), END, workflow_id="types"),
    ):
        await engine.publish_workflow(definition)


async def read(log: Log, topic: str) -> list[LogRecord]:
    """Return all records of a topic, partition by partition."""
    found: list[LogRecord] = []
    for partition in (number for name, number in places(log.partitions) if name == topic):
        position = 0
        while records := await log.read(topic, partition, position, 500):
            found += records
            position = records[-1].offset + 1
    return found


async def rejections(log: Log, number: int) -> None:
    """Wait until there are so many."""
    reader, found = log.reader(REJECTIONS, 0, 0), 0
    while found < number:
        found += len(await reader.next())
    reader.close()


async def run_all_kinds(log: Log, gate: Gate) -> None:
    """Let everything happen that puts a record on the log."""
    given = {"number": 1, "go": True, "unused": None, "day": date(2026, 3, 1)}
    async with EngineService.open(log, functions(gate)) as engine:
        await publish(engine)
        for name in ("types", "fail", "core"):
            await engine.run_workflow(name, {"given": given}, timeout=30)
        cancelled = await engine.create_workflow_run("types")
        await engine.cancel_workflow_run(cancelled, "not needed")
        producer = Producer(log)
        await send_commands(producer, engine)
        await refused(producer, gate)
        await rejections(log, 9)
        await engine.run_workflow("types", {"given": given}, timeout=30)
    async with EngineService.open(log, functions(gate)) as engine:
        await engine.run_workflow("fail", timeout=30)


async def send_commands(producer: Producer, engine: EngineService) -> None:
    """Send commands of every form that are carried out."""
    started, created, traced = new_run(), new_run(), new_run()
    start = {"type": "run.start", "id": "s1", "run": started, "workflow": "core", "context": {"given": {"number": 2}}}
    for _ in range(2):
        await producer.send({"format": 1, **start}, astray=True)
    await producer.send({"type": "run.create", "id": "c1", "run": created, "workflow": "types"})
    due = {"$type": "datetime", "value": "2026-03-01T09:30:00+01:00"}
    await producer.send({"type": "run.start", "id": "s2", "run": created, "context": {"given": {"due": due}}})
    await producer.send_event(
        {
            "type": "run.start", "id": "s3", "run": traced, "workflow": "types", "context": {"given": {"unused": 1}},
            "correlation": "order 42", "traceparent": TRACEPARENT,
        }
    )  # fmt: skip
    for run_id in (started, created, traced):
        while True:
            try:
                await engine.wait_for_workflow_run(run_id, timeout=30)
                break
            except RunNotFoundError:
                await asyncio.sleep(0)


async def refused(producer: Producer, gate: Gate) -> None:
    """Send nine commands that are refused, for every reason that there is."""
    waiting, unknown, old = new_run(), new_run(), new_run(1_700_000_000_000)
    await producer.send({"type": "run.start", "id": "s4", "run": waiting, "workflow": "gate", "context": {"a": 1}})
    await gate.entered.wait()
    await producer.send({"type": "run.start", "id": "s5", "run": waiting, "workflow": "gate", "context": {"a": 2}})
    await producer.send({"type": "run.create", "id": "c2", "run": waiting, "workflow": "types", "tags": ["a", "ü b"]})
    await producer.send({"type": "run.cancel", "id": "x1", "run": unknown})
    await producer.send({"type": "run.create", "id": "c3", "run": unknown, "workflow": "nowhere"})
    await producer.send({"type": "run.create", "id": "c4", "run": old, "workflow": "types"})
    await producer.send({"format": 2, "type": "run.start", "id": "s6", "run": unknown})
    await producer.send_bytes("", b"\xff", astray=False, headers={"content-type": "image/png"})
    astray = {"type": "run.create", "id": "c5", "run": unknown, "workflow": "types"}
    await producer.send(astray, astray=True, headers={"forwarded": "0/0"})
    await producer.send({"type": "run.cancel", "id": "x2", "run": waiting, "reason": "enough"})
    await producer.send({"type": "run.cancel", "id": "x3", "run": waiting})


@pytest.fixture
async def topics(tmp_path: Path, small_checkpoints: None) -> Topics:  # noqa: ARG001 - for what it does
    """Return every record of an embedded log on which everything has happened."""
    return await everything(await EmbeddedLog.open(tmp_path, partitions=2, durability="process"))


@pytest.fixture
def small_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointer, "CHECKPOINT_BYTES_MIN", 3_000)
    monkeypatch.setattr("engine.core.checkpoint.CHECKPOINT_PART_BYTES", 600)


async def everything(log: Log) -> Topics:
    """Let everything happen on a log and return its records."""
    try:
        async with asyncio.timeout(120):
            await run_all_kinds(log, Gate())
        return {topic: await read(log, topic) for topic in TOPICS}
    finally:
        await log.close()


def check_everything(topics: Topics) -> None:
    """Check the records, and that everything is among them."""
    found = sum((check_records(topic, records) for topic, records in topics.items()), Counter[str]())
    print(dict(found))
    assert set(found) == set(KINDS) | {UNDECODABLE}
    assert found["runline.workflow"] == 6
    assert found["runline.fence"] >= 4
    assert found["runline.checkpoint"] >= 2
    assert sum(found.values()) == sum(map(len, topics.values()))
    # What was refused behind the last checkpoint is refused again after a new beginning, under the same id.
    codes = {record.headers["ce_id"]: record.headers["code"] for record in topics[REJECTIONS]}
    assert Counter(codes.values()) == Counter(
        undecodable=2, run_not_created=1, run_differs=1, run_unknown=1, workflow_unknown=1, outside_window=1,
        wrong_partition=1, run_ended=1,
    )  # fmt: skip
    types = {event for record in topics[EVENTS] for event in record.headers.get("types", "").split(",")} - {""}
    assert types == {get_args(each.__annotations__["type"])[0] for each in get_args(Event)}


async def test_every_record_on_an_embedded_log_is_as_published(topics: Topics) -> None:
    check_everything(topics)


@pytest.mark.usefixtures("small_checkpoints")
async def test_every_record_on_the_topics_of_a_real_broker_is_as_published(broker: str) -> None:
    check_everything(await everything(await open_kafka(broker, partitions=2)))


async def test_every_header_that_is_published_occurs(topics: Topics) -> None:
    seen: dict[str, set[str]] = {}
    for records in topics.values():
        for record in records:
            _, file, _ = KINDS.get(record.headers.get("ce_type", ""), ("", "command", ""))
            seen.setdefault(file, set()).update(record.headers)
    for file, names in seen.items():
        published = set(validator(f"{file}.headers").schema["properties"])  # type: ignore[index]  # a dictionary
        assert names - {"content-type"} == published - {"content-type"}, file


async def test_a_header_or_a_field_that_is_not_published_is_found(topics: Topics) -> None:
    commit = next(record for record in topics[EVENTS] if record.headers["ce_type"] == "runline.commit")
    headers = dict(commit.headers)
    broken = {
        "an unknown header": commit._replace(headers=headers | {"surprise": "1"}),
        "a missing header": commit._replace(headers={name: headers[name] for name in headers if name != "ce_source"}),
        "another run": commit._replace(key=new_run()),
        "an unknown field": commit._replace(value=commit.value.replace(b'{"run"', b'{"more":1,"run"', 1)),
        "an unknown event": commit._replace(value=commit.value.replace(b'"run.created"', b'"run.imagined"', 1)),
        "other bytes": commit._replace(value=commit.value + b" "),
    }
    assert check_records(EVENTS, [commit])["runline.commit"] == 1
    for what, record in broken.items():
        with pytest.raises(AssertionError, match=f"record {commit.offset} of events"):
            pytest.fail(f"{what} passed: {check_records(EVENTS, [record])}")


async def test_commands_that_a_program_sends_are_cloud_events(topics: Topics) -> None:
    sent = [record for record in topics[COMMANDS] if record.headers.get("ce_source") == "/runline"]
    assert len(sent) > 5
