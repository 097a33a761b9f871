"""A log with everything that is right in it, and ways to damage a copy of it."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import pytest

from engine import Call, ContextObject, EngineService, Registry
from engine.log.partitioner import partition_of
from engine.log.place import places
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, LogRecord, Record
from projections.audit import Audit, Violation, audit_log
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import in_simulation
from tests.simulation.ports import SimulatedClock, SimulatedIds
from tests.support.engines import until
from tests.support.workflows import END, chain, code, edit


def registry() -> Registry:
    """Return functions that change a context in all ways, or fail."""
    made = Registry()

    @made.node("work")
    async def work(context: ContextObject, call: Call) -> None:
        context.set(f"done.{call.node_id}", {"list": [1, 2.0, True, None], "key": call.idempotency_key})
        context.remove_path("input.secret")

    @made.node("fail")
    async def fail(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - a node function's signature
        raise ValueError(call.node_id)

    @made.node("never")
    async def never(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
        await call.wait_cancelled()

    return made


async def make_log(monkeypatch: pytest.MonkeyPatch, *, partitions: int = 2, runs: int = 6) -> SimulatedLog:
    """Return the log of two executors, one after the other: runs of all ends, open ones, refusals, checkpoints."""
    return in_simulation(1, lambda: _make_log(monkeypatch, partitions, runs))


async def _make_log(monkeypatch: pytest.MonkeyPatch, partitions: int, runs: int) -> SimulatedLog:
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_BYTES_MIN", 6_000)
    monkeypatch.setattr("engine.core.checkpoint.CHECKPOINT_PART_BYTES", 700)
    random = Random(1)
    clock = SimulatedClock(asyncio.get_running_loop())
    ids = SimulatedIds(random, clock)
    log = SimulatedLog(partitions, clock.seconds)
    definitions = [
        chain(code("a", "work"), code("b", "work"), END, workflow_id="works"),
        chain(code("a", "work"), code("b", "fail"), END, workflow_id="fails"),
        chain(code("a", "work"), code("b", "never"), END, workflow_id="waits"),
        chain(edit("a", set=[{"path": "x.y", "value": [1]}]), workflow_id="open-end"),
    ]
    for _ in range(2):
        async with EngineService.open(log.client(), registry(), clock=clock, ids=ids) as engine:
            for definition in definitions:
                await engine.publish_workflow(definition)
            for number in range(runs):
                given: dict[str, object] = {"input": {"number": number, "secret": "s"}}
                await engine.run_workflow("works", given)
                await engine.run_workflow("fails", given)
                await engine.run_workflow("open-end", given)
                await _open_and_cancel(engine, given, log)
    return log


async def _open_and_cancel(engine: EngineService, given: Mapping[str, object], log: SimulatedLog) -> None:
    await engine.create_workflow_run("works")
    run_id = await engine.create_workflow_run("waits")
    await engine.start_workflow_run_and_notify(run_id, dict(given))
    rejections = log.partition(REJECTIONS, 0).records
    wanted = len(rejections) + 2
    again = {"type": "run.start", "id": f"again-{run_id}", "run": run_id, "context": {"another": 1}}
    for value in (json.dumps(again).encode(), b"no command"):
        log.land(COMMANDS, partition_of(run_id, log.partitions), Record(run_id, value, {}))
    await until(lambda: len(rejections) == wanted)
    gone = await engine.create_workflow_run("waits")
    await engine.start_workflow_run_and_notify(gone, dict(given))
    await engine.cancel_workflow_run(gone, "enough")


def copy_of(log: SimulatedLog) -> SimulatedLog:
    """Return a log with the same records and the same identity, to be damaged."""
    other = SimulatedLog(log.partitions, shared=log.shared)
    other._topic_ids = dict(log._topic_ids)
    for place in places(log.partitions):
        other.partition(*place).start = log.partition(*place).start
        other.partition(*place).records = list(log.partition(*place).records)
    return other


async def audited(log: SimulatedLog, directory: Path) -> Audit:
    """Audit a log."""
    return await audit_log(log, directory / "work")


def violations(audit: Audit) -> list[Violation]:
    """Return the violations of an audit."""
    return [violation for partition in audit.partitions for violation in partition.violations]


Where = Callable[[LogRecord], bool]


def find(log: SimulatedLog, where: Where, topic: str = EVENTS) -> tuple[list[LogRecord], int]:
    """Return the records of the partition with the first record for which something holds, and its index."""
    for other, partition in places(log.partitions):
        if other == topic:
            records = log.partition(topic, partition).records
            for index, record in enumerate(records):
                if where(record):
                    return records, index
    raise AssertionError("no such record")


def holds(*kinds: str) -> Where:
    """Return whether a record is a commit with exactly these events."""
    return lambda record: record.headers.get("types") == ",".join(kinds)


def kind(name: str) -> Where:
    """Return whether a record is of this type."""
    return lambda record: record.headers.get("ce_type") == f"runline.{name}"


def headed(record: LogRecord, **changes: str | None) -> LogRecord:
    """Return the record with other headers; None takes one away."""
    names = {name.replace("_", "-") if name == "content_type" else name: text for name, text in changes.items()}
    headers = {**record.headers, **names}
    return record._replace(headers={name: text for name, text in headers.items() if text is not None})


def valued(record: LogRecord, change: Callable[[dict[str, object]], object]) -> LogRecord:
    """Return the record with another value, and nothing else changed."""
    value = json.loads(record.value)
    change(value)
    return record._replace(value=json.dumps(value, separators=(",", ":")).encode())


def commit_hash(record: LogRecord) -> str:
    """Return the id that a commit must have."""
    text = f"{record.headers['prev']}\n{record.headers['epoch']}\n".encode()
    return hashlib.sha256(text + record.value).hexdigest()


def part_hash(record: LogRecord) -> str:
    """Return the id that a checkpoint part must have."""
    names = ("epoch", "start", "part", "parts", "commands", "clock")
    return hashlib.sha256("\n".join(record.headers[n] for n in names).encode() + b"\n" + record.value).hexdigest()


def forged(records: list[LogRecord], index: int, changed: LogRecord) -> None:
    """Put a changed commit in its place as somebody would who knows the rule: all hashes behind it fit again."""
    run = changed.key
    changed = headed(changed, ce_id=commit_hash(changed))
    old, new = records[index].headers["ce_id"], changed.headers["ce_id"]
    records[index] = changed
    for at in range(index + 1, len(records)):
        record = records[at]
        if record.key == run and record.headers.get("prev") == old:
            follower = headed(record, prev=new)
            follower = headed(follower, ce_id=commit_hash(follower))
            old, new = record.headers["ce_id"], follower.headers["ce_id"]
            records[at] = follower
        elif record.key == "checkpoint" and old.encode() in record.value:
            part = record._replace(value=record.value.replace(old.encode(), new.encode()))
            records[at] = headed(part, ce_id=part_hash(part))


def inserted(records: list[LogRecord], index: int, record: LogRecord) -> None:
    """Put a record in front of another, at the end of the log: offsets behind stay, so only the last one is free."""
    assert index == len(records)
    records.append(record._replace(offset=records[-1].offset + 1, timestamp=records[-1].timestamp))
