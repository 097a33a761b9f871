import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context.errors import ContextContainerError, ContextIndexError, ContextNameError, ContextPathError
from engine.context.paths import MISSING, find, parse, remove_at, render, set_at
from engine.context.values import Wire, WireObject
from engine.limits import EXPRESSION_CHARACTERS_MAX, PATH_SEGMENTS_MAX
from tests.context.strategies import texts

CONTEXT: WireObject = {
    "order": {"lines": [{"sku": "a"}, {"sku": "b"}], "when": {"$type": "date", "value": "2026-03-01"}},
    "first-name": "Ada",
    "a.b": 1,
    "none": None,
}


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("a", ("a",)),
        ("a.b[0].c", ("a", "b", 0, "c")),
        ("[3][0].x", (3, 0, "x")),
        ("first-name.zwölf", ("first-name", "zwölf")),
        ("two words", ("two words",)),
        ('["a.b"]', ("a.b",)),
        ('a["]"]["\\"\\n"].b', ("a", "]", '"\n', "b")),
        ('[""]', ("",)),
        ("class.in.0", ("class", "in", "0")),
    ],
)
def test_a_path_is_read_into_names_and_indexes(path: str, segments: tuple[str | int, ...]) -> None:
    assert parse(path) == segments
    assert parse(render(segments)) == segments


@given(st.lists(texts | st.integers(0, 999_999_999), min_size=1, max_size=8))
def test_every_rendered_path_is_read_back(segments: list[str | int]) -> None:
    assert list(parse(render(segments))) == segments


@pytest.mark.parametrize(
    ("path", "character"),
    [
        (".a", 1), ("a.", 3), ("a..b", 3), ("a[", 3), ("a[]", 3), ("a[-1]", 3), ("a[01]", 3), ("a[0]b", 5), ("a]", 2),
        (" a", 1), ("a ", 2), ("a.[0]", 3), ('a"b', 2), ('["a', 2), ('["\\ud800"]', 2),
        ("[9999999999]", 2), ("\ud800", 1),
    ],
)  # fmt: skip
def test_what_is_no_path_is_refused_at_its_character(path: str, character: int) -> None:
    with pytest.raises(ContextPathError, match=f"at character {character} of the path"):
        parse(path)


@pytest.mark.parametrize("path", ["", None, 3, ("a",)])
def test_an_empty_path_or_one_that_is_no_text_is_refused(path: str) -> None:
    with pytest.raises(ContextPathError, match=r"expected a path such as a\.b\[0\]\.c, but found"):
        parse(path)


def test_a_path_has_its_limits_and_names_them() -> None:
    assert len(parse(".".join("a" * PATH_SEGMENTS_MAX))) == PATH_SEGMENTS_MAX
    with pytest.raises(ContextPathError, match="at most 64 segments in a path, but found 65"):
        parse(".".join("a" * (PATH_SEGMENTS_MAX + 1)))
    assert parse("a" * EXPRESSION_CHARACTERS_MAX)
    with pytest.raises(ContextPathError, match="at most 2000 characters in a path, but found 2001"):
        parse("a" * (EXPRESSION_CHARACTERS_MAX + 1))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("order.lines[1].sku", "b"), ("none", None), ('["a.b"]', 1), ("first-name", "Ada"),
        ("a.b", MISSING), ("order.lines[2]", MISSING), ("order.lines.sku", MISSING), ("order[0]", MISSING),
        ("none.x", MISSING), ("order.when.value", MISSING), ("first-name[0]", MISSING),
    ],
)  # fmt: skip
def test_find_gives_what_stands_at_a_path_or_missing(path: str, value: object) -> None:
    assert find(CONTEXT, parse(path)) == value


def test_find_gives_the_very_container() -> None:
    assert find(CONTEXT, ["order"]) is CONTEXT["order"]
    assert find(CONTEXT, []) is CONTEXT


def test_find_takes_no_negative_index() -> None:
    assert find(CONTEXT, ["order", "lines", -1]) is MISSING


def test_set_makes_missing_objects_and_shares_everything_beside_the_path() -> None:
    before = copy.deepcopy(CONTEXT)
    after = set_at(CONTEXT, parse("new.deep.value"), 5)
    assert after["new"] == {"deep": {"value": 5}}
    assert after["order"] is CONTEXT["order"]
    after = set_at(CONTEXT, parse("order.lines[0].sku"), "c")
    assert find(after, parse("order.lines")) == [{"sku": "c"}, {"sku": "b"}]
    assert find(after, parse("order.lines[1]")) is find(CONTEXT, parse("order.lines[1]"))
    assert before == CONTEXT


def test_set_at_the_length_of_a_list_appends() -> None:
    assert set_at({"a": []}, ["a", 0], 1) == {"a": [1]}
    assert set_at({"a": [1]}, ["a", 1, "b"], 2) == {"a": [1, {"b": 2}]}


@pytest.mark.parametrize(
    ("path", "error", "text"),
    [
        ("first-name.x", ContextContainerError, "expected an object with the name 'x' at 'first-name' for the path"),
        ("none.x", ContextContainerError, "'none.x', but found None"),
        (
            "order[0]",
            ContextContainerError,
            r"list with the index 0 at 'order' for the path 'order\[0\]', but found an ob",
        ),
        ("order.lines.sku", ContextContainerError, "the name 'sku' at 'order.lines' .* but found a list of 2"),
        ("order.when.value", ContextContainerError, "at 'order.when' .* but found a date"),
        ("order.lines[3]", ContextIndexError, "the list at 'order.lines' has 2 items"),
        ("order.new[0]", ContextContainerError, "expected a list at 'order.new' .* but found nothing"),
        ("[0]", ContextContainerError, "a list with the index 0 at its beginning"),
        ("a.$type", ContextNameError, r"other than '\$type'"),
    ],
)
def test_set_says_where_the_path_ends_and_what_is_there(path: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        set_at(CONTEXT, parse(path), 1)


@pytest.mark.parametrize("segments", [[], ["a"] * (PATH_SEGMENTS_MAX + 1)])
def test_set_refuses_no_segments_and_too_many(segments: list[str | int]) -> None:
    with pytest.raises(ContextPathError, match=f"expected 1 to 64 segments, but found {len(segments)}"):
        set_at({}, segments, 1)


def test_remove_takes_a_name_or_an_item_and_shares_the_rest() -> None:
    before = copy.deepcopy(CONTEXT)
    after = remove_at(CONTEXT, parse("order.lines[0]"))
    assert find(after, parse("order.lines")) == [{"sku": "b"}]
    assert find(after, parse("order.when")) is find(CONTEXT, parse("order.when"))
    assert "none" not in remove_at(CONTEXT, ["none"])
    assert before == CONTEXT


@pytest.mark.parametrize("path", ["missing", "order.lines[2]", "none.x", "order.when.value", "a.b"])
def test_removing_what_is_not_there_gives_the_very_same_context(path: str) -> None:
    assert remove_at(CONTEXT, parse(path)) is CONTEXT


def test_a_value_that_was_set_is_found_as_the_same_object() -> None:
    value: Wire = {"x": [1]}
    assert find(set_at({}, parse("a.b"), value), parse("a.b")) is value
