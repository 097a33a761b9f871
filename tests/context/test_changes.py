import copy
import tracemalloc
from typing import cast

import orjson
import pytest
from hypothesis import example, given

from engine.context.changes import apply, difference, same
from engine.context.errors import ContextChangeError
from engine.context.values import Change, WireObject
from engine.limits import CONTEXT_BYTES_MAX, RECORD_BYTES_MAX
from tests.context.strategies import exact, wire_objects


@given(wire_objects, wire_objects)
@example({"a": 1}, {"a": 1.0})
@example({"a": 0.0}, {"a": -0.0})
@example({"a": [1, 2]}, {"a": [True, 2, 3]})
@example({"a": {"$type": "date", "value": "2026-03-01"}}, {"a": {"value": 1}})
@example({str(i): i for i in range(40)}, {str(i): -i for i in range(40)})
def test_the_difference_makes_one_context_from_another_exactly(before: WireObject, after: WireObject) -> None:
    copies = copy.deepcopy((before, after))
    changes = difference(before, after)
    assert exact(apply(before, changes)) == exact(after)
    assert exact((before, after)) == exact(copies), "changed in place"
    assert (changes == []) == (exact(before) == exact(after))
    # They travel through JSON, and each reader must come to the same.
    assert exact(apply(before, orjson.loads(orjson.dumps(changes)))) == exact(after)


@given(wire_objects, wire_objects)
def test_two_values_are_the_same_when_their_types_and_bits_are(one: WireObject, other: WireObject) -> None:
    assert same(one, copy.deepcopy(one))
    assert same(one, other) == (exact(one) == exact(other))


def test_the_same_context_is_not_even_looked_at() -> None:
    context: WireObject = {"a": cast("None", object())}
    assert difference(context, context) == []


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": 2}, {"b": 2}, [("remove", ["a"])]),
        ({}, {"a": None}, [("set", ["a"], None)]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [("set", ["a", "c"], 3)]),
        ({"a": {"b": 1}}, {"a": {}}, [("remove", ["a", "b"])]),
        ({"a": [1, 2, 3]}, {"a": [1, 5, 3]}, [("set", ["a", 1], 5)]),
        ({"a": [1]}, {"a": [1, 2, 3]}, [("set", ["a", 1], 2), ("set", ["a", 2], 3)]),
        ({"a": [1, 2]}, {"a": [2]}, [("set", ["a"], [2])]),
        ({"a": [1]}, {"a": [2, 3]}, [("set", ["a"], [2, 3])]),
        ({"a": [{"b": 1}]}, {"a": [{"b": True}]}, [("set", ["a", 0, "b"], True)]),
        ({"a": {"$type": "x", "value": 1}}, {"a": {"$type": "x", "value": 2}},
         [("set", ["a"], {"$type": "x", "value": 2})]),
        ({"a": {}}, {"a": []}, [("set", ["a"], [])]),
    ],
)  # fmt: skip
def test_the_difference_names_what_changed_and_no_more(
    before: WireObject, after: WireObject, changes: list[tuple[object, ...]]
) -> None:
    assert [tuple(change.values()) for change in difference(before, after)] == changes


def test_the_order_of_names_is_no_change() -> None:
    assert difference({"a": 1, "b": 2}, {"b": 2, "a": 1}) == []


def test_many_changes_in_one_container_set_it_as_a_whole() -> None:
    before: WireObject = {"numbers": list(range(1_000)), "other": 1}
    after: WireObject = {"numbers": list(range(1, 1_001)), "other": 1}
    assert difference(before, after) == [{"op": "set", "path": ["numbers"], "value": after["numbers"]}]


def test_the_changes_of_the_largest_context_fit_one_record() -> None:
    before: WireObject = {f"{i:04x}": 0 for i in range(26_000)}
    after: WireObject = dict.fromkeys(before, 1)
    assert CONTEXT_BYTES_MAX * 0.8 < len(orjson.dumps(after)) < CONTEXT_BYTES_MAX
    changes = difference(before, after)
    assert len(orjson.dumps(changes)) < CONTEXT_BYTES_MAX + 100 < RECORD_BYTES_MAX
    assert apply(before, changes) == after


