import copy
from collections.abc import Mapping, MutableMapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context import (
    ContextContainerError,
    ContextError,
    ContextFormError,
    ContextIndexError,
    ContextKeyError,
    ContextList,
    ContextMissingError,
    ContextNameError,
    ContextObject,
    ContextPathError,
    ContextTypeError,
    ContextUnregisteredError,
)
from engine.context.paths import parse, set_at
from engine.context.values import WireObject
from tests.context.strategies import contexts

OPTIONAL_TEXT = Optional[str]  # noqa: UP045 - the other way to write it
WIRE: WireObject = {
    "name": "Ada",
    "order": {"lines": [{"sku": "a", "count": 2}, {"sku": "b", "count": 1}], "total": 12.5},
    "when": {"$type": "datetime", "value": "2026-03-01T09:30:00"},
    "nothing": None,
    "done": False,
}


@pytest.fixture
def context() -> ContextObject:
    return ContextObject.from_wire(copy.deepcopy(WIRE))


def test_the_seed_page_example_works() -> None:
    context = ContextObject()
    context.set("input.prompt", "What is the capital of Brazil?")
    context.set("input.user_id", 42)
    context.set("input.now", datetime(2026, 3, 1, tzinfo=UTC))
    read = ContextObject.deserialize(context.serialize())
    assert read.get("input.prompt", str) == "What is the capital of Brazil?"
    assert read.get("input.user_id", int) == 42
    assert read.get("input.now", datetime) == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("values", [[1, 2], "abc", 5, [("a",)]])
def test_values_that_are_no_mapping_are_refused(values: object) -> None:
    with pytest.raises(ContextTypeError, match="expected a mapping as the context, but found") as caught:
        ContextObject(values)  # type: ignore[arg-type]  # the point
    assert repr(values) in str(caught.value)


def test_values_of_another_context_that_cannot_be_read_are_refused_by_their_own_error() -> None:
    other = ContextObject.from_wire({"a": {"$type": "mine", "value": 1}})
    with pytest.raises(ContextUnregisteredError, match="mine"):
        ContextObject(other)


def test_get_gives_values_by_path(context: ContextObject) -> None:
    assert context.get("order.lines[1].sku", str) == "b"
    assert context.get("order.total") == 12.5
    assert context.get("nothing") is None
    assert context.get("order.lines", ContextList).get("[0].count", int) == 2


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("name", str), ("name", object), ("name", str | None), ("name", OPTIONAL_TEXT), ("name", int | str),
        ("nothing", None), ("nothing", type(None)), ("nothing", int | None), ("nothing", object),
        ("done", bool), ("order", ContextObject), ("order", Mapping), ("order.lines", ContextList), ("when", datetime),
        ("order.lines[0].count", int), ("order.total", float),
    ],
)  # fmt: skip
def test_a_value_is_given_as_what_it_is(context: ContextObject, path: str, kind: object) -> None:
    assert context.get(path, kind) is not context
    assert context.try_get(path, kind, default=context) is not context


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("done", int, "expected int at 'done', but found a bool"),
        ("order.lines[0].count", float, "expected float at .* but found an int"),
        ("order.lines[0].count", bool, "expected bool .* but found an int"),
        ("order.total", int, "expected int .* but found a float"),
        ("order.total", Decimal, "expected Decimal .* but found a float"),
        ("when", date, "expected date at 'when', but found a datetime"),
        ("when", str, "expected str .* but found a datetime"),
        ("nothing", str, r"expected str at 'nothing', but found None. Ask for str \| None"),
        ("name", None, "expected NoneType .* but found a str"),
        ("name", int | None, r"expected int \| NoneType at 'name'"),
        ("order", dict, "found a ContextObject. An object is got as ContextObject"),
        ("order.lines", list, "found a ContextList"),
    ],
)
def test_a_value_of_another_type_is_refused_with_both_types(
    context: ContextObject, path: str, kind: object, text: str
) -> None:
    with pytest.raises(ContextTypeError, match=text):
        context.get(path, kind)
    assert context.try_get(path, kind) is None
    assert context.try_get(path, kind, default=7) == 7


@pytest.mark.parametrize("kind", [list[int], "str", 5])
def test_a_kind_that_is_no_class_is_refused_even_by_try_get(context: ContextObject, kind: object) -> None:
    for get in (context.get, context.try_get):
        with pytest.raises(ContextTypeError, match="expected a class or a union"):
            get("name", kind)


