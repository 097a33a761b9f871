import hashlib
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from engine.limits import (
    DEFINITION_BYTES_MAX,
    DEFINITION_CONNECTIONS_MAX,
    DEFINITION_NODES_MAX,
    ID_CHARACTERS_MAX,
    NODE_EXECUTIONS_DEFAULT,
    NODE_EXECUTIONS_MAX,
    TITLE_CHARACTERS_MAX,
)
from engine.workflow.definition import Connection, NodeDefinition, WorkflowDefinition

MINIMAL: dict[str, object] = {"id": "a", "name": "A", "nodes": [{"id": "s", "type": "start"}]}

numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


def model(**fields: object) -> WorkflowDefinition:
    return WorkflowDefinition.model_validate({**MINIMAL, **fields})


def test_explicit_defaults_give_the_same_version() -> None:
    connections = [{"from": "s", "to": "s"}]
    explicit = model(
        description=None,
        node_execution_limit=NODE_EXECUTIONS_DEFAULT,
        nodes=[{"id": "s", "type": "start", "title": "s", "configuration": {}}],
        connections=[{"from": "s", "to": "s", "output": "next"}],
    )
    assert explicit.version == model(connections=connections).version


def test_the_version_is_the_hash_of_the_canonical_json() -> None:
    definition = model(connections=[{"from": "s", "to": "s"}])
    assert definition.canonical() == (
        b'{"connections":[{"from":"s","output":"next","to":"s"}],"description":null,"id":"a","name":"A",'
        b'"node_execution_limit":1000,"nodes":[{"configuration":{},"id":"s","title":"s","type":"start"}]}'
    )
    assert definition.version == hashlib.sha256(definition.canonical()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "B"},
        {"id": "b"},
        {"description": "words"},
        {"node_execution_limit": 7},
        {"nodes": [{"id": "s", "type": "start", "title": "t"}]},
        {"nodes": [{"id": "s", "type": "start", "configuration": {"inputs": []}}]},
    ],
)
def test_every_change_gives_another_version(change: dict[str, object]) -> None:
    assert model(**change).version != model().version


@given(st.dictionaries(texts, values, max_size=4))
def test_canonical_json_is_read_back_exactly_in_any_key_order(configuration: dict[str, JsonValue]) -> None:
    definition = model(nodes=[{"id": "s", "type": "start", "configuration": configuration}])
    again = WorkflowDefinition.from_canonical(definition.canonical())
    assert again.canonical() == definition.canonical()
    assert again == definition
    shuffled = json.loads(definition.canonical(), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert WorkflowDefinition.model_validate(shuffled).version == definition.version


def test_an_integer_and_a_float_are_different_configurations() -> None:
    one, other = (model(nodes=[{"id": "s", "type": "start", "configuration": {"n": n}}]) for n in (1, 1.0))
    assert one.version != other.version


def test_a_definition_cannot_be_changed() -> None:
    definition = model()
    with pytest.raises(ValidationError, match="frozen"):
        definition.name = "B"


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    "update",
    [
        {"name": "B"},
        {"id": "b"},
        {"node_execution_limit": 7},
        {"nodes": [{"id": "s", "type": "start", "title": "t"}]},
        {"nodes": [NodeDefinition(id="s", type="start", title="t")]},
        {"nodes": (NodeDefinition(id="s", type="start"), {"id": "e", "type": "end"})},
        {"connections": (Connection(source="s", to="s"),)},
        {"connections": [{"from": "s", "to": "s"}]},
        {"connections": [{"source": "s", "to": "s"}]},
    ],
)
def test_a_changed_copy_is_the_definition_that_its_fields_make(update: dict[str, object], *, deep: bool) -> None:
    original = model(description="words")
    before = original.version
    copy = original.model_copy(update=update, deep=deep)
    assert copy == WorkflowDefinition(**{**MINIMAL, "description": "words", **update})  # type: ignore[arg-type]  # data
    assert copy.version == hashlib.sha256(copy.canonical()).hexdigest() != before == original.version
    assert WorkflowDefinition.from_canonical(copy.canonical()) == copy