def test_few_changes_in_a_large_container_stay_few() -> None:
    before: WireObject = {"rows": [{"id": i, "text": "x" * 50} for i in range(100)]}
    after = copy.deepcopy(before)
    rows = cast("list[dict[str, int]]", after["rows"])
    for i in range(20):
        rows[i]["id"] = -1 - i
    assert len(difference(before, after)) == 20


def test_applying_shares_what_is_not_touched() -> None:
    before: WireObject = {"a": {"x": 1}, "b": {"y": [1]}, "c": [[], {}]}
    changes: list[Change] = [
        {"op": "set", "path": ["a", "x"], "value": 2},
        {"op": "set", "path": ["a", "z", "new"], "value": []},
        {"op": "remove", "path": ["c", 0]},
    ]
    after = apply(before, changes)
    assert after == {"a": {"x": 2, "z": {"new": []}}, "b": {"y": [1]}, "c": [{}]}
    assert after["b"] is before["b"]
    assert before == {"a": {"x": 1}, "b": {"y": [1]}, "c": [[], {}]}
    assert apply(before, []) is before


def test_a_value_in_a_change_is_not_changed_by_a_later_one() -> None:
    value: WireObject = {"b": 1}
    after = apply({}, [{"op": "set", "path": ["a"], "value": value}, {"op": "set", "path": ["a", "b"], "value": 2}])
    assert after == {"a": {"b": 2}}
    assert value == {"b": 1}


def test_a_change_with_an_empty_path_replaces_the_whole_context() -> None:
    assert apply({"a": 1}, [{"op": "set", "path": [], "value": {"b": 2}}]) == {"b": 2}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"op": "set", "path": ["a", 0], "value": 1}, "a list with the index 0 at 'a' .* but found an int"),
        ({"op": "set", "path": ["l", 2], "value": 1}, "the list at 'l' has 1 items"),
        ({"op": "set", "path": ["l", -1], "value": 1}, "cannot be applied"),
        ({"op": "set", "path": ["l", True], "value": 1}, "cannot be applied"),
        ({"op": "set", "path": ["new", 0], "value": 1}, "expected a list at 'new' .* but found nothing"),
        ({"op": "set", "path": [], "value": 1}, "a plain object for the whole context"),
        ({"op": "set", "path": [], "value": {"$type": "x", "value": 1}}, "a plain object for the whole context"),
        ({"op": "set", "path": ["$type"], "value": 1}, "marks typed values"),
        ({"op": "remove", "path": ["x"]}, "a value to remove at 'x', but found nothing"),
        ({"op": "remove", "path": []}, "a value to remove at '', but found nothing"),
        ({"op": "remove", "path": ["l", -1]}, "a value to remove"),
        ({"op": "move", "path": ["a"]}, "the op set or remove, but found 'move'"),
        ({"op": "set", "path": ["a"]}, "expected op, path and value"),
        ({"op": "set", "path": "a", "value": 1}, "a list of names and indexes as the path, but found 'a'"),
        ({"op": "set", "path": [["a"]], "value": 1}, "cannot be applied"),
        ({"op": "set", "path": [1.5], "value": 1}, "cannot be applied"),
        ("set", "expected op, path and value"),
    ],
)
def test_a_change_that_does_not_fit_is_refused_with_its_number(change: Change, text: str) -> None:
    before: WireObject = {"a": 1, "l": [1]}
    fits: Change = {"op": "set", "path": ["b", "c"], "value": 1}
    with pytest.raises(ContextChangeError, match=f"change 1 .*{text}"):
        apply(before, [fits, change])
    assert before == {"a": 1, "l": [1]}


def test_many_changes_below_a_long_name_are_compared_without_writing_them_all_out() -> None:
    name = "k" * 60_000
    before: WireObject = {"b": {name: {f"k{i}": 0 for i in range(6_000)}}}
    after: WireObject = {"b": {name: {f"k{i}": 1 for i in range(6_000)}}}
    tracemalloc.start()
    try:
        changes = difference(before, after)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert apply(before, changes) == after
    assert len(changes) == 1
    assert peak < 20 * CONTEXT_BYTES_MAX


@given(wire_objects, wire_objects)
def test_the_whole_is_set_exactly_when_that_is_shorter(before: WireObject, after: WireObject) -> None:
    changes = difference({"a": before}, {"a": after})
    if len(changes) > 8:
        assert len(orjson.dumps(changes)) <= len(orjson.dumps([{"op": "set", "path": ["a"], "value": after}]))
