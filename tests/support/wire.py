"""Records read from a log, checked against the published schemas and as CloudEvents, by other people's libraries."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import cache

import orjson
import yaml
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.protocols import Validator
from pydantic.json_schema import JsonSchemaValue

from engine.core.commands import decode
from engine.core.rejection import Rejection
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, WORKFLOWS, LogRecord, Record
from engine.schemas import files

KINDS = {
    "runline.workflow": (WORKFLOWS, "workflow", "workflowVersion"),
    "run.create": (COMMANDS, "command", "createRun"),
    "run.start": (COMMANDS, "command", "startRun"),
    "run.cancel": (COMMANDS, "command", "cancelRun"),
    "runline.commit": (EVENTS, "commit", "commit"),
    "runline.fence": (EVENTS, "fence", "fence"),
    "runline.checkpoint": (EVENTS, "checkpoint", "checkpointPart"),
    "runline.rejection": (REJECTIONS, "rejection", "rejection"),
}
"""For every kind of record: its topic, how its files in `schemas/` begin, and its name in the AsyncAPI document."""
UNDECODABLE = "undecodable"
"""What a record on `commands` that holds no command is counted as."""


def check_records(topic: str, records: Iterable[LogRecord]) -> Counter[str]:
    """Check every record of a topic: headers, key and value against the schemas, and as a CloudEvent.

    Fields and headers that the schemas do not name are mistakes here, though readers ignore them. What others write on
    `commands` needs no headers and may be anything.

    Args:
        topic: The topic, by our own name.
        records: From any partition of any log.

    Returns:
        How many there were of each type, so that a test can say what it has checked.

    Raises:
        AssertionError: One is not as published; the text names its offset and what is wrong.
    """
    found: Counter[str] = Counter()
    for record in records:
        try:
            found[_check(topic, record)] += 1
        except Exception as error:
            # Whatever is wrong, and whichever library says so: the record is named.
            raise AssertionError(f"record {record.offset} of {topic}: {error}\n{record}") from error
    return found


def cloud_event(record: Record | LogRecord) -> BaseCloudEvent:
    """Return a record as the CloudEvents library reads it from Kafka in binary mode; raises when it is none."""
    headers = {name: text.encode() for name, text in record.headers.items()}
    return from_binary(KafkaMessage(headers, record.key.encode() or None, record.value), JSONFormat())


@cache
def validator(name: str) -> Validator:
    """Return the validator of a file in `schemas/`, with nothing allowed that it does not name."""
    return Draft202012Validator(_closed(json.loads(files()[f"{name}.schema.json"])))


@cache
def asyncapi_validator(message: str, part: str) -> Validator:
    """Return the validator of a message's `headers`, `payload` or `key` in the AsyncAPI document."""
    document = yaml.safe_load(files()["asyncapi.yaml"])
    described = document["components"]["messages"][message]
    schema = described["bindings"]["kafka"]["key"] if part == "key" else described[part]
    # It speaks draft 7, where a reference swallows what stands beside it: so it stands one level below.
    return Draft7Validator(_closed({"allOf": [schema], "components": document["components"]}))


def problems(checker: Validator, value: object) -> list[str]:
    """Return what is wrong with a value that came from JSON."""
    errors = checker.iter_errors(value)  # type: ignore[arg-type]  # its stubs have no word for such a value of any type
    return [f"{error.json_path}: {error.message}" for error in errors]


