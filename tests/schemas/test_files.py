"""The files in `schemas/` are those of the code, and other people's validators accept them."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from engine.context.typed import FORMS
from engine.log.kafka.topics import _RULES
from engine.log.port import PARKED, TOPICS
from engine.schemas import files
from tests.support.wire import asyncapi_validator, problems, validator

with warnings.catch_warnings():
    # Two of its models have a field named schema, which pydantic mentions each time it is imported.
    warnings.simplefilter("ignore", UserWarning)
    from asyncapi3 import AsyncAPI3  # type: ignore[import-untyped]  # it has types, but does not say so

DIRECTORY = Path(__file__).parents[2] / "schemas"
JSON_SCHEMAS = [name for name in files() if name.endswith(".schema.json")]


def document() -> dict[str, object]:
    made = yaml.safe_load(files()["asyncapi.yaml"])
    assert isinstance(made, dict)
    return made


def nodes(tree: object) -> Iterator[dict[str, object]]:
    """Yield every object in a tree of JSON."""
    if isinstance(tree, dict):
        yield tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(inner)


def resolved(tree: object, reference: str) -> object:
    assert reference.startswith("#/"), f"{reference} leads out of the document"
    for name in reference[2:].split("/"):
        assert isinstance(tree, dict)
        tree = tree[name]
    return tree


def test_the_directory_holds_what_the_code_says_and_nothing_else() -> None:
    assert sorted(path.name for path in DIRECTORY.iterdir()) == sorted(files())
    for name, text in files().items():
        assert (DIRECTORY / name).read_text(encoding="utf-8") == text, f"{name} is old: run 'make schemas'"


@pytest.mark.parametrize("name", JSON_SCHEMAS)
def test_every_json_schema_keeps_to_its_draft(name: str) -> None:
    schema = json.loads(files()[name])
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)
    for node in nodes(schema):
        if isinstance(reference := node.get("$ref"), str):
            resolved(schema, reference)


def test_the_asyncapi_document_is_one() -> None:
    read = AsyncAPI3.model_validate(document())
    assert read.asyncapi == "3.0.0"
    with pytest.raises(ValueError, match="extension"):
        AsyncAPI3.model_validate({**document(), "unknown": 1})


def test_every_schema_in_the_asyncapi_document_keeps_to_the_draft_that_it_speaks() -> None:
    components = document()["components"]
    assert isinstance(components, dict)
    assert len(components["schemas"]) > 20
    for schema in components["schemas"].values():
        Draft7Validator.check_schema(schema)


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    whole = document()
    references = [node["$ref"] for node in nodes(whole) if isinstance(node.get("$ref"), str)]
    assert len(references) > 50
    for reference in references:
        resolved(whole, str(reference))


def test_every_message_has_an_operation_in_each_direction_that_there_is() -> None:
    whole = document()
    channels, operations = whole["channels"], whole["operations"]
    assert isinstance(channels, dict)
    assert isinstance(operations, dict)
    assert list(channels) == [*TOPICS, PARKED]
    sent = {
        each["$ref"]
        for name, operation in operations.items()
        if operation["action"] == "send"
        for each in operation["messages"]
    }
    assert sent == {f"#/channels/{topic}/messages/{name}" for topic in channels for name in channels[topic]["messages"]}


def test_the_topics_are_described_as_they_are_made() -> None:
    channels = document()["channels"]
    assert isinstance(channels, dict)
    for topic in (*TOPICS, PARKED):
        configuration = channels[topic]["bindings"]["kafka"]["topicConfiguration"]
        described = {
            name: ",".join(value) if isinstance(value, list) else str(value) for name, value in configuration.items()
        }
        assert described == {name: rule.value for name, rule in _RULES[topic].items()}, topic


def test_the_examples_are_valid() -> None:
    messages = resolved(document(), "#/components/messages")
    assert isinstance(messages, dict)
    shown = {name: message["examples"] for name, message in messages.items() if "examples" in message}
    assert list(shown) == ["createRun", "startRun", "cancelRun"]
    for name, examples in shown.items():
        for example in examples:
            assert problems(asyncapi_validator(name, "payload"), example["payload"]) == []
            assert problems(validator("command"), example["payload"]) == []


def test_contexts_stand_wherever_a_context_is() -> None:
    commands, commits = json.loads(files()["command.schema.json"]), json.loads(files()["commit.schema.json"])
    context = {"$ref": "#/$defs/Context"}
    assert context.items() <= commands["$defs"]["StartRun"]["properties"]["context"].items()
    for event, name in {"RunStarted": "context", "RunSucceeded": "output", "RunFailed": "output"}.items():
        assert commits["$defs"][event]["properties"][name] == context
    assert commands["$defs"]["Context"] == commits["$defs"]["Context"]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_typed_values_have_the_texts_that_the_engine_reads(form: object) -> None:
    name, example = form.name, form.example  # type: ignore[attr-defined]  # a form
    definitions = json.loads(files()["command.schema.json"])["$defs"]
    checker = Draft202012Validator({"$ref": "#/$defs/ContextValue", "$defs": definitions})
    assert problems(checker, {"$type": name, "value": example}) == []
    assert problems(checker, {"$type": name, "value": f"{example}!"})
    assert problems(checker, {"$type": name, "value": 1})
    assert problems(checker, {"$type": name})
    assert problems(checker, {"$type": "mine", "value": [{"a": 1}]}) == []
    assert problems(checker, {"$type": "mine", "value": [{"$type": name, "value": example}]})
