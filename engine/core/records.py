"""The records of the `events` topic: commits, fences and checkpoint parts, as CloudEvents in Kafka's binary mode."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

import orjson
from typing_extensions import TypedDict

from engine.core.events import Event
from engine.core.upcasters import UPCASTERS
from engine.errors import LogDamagedError
from engine.log.port import LogRecord, Record

COMMIT: Final = "runline.commit"
FENCE: Final = "runline.fence"
PART: Final = "runline.checkpoint"
NO_CHECKPOINT: Final = "none"
FENCE_KEY: Final = "fence"
PART_KEY: Final = "checkpoint"
"""The keys of records about a whole partition; no run id looks like them."""
_WORKFLOWS: Final = "/workflows/"
"""Stands in the `ce_source` of a commit between who wrote it and the workflow of its run."""


class CommitValue(TypedDict):
    """The value of a commit: all events of one decision about one run."""

    run: str
    time: str
    decided: int | None
    events: list[Event]


class FenceValue(TypedDict):
    """The value of a fence: a text that nobody used before, the process that takes the partition, and when."""

    nonce: str
    executor: str
    time: str


class Heading(NamedTuple):
    """What every commit of a run repeats in its headers, for readers that do not parse values."""

    source: str
    correlation: str
    traceparent: str
    checkpoint: str


def source_of(source: str, workflow: str) -> str:
    """Return the `ce_source` of commits about runs of a workflow, from that of other records of the same writer."""
    return source + _WORKFLOWS + workflow


def workflow_of(headers: Mapping[str, str]) -> str | None:
    """Return the id of the workflow that a commit's headers name, or None: early versions named none."""
    _, named, workflow = headers.get("ce_source", "").rpartition(_WORKFLOWS)
    return workflow if named else None


def commit_id(prev: str, epoch: str, value: bytes) -> str:
    """Return the id of a commit: SHA-256 over its predecessor's id, its epoch and its value's bytes, in hex."""
    return sha256(f"{prev}\n{epoch}\n".encode() + value).hexdigest()


def commit_value(run_id: str, time: str, decided: int | None, encoded: Sequence[bytes]) -> bytes:
    """Return a commit's value from its events, each already encoded as JSON."""
    number = b"null" if decided is None else b"%d" % decided
    return b'{"run":"%b","time":"%b","decided":%b,"events":[%b]}' % (
        run_id.encode(),
        time.encode(),
        number,
        b",".join(encoded),
    )


def commit_record(
    value: bytes,
    *,
    run_id: str,
    time: str,
    decided: int | None,
    prev: str,
    epoch: str,
    types: str,
    causation: str,
    heading: Heading,
) -> Record:
    """Return the record of a commit."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": commit_id(prev, epoch, value),
        "ce_type": COMMIT,
        "ce_source": heading.source,
        "ce_subject": run_id,
        "ce_time": time,
        "content-type": "application/json",
        "types": types,
        "correlationid": heading.correlation,
        "epoch": epoch,
        "prev": prev,
        "checkpoint": heading.checkpoint,
    }
    if decided is not None:
        headers["decided"] = str(decided)
    if causation:
        headers["causationid"] = causation
    if heading.traceparent:
        headers["traceparent"] = heading.traceparent
    return Record(run_id, value, headers)


def read_commit(record: LogRecord) -> CommitValue:
    """Return the value of an accepted commit, with its events as those of today.

    Raises:
        LogDamagedError: The bytes are no commit, although their place in the chain is right.
    """
    try:
        value: CommitValue = orjson.loads(record.value)
        if value["run"] == record.key and value["events"]:
            if UPCASTERS.earlier:
                value["events"] = UPCASTERS.upcast(value["events"])
            return value
    except (orjson.JSONDecodeError, KeyError, TypeError):
        pass
    raise LogDamagedError(
        f"expected a commit of run {record.key} at offset {record.offset}, but found {record.value[:80]!r}"
    )


def types_in(headers: Mapping[str, str]) -> list[str]:
    """Return the types of a commit's events as its headers name them, as those of today."""
    types = headers.get("types", "").split(",")
    return list(map(UPCASTERS.type_of, types)) if UPCASTERS.earlier else types


def fence_record(nonce: str, *, executor: str, source: str, time: str, checkpoint: str) -> Record:
    """Return a fence: it takes the partition from whoever wrote before it."""
    value: FenceValue = {"nonce": nonce, "executor": executor, "time": time}
    return Record(
        FENCE_KEY,
        orjson.dumps(value),
        _partition_headers(FENCE, nonce, source, time) | {"nonce": nonce, "checkpoint": checkpoint},
    )


def fence_epoch(offset: int, headers: Mapping[str, str]) -> str:
    """Return the epoch a fence begins: its own offset, and its nonce because a truncated log reuses offsets."""
    return f"{offset}:{headers.get('nonce', '')}"


class PartHeading(NamedTuple):
    """What a checkpoint part says of itself and of its checkpoint.

    Attributes:
        epoch: The epoch it was written under.
        start: The offset *f*: the states are the fold of all records below it.
        part: Its number, from 0.
        parts: How many parts the checkpoint has.
        commands: C, the `commands` offset below which everything was decided at *f*.
        clock: T, the highest timestamp of `commands` below C, in milliseconds; -1 before any.
    """

    epoch: str
    start: int
    part: int
    parts: int
    commands: int
    clock: int


def part_id(heading: PartHeading, value: bytes) -> str:
    """Return the id of a part: SHA-256 over what it says of itself and its value's bytes, in hex."""
    return sha256("\n".join(map(str, heading)).encode() + b"\n" + value).hexdigest()


def part_record(value: bytes, heading: PartHeading, *, source: str, time: str, checkpoint: str) -> Record:
    """Return one part of a checkpoint."""
    return Record(
        PART_KEY,
        value,
        _partition_headers(PART, part_id(heading, value), source, time)
        | {
            "epoch": heading.epoch,
            "start": str(heading.start),
            "part": str(heading.part),
            "parts": str(heading.parts),
            "commands": str(heading.commands),
            "clock": str(heading.clock),
            "checkpoint": checkpoint,
        },
    )


def read_part(headers: Mapping[str, str]) -> PartHeading | None:
    """Return what a part says of itself, or None when its headers are not those of a part."""
    try:
        heading = PartHeading(
            headers["epoch"],
            int(headers["start"]),
            int(headers["part"]),
            int(headers["parts"]),
            int(headers["commands"]),
            int(headers["clock"]),
        )
    except (KeyError, ValueError):
        return None
    return heading if 0 <= heading.part < heading.parts and heading.start >= 0 else None


def _partition_headers(kind: str, identity: str, source: str, time: str) -> dict[str, str]:
    return {
        "ce_specversion": "1.0",
        "ce_id": identity,
        "ce_type": kind,
        "ce_source": source,
        "ce_time": time,
        "content-type": "application/json",
    }
