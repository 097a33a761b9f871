"""The AsyncAPI 3 document of the topics: for people, and for the tools that read such documents."""

from typing import Final

import orjson
import yaml
from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaValue

from engine.core.commands import encode
from engine.limits import (
    KAFKA_COMMANDS_RETENTION_HOURS,
    KAFKA_MESSAGE_BYTES_MAX,
    KAFKA_PARTITIONS,
    KAFKA_REPLICAS,
)
from engine.log.place import partitions_of
from engine.log.port import COMMANDS, EVENTS, PARKED, REJECTIONS, WORKFLOWS
from engine.schemas.json_schema import definitions_of
from engine.schemas.messages import MESSAGES, Message

VERSION: Final = "1.0.0"
"""The version of what stands on the log. The first number rises with what an older reader cannot read."""

_SCHEMA: Final = "#/components/schemas/{model}"
_BINDING: Final = "0.5.0"
"""The version of AsyncAPI's Kafka bindings."""
_DAYS: Final = {
    "cleanup.policy": ["delete"],
    "retention.ms": KAFKA_COMMANDS_RETENTION_HOURS * 3_600_000,
    "retention.bytes": -1,
}
_FOR_EVER: Final = {"cleanup.policy": ["delete"], "retention.ms": -1, "retention.bytes": -1}

_TOPICS: Final[dict[str, tuple[str, JsonSchemaValue]]] = {
    WORKFLOWS: ("Every published workflow version, kept for ever.", {"cleanup.policy": ["compact"]}),
    COMMANDS: ("Requests from any producer in any language. Each is decided once.", _DAYS),
    EVENTS: ("The history: all commits, between them fences and checkpoints. Kept for ever.", _FOR_EVER),
    REJECTIONS: ("Commands that were refused, with the reason.", _DAYS),
    PARKED: (
        "What progress services could not deal with, until people decide. Only logs on Kafka have it.",
        {"cleanup.policy": ["compact"]},
    ),
}
_ABOUT_RUNS: Final = ("createRun", "startRun", "cancelRun")
_HOSTS: Final = ("parkedChange", "notedCalls", "hostAnnouncement")
_HISTORY: Final = ("commit", "fence", "checkpointPart")
_OPERATIONS: Final[dict[str, tuple[str, str, str, tuple[str, ...]]]] = {
    "takeCommand": ("receive", COMMANDS, "Executors take commands, whoever sends them.", _ABOUT_RUNS),
    "sendCommand": ("send", COMMANDS, "Programs send commands; executors forward what came astray.", _ABOUT_RUNS),
    "appendEvent": ("send", EVENTS, "Executors append what they decide.", _HISTORY),
    "readEvent": ("receive", EVENTS, "Executors and followers read the history.", _HISTORY),
    "rejectCommand": ("send", REJECTIONS, "Executors say what they refuse, and why.", ("rejection",)),
    "publishWorkflow": ("send", WORKFLOWS, "Programs publish workflow versions.", ("workflowVersion",)),
    "readWorkflow": ("receive", WORKFLOWS, "Executors read what runs are pinned to.", ("workflowVersion",)),
    "park": ("send", PARKED, "Hosts keep what is theirs, and people ask for what is parked.", _HOSTS),
    "readParked": ("receive", PARKED, "Hosts of a group read what the others of it have written.", _HOSTS),
}
_DESCRIPTION: Final = (
    "Runline is an event-sourced workflow engine: what it does is decided by the order of the records on these topics. "
    "Every record that it writes is a CloudEvent 1.0 in Kafka's binary mode: attributes as headers, JSON as the "
    "value; what hosts of progress services write for themselves on `parked` is none. Readers ignore headers and "
    "fields that they do not know. Commands from other producers need no headers."
)


class _Dumper(yaml.SafeDumper):
    """Writes what occurs twice twice: references between parts of the document are AsyncAPI's, not YAML's."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the library's signature
        return True


def asyncapi() -> str:
    """Return the document as YAML."""
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Runline",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic: _channel(topic) for topic in _TOPICS},
        "operations": {name: _operation(*each) for name, each in _OPERATIONS.items()},
        "components": {
            "parameters": {
                "prefix": {"default": "runline", "description": "Begins the names of all topics of one installation."}
            },
            "messages": {message.name: _message(message) for message in MESSAGES},
            "schemas": _schemas(),
        },
    }
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _channel(topic: str) -> JsonSchemaValue:
    description, configuration = _TOPICS[topic]
    return {
        "address": f"{{prefix}}.{topic}",
        "title": topic,
        "description": description,
        "parameters": {"prefix": {"$ref": "#/components/parameters/prefix"}},
        "messages": {
            message.name: {"$ref": f"#/components/messages/{message.name}"}
            for message in MESSAGES
            if message.topic == topic
        },
        "bindings": {
            "kafka": {
                "partitions": partitions_of(topic, KAFKA_PARTITIONS),
                "replicas": KAFKA_REPLICAS,
                "topicConfiguration": {
                    **configuration,
                    "max.message.bytes": KAFKA_MESSAGE_BYTES_MAX,
                    "message.timestamp.type": "LogAppendTime",
                },
                "bindingVersion": _BINDING,
            }
        },
    }


def _operation(action: str, topic: str, summary: str, messages: tuple[str, ...]) -> JsonSchemaValue:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{topic}/messages/{name}"} for name in messages],
    }


def _message(message: Message) -> JsonSchemaValue:
    document: JsonSchemaValue = {
        "name": message.name,
        "title": message.title,
        "summary": message.summary,
        "contentType": "application/json" if message.value is not None else "application/octet-stream",
        "headers": {"$ref": _SCHEMA.format(model=message.headers.__name__)},
    }
    if message.value is not None:
        document["payload"] = {"$ref": _SCHEMA.format(model=message.value.__name__)}
    if message.correlation:
        document["correlationId"] = {"location": message.correlation}
    if message.example is not None:
        document["examples"] = [{"payload": orjson.loads(encode(message.example))}]
    if message.key is not None:
        document["bindings"] = {"kafka": {"key": message.key, "bindingVersion": _BINDING}}
    return document


def _schemas() -> JsonSchemaValue:
    types = [each for message in MESSAGES for each in (message.headers, message.value) if each is not None]
    return dict(sorted(definitions_of({each.__name__: TypeAdapter(each) for each in types}, _SCHEMA).items()))
