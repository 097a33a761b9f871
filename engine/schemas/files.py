"""The files of `schemas/`: their names and their texts."""

import json
from collections.abc import Mapping
from typing import Final, TypeVar

from pydantic import TypeAdapter

from engine.core.checkpoint import PartValue
from engine.core.commands import ADAPTER
from engine.core.records import CommitValue, FenceValue
from engine.schemas import headers
from engine.schemas.asyncapi import asyncapi
from engine.schemas.json_schema import schema_of
from engine.schemas.parked import HostAnnouncement, NotedCalls, ParkedChange
from engine.schemas.scenarios import scenarios
from engine.schemas.vectors import vectors_text
from engine.workflow.definition import WorkflowDefinition

T = TypeVar("T")

VECTORS: Final = "acceptance-vectors.json"
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_HEADERS: Final = {
    "workflow": headers.WorkflowHeaders,
    "command": headers.CommandHeaders,
    "commit": headers.CommitHeaders,
    "fence": headers.FenceHeaders,
    "checkpoint": headers.PartHeaders,
    "rejection": headers.RejectionHeaders,
    "parked": headers.ParkedHeaders,
    "calls": headers.CallsHeaders,
    "host": headers.HostHeaders,
}
_IN_FULL: Final = {"parked": "parked change", "calls": "record of calls", "host": "host's announcement"}
"""What the headers are those of, where that is not the file's name."""


def files() -> Mapping[str, str]:
    """Return the text of every file, by its name."""
    texts = {
        "workflow": _text(TypeAdapter(WorkflowDefinition), "A workflow: a file, or the value of a record on workflows"),
        "command": _text(ADAPTER, "A command: the value of a record on commands"),
        "commit": _text(TypeAdapter(CommitValue), "A commit: the value of a record of type runline.commit on events"),
        "fence": _text(TypeAdapter(FenceValue), "A fence: the value of a record of type runline.fence on events"),
        "checkpoint": _text(
            TypeAdapter(PartValue), "A checkpoint part: the value of a record of type runline.checkpoint on events"
        ),
    }
    texts |= {
        "parked": _text(TypeAdapter(ParkedChange), "A parked change: the value of a record of type runline.parked"),
        "calls": _text(TypeAdapter(NotedCalls), "Calls written down: the value of a record of type runline.calls"),
        "host": _text(
            TypeAdapter(HostAnnouncement), "A host's announcement: the value of a record of type runline.host"
        ),
    }
    for name, of in _HEADERS.items():
        texts[f"{name}.headers"] = _text(TypeAdapter(of), f"The headers of a {_IN_FULL.get(name, name)}")
    schemas = {f"{name}.schema.json": text for name, text in texts.items()}
    return schemas | {"asyncapi.yaml": asyncapi(), VECTORS: vectors_text(scenarios())}


def _text(adapter: TypeAdapter[T], title: str) -> str:
    schema = {"$schema": _DRAFT, **schema_of(adapter), "title": title}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