def test_a_copy_without_changes_is_equal_and_shares_no_configuration() -> None:
    configuration: dict[str, JsonValue] = {"a": [1]}
    original = model(nodes=[{"id": "s", "type": "start", "configuration": configuration}])
    copy = original.model_copy()
    assert copy == original
    assert copy.version == original.version
    assert copy.nodes[0].configuration["a"] is not original.nodes[0].configuration["a"]


@pytest.mark.parametrize(
    ("update", "place"),
    [
        ({"id": "x y"}, "id"),
        ({"nmae": "B"}, "nmae"),
        ({"name": 5}, "name"),
        ({"nodes": [NodeDefinition.model_construct(id="x y", type="start", title="t")]}, "nodes.0.id"),
        ({"connections": (Connection.model_construct(source="s", output="o", to="x y"),)}, "connections.0.to"),
    ],
)
def test_a_copy_with_what_no_definition_can_have_is_refused(update: dict[str, object], place: str) -> None:
    with pytest.raises(ValidationError, match=f"\n{place}\n"):
        model().model_copy(update=update)


def test_nodes_and_connections_are_copied_by_the_same_rules() -> None:
    node = NodeDefinition(id="a", type="code")
    assert node.model_copy(update={"id": "b"}) == NodeDefinition(id="b", type="code", title="a")
    assert Connection(source="a", to="b").model_copy(update={"source": "c"}) == Connection(source="c", to="b")
    with pytest.raises(ValidationError, match="id"):
        node.model_copy(update={"id": "x y"})


def test_python_names_the_source_of_a_connection() -> None:
    assert Connection(source="a", to="b").model_dump() == {"from": "a", "output": "next", "to": "b"}
    assert NodeDefinition(id="a", type="code").title == "a"


@pytest.mark.parametrize("name", ["", ".a", "a b", "ä", "a\n", "a/b", "a" * (ID_CHARACTERS_MAX + 1)])
def test_a_bad_id_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        model(id=name)


@pytest.mark.parametrize("name", ["a", "-", "A.b_c-9", "0", "a" * ID_CHARACTERS_MAX])
def test_a_good_id_is_taken(name: str) -> None:
    assert model(id=name).id == name


@pytest.mark.parametrize(
    "fields",
    [
        {"name": " "},
        {"name": "x" * (TITLE_CHARACTERS_MAX + 1)},
        {"name": 5},
        {"node_execution_limit": 0},
        {"node_execution_limit": NODE_EXECUTIONS_MAX + 1},
        {"node_execution_limit": True},
        {"node_execution_limit": "7"},
        {"nodes": [{"id": f"n{n}", "type": "x"} for n in range(DEFINITION_NODES_MAX + 1)]},
        {"connections": [{"from": "s", "to": "s"}] * (DEFINITION_CONNECTIONS_MAX + 1)},
        {"unknown": 1},
    ],
)
def test_a_field_of_a_wrong_kind_or_over_its_limit_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        model(**fields)


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"a": float("nan")}, "finite number, found nan at a"),
        ({"a": [1, {"b": 2**63}]}, r"to 9223372036854775807, found 9223372036854775808 at a\[1\].b"),
        ({"a": "\ud800"}, "lone surrogate at a"),
        ({"\ud800": 1}, "lone surrogate"),
        ({"a": orjson.loads(b"[" * 64 + b"]" * 64)}, "at most 64 containers"),
    ],
)
def test_a_configuration_that_not_every_json_reader_reads_is_refused(
    configuration: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        model(nodes=[{"id": "s", "type": "start", "configuration": configuration}])


def test_a_definition_larger_than_a_record_is_refused() -> None:
    configuration = {"a": "x" * (DEFINITION_BYTES_MAX // 2)}
    nodes = [{"id": name, "type": "start", "configuration": configuration} for name in "st"]
    with pytest.raises(ValidationError, match=f"at most {DEFINITION_BYTES_MAX} bytes"):
        model(nodes=nodes)