@pytest.mark.parametrize(
    ("path", "error", "text"),
    [
        ("missing", ContextMissingError, "a value at 'missing', but nothing has the name 'missing' at its beginning"),
        ("order.x.y", ContextKeyError, "nothing has the name 'x' at 'order'"),
        ("order.lines[2]", ContextIndexError, "the list at 'order.lines' has 2 items"),
        ("order.lines[2].sku", ContextIndexError, "the list at 'order.lines' has 2 items"),
        ("name.first", ContextContainerError, "an object with the name 'first' at 'name' .* but found a str"),
        ("nothing.x", ContextContainerError, "but found None"),
        ("when.value", ContextContainerError, "but found a datetime"),
        ("order[0]", ContextContainerError, "a list with the index 0 at 'order' .* but found an object"),
        ("order.lines.sku", ContextContainerError, "the name 'sku' at 'order.lines' .* but found a list of 2"),
        ("[0]", ContextContainerError, "a list with the index 0 at its beginning"),
        ("a..b", ContextPathError, "at character 3"),
    ],
)
def test_get_says_where_the_path_ends_and_what_is_there(
    context: ContextObject, path: str, error: type[ContextError], text: str
) -> None:
    with pytest.raises(error, match=text):
        context.get(path)
    assert context.try_get(path) is None
    assert context.remove_path(path) is False
    assert context.to_wire() == WIRE


def test_set_makes_missing_objects_but_no_lists(context: ContextObject) -> None:
    context.set("a.b.c", 1)
    assert context["a"] == {"b": {"c": 1}}
    with pytest.raises(ContextContainerError, match="missing objects are made, missing lists are not"):
        context.set("d.e[0]", 1)
    assert "d" not in context


def test_set_at_the_length_of_a_list_appends_and_beyond_it_fails(context: ContextObject) -> None:
    context.set("order.lines[2].sku", "c")
    assert context.get("order.lines[2]") == {"sku": "c"}
    with pytest.raises(ContextIndexError, match="has 3 items"):
        context.set("order.lines[4]", 1)


def test_a_name_with_dots_is_reached_by_quoting_it(context: ContextObject) -> None:
    context.set('["a.b"].c', 1)
    assert context["a.b"] == {"c": 1}
    assert context.get('["a.b"].c', int) == 1
    assert context.remove_path('["a.b"]')
    context.set("first-name", "Ada")
    assert context["first-name"] == "Ada"


@pytest.mark.parametrize(
    ("path", "value"),
    [("name.x.y", 1), ("x.y[0]", 1), ("order.lines[9].a", 1), ("x.y", object()), ("x.$type", 1), ("x..y", 1),
     ("x.y", {"deep": [1, object()]})],
)  # fmt: skip
def test_what_cannot_be_set_leaves_nothing_behind(context: ContextObject, path: str, value: object) -> None:
    wire = context._shared_wire()
    assert context.try_set(path, value) is False
    with pytest.raises(ContextError):
        context.set(path, value)
    assert context._shared_wire() is wire


def test_try_set_sets(context: ContextObject) -> None:
    assert context.try_set("x.y", 1) is True
    assert context.get("x.y", int) == 1


def test_remove_path_takes_names_and_items(context: ContextObject) -> None:
    assert context.remove_path("order.lines[0]") is True
    assert context.get("order.lines") == [{"sku": "b", "count": 1}]
    assert context.remove_path("order") is True
    assert context.remove_path("order") is False


def test_changes_of_a_child_are_seen_in_its_parent_and_the_other_way_round(context: ContextObject) -> None:
    order = context.get("order", ContextObject)
    assert context.get("order") is order is context["order"]
    order.set("lines[0].sku", "z")
    assert context.get("order.lines[0].sku") == "z"
    context.set("order.total", 1.0)
    assert order["total"] == 1.0
    assert context.to_wire()["order"] == {
        "lines": [{"sku": "z", "count": 2}, {"sku": "b", "count": 1}],
        "total": 1.0,
    }


def test_a_child_whose_place_is_taken_goes_on_alone(context: ContextObject) -> None:
    order = context.get("order", ContextObject)
    context.set("order", {"total": 1})
    order.set("total", 2)
    assert context.get("order.total") == 1
    assert context.get("order") is not order
    context.remove_path("order")
    context.set("order.total", 3)
    assert (order["total"], context.get("order.total")) == (2, 3)


def test_what_is_set_is_copied() -> None:
    source: dict[str, list[int]] = {"x": [1]}
    other = ContextObject(source)
    context = ContextObject({"a": source, "b": other})
    source["x"].append(2)
    other.set("x[0]", 5)
    context.set("itself", context)
    context.set("a.x[0]", 7)
    assert context == {"a": {"x": [7]}, "b": {"x": [1]}, "itself": {"a": {"x": [1]}, "b": {"x": [1]}}}
    assert other == {"x": [5]}


