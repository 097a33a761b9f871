"""The JSON Schemas of what stands on the log and in workflow files, generated from the code.

`python -m engine.schemas` writes them to `schemas/`; a test compares.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaValue

from engine.core.commands import ADAPTER
from engine.core.records import CommitValue
from engine.workflow.definition import WorkflowDefinition

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> Mapping[str, str]:
    """Return file name to text."""
    return {
        "command.schema.json": _text("A command, the value of a record on `commands`", ADAPTER.json_schema()),
        "commit.schema.json": _text(
            "A commit, the value of a record of type runline.commit on `events`", TypeAdapter(CommitValue).json_schema()
        ),
        "workflow.schema.json": _text("A workflow definition", WorkflowDefinition.model_json_schema(by_alias=True)),
    }


def _text(title: str, schema: JsonSchemaValue) -> str:
    return json.dumps({"$schema": DRAFT, **schema, "title": title}, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    directory = Path("schemas")
    directory.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (directory / name).write_text(text, encoding="utf-8")