def _closed(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Return a schema that allows no properties but those it names."""
    closed = {name: _closed_inside(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def _closed_inside(value: object) -> object:
    if isinstance(value, list):
        return [_closed_inside(each) for each in value]
    return _closed(value) if isinstance(value, dict) else value


def _check(topic: str, record: LogRecord) -> str:
    kind = record.headers.get("ce_type", "")
    event = topic != COMMANDS or "ce_specversion" in record.headers
    if topic == COMMANDS:
        command = decode(record.value)
        if isinstance(command, Rejection):
            return UNDECODABLE
        kind = command.type
    assert kind in KINDS, f"unknown type {kind!r}"
    where, file, message = KINDS[kind]
    assert topic == where, f"expected on {where}"
    if event:
        _agree(file, message, "headers", dict(record.headers))
        _check_event(record, kind)
    if event and topic != REJECTIONS:
        _require_none(problems(asyncapi_validator(message, "key"), record.key), "key")
    if topic != REJECTIONS:
        _agree(file, message, "payload", orjson.loads(record.value))
    if (rule := _RULES.get(kind)) is not None:
        rule(record, record.headers)
    return kind


def _agree(file: str, message: str, part: str, value: object) -> None:
    """Check a value against its file and against the AsyncAPI document."""
    name = f"{file}.headers" if part == "headers" else file
    _require_none(problems(validator(name), value), part)
    _require_none(problems(asyncapi_validator(message, part), value), f"{part} in AsyncAPI")


def _require_none(wrong: list[str], what: str) -> None:
    assert not wrong, f"{what}: {wrong}"


def _check_event(record: LogRecord, kind: str) -> None:
    event, headers = cloud_event(record), record.headers
    assert (event.get_id(), event.get_type(), event.get_source()) == (headers["ce_id"], kind, headers["ce_source"])
    assert event.get_specversion() == "1.0"
    assert event.get_subject() == headers.get("ce_subject")
    assert event.get_datacontenttype() == headers["content-type"]
    if headers["content-type"] == "application/json":
        assert event.get_data() == json.loads(record.value)
    if (time := event.get_time()) is not None:
        assert time.utcoffset() == timedelta(0)
    assert time is not None or kind.startswith("run."), "only commands rely on the log's time"


def _check_workflow(record: LogRecord, headers: Mapping[str, str]) -> None:
    assert headers["version"] == hashlib.sha256(record.value).hexdigest()
    assert record.key == headers["ce_id"] == f"{headers['ce_subject']}/{headers['version']}"
    assert json.loads(record.value)["id"] == headers["ce_subject"]


def _check_commit(record: LogRecord, headers: Mapping[str, str]) -> None:
    value = json.loads(record.value)
    assert record.key == headers["ce_subject"] == value["run"]
    assert headers["ce_time"] == value["time"]
    assert headers.get("decided") == (None if value["decided"] is None else str(value["decided"]))
    assert headers["types"] == ",".join(event["type"] for event in value["events"])
    hashed = hashlib.sha256(f"{headers['prev']}\n{headers['epoch']}\n".encode() + record.value)
    assert headers["ce_id"] == hashed.hexdigest()


def _check_fence(record: LogRecord, headers: Mapping[str, str]) -> None:
    value = json.loads(record.value)
    assert headers["ce_id"] == headers["nonce"] == value["nonce"]
    assert headers["ce_time"] == value["time"]


def _check_part(record: LogRecord, headers: Mapping[str, str]) -> None:
    assert 0 <= int(headers["part"]) < int(headers["parts"])
    assert int(headers["start"]) <= record.offset


def _check_rejection(record: LogRecord, headers: Mapping[str, str]) -> None:
    assert headers["ce_id"] == f"{headers['partition']}/{headers['offset']}"
    assert headers.get("ce_subject", "") == record.key
    assert int(headers["size"]) >= len(record.value)
    if headers["content-type"] == "application/json":
        command = decode(record.value)
        assert not isinstance(command, Rejection)
        assert command.id == headers["causationid"]


_RULES: dict[str, Callable[[LogRecord, Mapping[str, str]], None]] = {
    "runline.workflow": _check_workflow,
    "runline.commit": _check_commit,
    "runline.fence": _check_fence,
    "runline.checkpoint": _check_part,
    "runline.rejection": _check_rejection,
}
"""What the texts of the schemas say and JSON Schema cannot."""