def test_the_engines_wire_form_is_the_same_object_until_something_changes(context: ContextObject) -> None:
    wire = context._shared_wire()
    assert context.get("order.lines[0].sku") == "a"
    assert context._shared_wire() is wire
    context.get("order", ContextObject).set("total", 1.0)
    changed = context._shared_wire()
    assert changed is not wire
    assert wire == WIRE
    assert isinstance(changed["order"], dict)
    assert isinstance(wire["order"], dict)
    assert changed["order"]["lines"] is wire["order"]["lines"]
    assert changed["when"] is wire["when"]
    assert context._shared_wire() is changed


def test_a_wire_form_once_given_is_not_changed_by_later_sets(context: ContextObject) -> None:
    context.set("order.lines[0].sku", "1")
    first = context._shared_wire()
    remembered = copy.deepcopy(first)
    context.set("order.lines[0].sku", "2")
    context.get("order", ContextObject)["new"] = 1
    context.get("order.lines", ContextList).append(1)
    assert first == remembered
    assert context.get("order.lines[0].sku") == "2"


@given(
    contexts,
    st.lists(st.tuples(st.sampled_from(["a", "b", "a.b", "a.c", "b[0]", "b[1].a"]), st.integers()), max_size=8),
)
def test_setting_is_what_the_pure_function_does(values: dict[str, object], updates: list[tuple[str, int]]) -> None:
    values |= {"b": [[], 1]}
    context = ContextObject(values)
    wire = context.to_wire()
    before = copy.deepcopy(wire)
    expected = wire
    for path, value in updates:
        error = None
        try:
            expected = set_at(expected, parse(path), value % 10)
        except ContextError as refused:
            error = refused
        assert context.try_set(path, value % 10) is (error is None)
    assert context.to_wire() == expected
    assert wire == before


def test_it_is_an_ordinary_mapping() -> None:
    context = ContextObject({"a": 1, "b": {"c": [1, 2]}})
    assert isinstance(context, MutableMapping)
    assert (len(context), list(context), "a" in context, "b.c" in context) == (2, ["a", "b"], True, False)
    assert dict(context) == {"a": 1, "b": {"c": [1, 2]}} == context
    assert context == ContextObject({"b": {"c": (1, 2)}, "a": 1})
    assert context != {"a": 1}
    assert context != 1
    context["x.y"] = 5
    assert context.pop("x.y") == 5
    assert context.setdefault("a", 9) == 1
    context.update({"d": [{}]})
    del context["a"]
    assert context == {"b": {"c": [1, 2]}, "d": [{}]}
    context.clear()
    assert not context
    with pytest.raises(KeyError, match="the name 'a', but found none"):
        context["a"]
    with pytest.raises(KeyError):
        del context["a"]
    with pytest.raises(TypeError):
        hash(context)


def test_an_error_reads_as_it_was_written() -> None:
    with pytest.raises(ContextKeyError) as caught:
        ContextObject()["a"]
    assert str(caught.value) == "expected a value under the name 'a', but found none."


@pytest.mark.parametrize("name", [1, None, "$type"])
def test_a_name_must_be_an_ordinary_text(name: str) -> None:
    context = ContextObject()
    with pytest.raises(ContextNameError):
        context[name] = 1
    assert len(context) == 0


def test_copies_are_independent(context: ContextObject) -> None:
    context.get("order.lines[0]", ContextObject)
    for other in (context.copy(), copy.copy(context), copy.deepcopy(context)):
        assert other == context
        other.set("order.total", 0.0)
        other.get("order.lines", ContextList).append(1)
        assert context.to_wire() == WIRE


def test_the_printed_form_is_readable_and_bounded() -> None:
    assert repr(ContextObject()) == "ContextObject()"
    assert repr(ContextObject({"a": [1, {"b": None}], "d": date(2026, 3, 1)})) == (
        "ContextObject({'a': [1, {'b': None}], 'd': date('2026-03-01')})"
    )
    wide = {f"name {i}": "x" * 200 for i in range(20)}
    assert len(repr(ContextObject({str(i): [wide] * 3 for i in range(20)}))) < 1_100


def test_an_unknown_type_can_be_passed_on_but_not_read() -> None:
    wire: WireObject = {"price": {"$type": "money", "value": ["9.99", "EUR"]}, "n": 1}
    context = ContextObject._over(wire, None, 1)
    assert context.get("n") == 1
    with pytest.raises(ContextUnregisteredError, match=r"the \$type 'money' at 'price'"):
        context.get("price")
    context.set("n", 2)
    assert context._shared_wire()["price"] is wire["price"]


@pytest.mark.parametrize("typed", [{"$type": "date"}, {"$type": 1, "value": 1}, {"$type": "date", "value": "", "x": 1}])
def test_a_typed_value_with_other_fields_is_refused_where_it_is_read(typed: WireObject) -> None:
    with pytest.raises(ContextFormError, match=r"with the fields '\$type' .* at 'a.b'"):
        ContextObject.from_wire({"a": {"b": typed}}).get("a.b")
