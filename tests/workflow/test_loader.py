import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DefinitionError
from engine.limits import DEFINITION_BYTES_MAX, DEFINITION_DEPTH_MAX
from engine.workflow.loader import Format, load, loads, parse

EXAMPLE = Path(__file__).parents[2] / "examples" / "example.yaml"


def refusal(text: str | bytes, form: Format = "yaml") -> str:
    with pytest.raises(DefinitionError) as caught:
        parse(text, form, "flow")
    return str(caught.value)


def test_the_example_is_read() -> None:
    definition = load(EXAMPLE)
    assert (definition.id, definition.name) == ("example", "Example Workflow")
    assert [node.type for node in definition.nodes] == ["start", "code", "end"]


def test_yaml_and_json_give_the_same_version(tmp_path: Path) -> None:
    definition = load(EXAMPLE)
    copy = tmp_path / "example.json"
    copy.write_bytes(definition.canonical())
    assert load(copy).version == definition.version


def test_plain_words_of_yaml_are_texts_unless_json_has_them() -> None:
    text = "[yes, no, on, 2024-01-01, 12:30, 1_000, null, ~, true, False, 7, -7, 0o17, 0x1F, 1.5, 1e3, '5', <<]"
    assert parse(text, "yaml") == [
        *("yes", "no", "on", "2024-01-01", "12:30", "1_000", None, None, True, False),
        *(7, -7, 15, 31, 1.5, 1000.0, "5", "<<"),
    ]


def test_keys_of_yaml_are_always_texts() -> None:
    assert parse("{1: a, true: b, null: c, on: d}", "yaml") == {"1": "a", "true": "b", "null": "c", "on": "d"}


def test_block_texts_and_nested_lists_are_read() -> None:
    text = "a: |\n  one\n  two\nb:\n- - 1\n  - {c: }\n- []\n"
    assert parse(text, "yaml") == {"a": "one\ntwo\n", "b": [[1, {"c": None}], []]}


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**30), 10**30)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text("abc: -#\"'{}[],&*!|>\n\tä€", max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab:# ", max_size=3), inner, max_size=4),
    )
)
def test_json_data_is_read_back_from_both_formats(data: object) -> None:
    text = json.dumps(data)
    assert parse(text, "json") == data
    assert parse(text, "yaml") == data


@pytest.mark.parametrize(
    ("text", "form", "place", "problem"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", "yaml", "flow, line 3", "expected YAML"),
        ("a: 1\n\tb: 2", "yaml", "flow, line 2", "expected YAML"),
        ("a: &x 1", "yaml", "line 1, column 4", "the anchor &x"),
        ("a: [1]\nb: *a", "yaml", "line 2, column 4", "the alias *a"),
        ("a: !!python/object/apply:os.system [ls]", "yaml", "line 1, column 4", "the tag"),
        ("a: !!binary aGVsbG8=", "yaml", "line 1, column 4", "the tag"),
        ("a: 1\n---\nb: 2", "yaml", "line 2, column 1", "a second one"),
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3", "yaml", "line 5, column 3", "'c' a second time"),
        ("? [a]\n: 1", "yaml", "line 1, column 3", "a text as key"),
        ('{"a": 1,\n "b": }', "json", "line 2, column 7", "expected JSON"),
        ('{"a": 1,\n "b": {"x": [":"], "c": 1,\n "\\u0063": 2}}', "json", "line 3, column 2", "'c' a second time"),
        ('{"a": NaN}', "json", "line 1, column 7", "the number NaN"),
        ('{"NaN": "-Infinity",\n "b": -Infinity]]', "json", "line 2, column 7", "the number -Infinity"),
        (f'{{"a": {"1" * 5_000}.5,\n "b": -{"1" * 5_000}}}', "json", "line 2, column 7", "found one of 5000 digits"),
        (f'{{"a": {"1" * 5_000}e5, "b": "{"1" * 5_000}", "c": NaN, "d": 1', "json", "line 1", "the number NaN"),
        ('{"a": "\\ud83d\\ude00",\n "b": "x\\udc00"}', "json", "line 2, column 7", "found a lone surrogate"),
        ('{"\\uD800": 1}', "json", "line 1, column 2", "found a lone surrogate"),
        ("", "json", "line 1, column 1", "expected JSON"),
        (b'{"a": "\xff"}', "json", "line 1", "the byte 0xff"),
        ("a: \x00", "yaml", "line 1, column 4", "found: control characters are not allowed: '\\x00'."),
        ("a: 1\nb\xe4: \U0001f600\x01", "yaml", "line 2, column 6", "not allowed: '\\x01'."),
    ],
)
def test_an_unreadable_text_is_refused_with_its_place(
    text: str | bytes, form: Format, place: str, problem: str
) -> None:
    message = refusal(text, form)
    assert place in message
    assert problem in message


@pytest.mark.parametrize("form", ["yaml", "json"])
@pytest.mark.parametrize("depth", [DEFINITION_DEPTH_MAX + 1, 5_000, 200_000])
def test_a_text_that_nests_deeply_is_refused(form: Format, depth: int) -> None:
    message = refusal("[" * depth + "]" * depth, form)
    assert f"at most {DEFINITION_DEPTH_MAX} lists and objects inside each other" in message


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_text_that_nests_to_the_limit_is_read(form: Format) -> None:
    assert parse("[" * DEFINITION_DEPTH_MAX + "]" * DEFINITION_DEPTH_MAX, form)


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_text_over_the_limit_is_refused_before_it_is_parsed(form: Format) -> None:
    assert "bytes, found more" in refusal("{" * (DEFINITION_BYTES_MAX + 1), form)
    assert parse('"' + "x" * (DEFINITION_BYTES_MAX - 2) + '"', form) == "x" * (DEFINITION_BYTES_MAX - 2)


def test_a_huge_integer_is_refused_without_crashing() -> None:
    digits = "9" * 10_000
    assert parse(f"[{digits}]", "yaml") in ([float("inf")], [digits])
    assert "flow" in refusal(f"[{digits}]", "json")


@pytest.mark.parametrize(
    ("name", "problem"),
    [("missing.yaml", "No such file"), ("flow.txt", "ending in .yaml, .yml, .json"), ("folder.yaml", "directory")],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(DefinitionError, match=problem) as caught:
        load(tmp_path / name)
    assert name in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert parse(b"\xef\xbb\xbf[1]", "json") == [1]
    assert parse(b"\xef\xbb\xbf[1]", "yaml") == [1]


@pytest.mark.parametrize("text", ["", "[]", "5", "null"])
def test_a_document_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError, match="expected an object with id, name and nodes"):
        loads(text, "yaml", "flow")
