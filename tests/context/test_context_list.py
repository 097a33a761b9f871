from collections.abc import MutableSequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.context import (
    ContextContainerError,
    ContextIndexError,
    ContextList,
    ContextObject,
    ContextTypeError,
    ContextUnregisteredError,
)

positions = st.integers(-6, 6)
slices = st.slices(5)


def test_it_is_an_ordinary_list() -> None:
    items = ContextList([1, "a", {"b": 1}])
    assert isinstance(items, MutableSequence)
    assert (len(items), items[0], items[-1], list(items)) == (3, 1, {"b": 1}, [1, "a", {"b": 1}])
    assert items == [1, "a", {"b": 1}] == items
    assert items == (1, "a", {"b": 1})
    assert items != [1]
    assert items != 1
    assert ("a" in items, items.index("a"), items.count(1)) == (True, 1, 1)
    items.append(None)
    items.extend([2, 3])
    items += (4,)
    items.remove("a")
    assert items.pop() == 4
    items.reverse()
    assert items == [3, 2, None, {"b": 1}, 1]
    assert items[1:3] == [2, None]
    assert isinstance(items[1:3], ContextList)
    items.clear()
    assert not items
    with pytest.raises(TypeError):
        hash(items)


def test_what_is_not_several_values_is_refused() -> None:
    with pytest.raises(ContextTypeError, match="expected several values for a list, but found 5"):
        ContextList(5)  # type: ignore[arg-type]  # the point


def test_a_wrong_index_is_an_index_error_that_names_the_length() -> None:
    items = ContextList([1])
    for index in (1, -2):
        with pytest.raises(IndexError, match=f"below 1, the length of the list, but found {index}"):
            items[index]
        with pytest.raises(ContextIndexError):
            items[index] = 1
        with pytest.raises(ContextIndexError):
            del items[index]
    assert items == [1]


def test_paths_into_a_list_begin_with_an_index() -> None:
    items = ContextList([{"a": [1]}])
    assert items.get("[0].a[0]", int) == 1
    items.set("[0].a[1]", 2)
    items.set("[1]", 3)
    assert items == [{"a": [1, 2]}, 3]
    assert items.remove_path("[0].a[0]")
    assert items.remove_path("[0].a[1]") is False
    with pytest.raises(ContextContainerError, match="an object with the name 'a' at its beginning"):
        items.get("a")
    with pytest.raises(ContextContainerError):
        items.set("a", 1)


def test_containers_that_were_handed_out_stay_with_their_items() -> None:
    context = ContextObject({"items": [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}]})
    items = context.get("items", ContextList)
    second = context.get("items[1]", ContextObject)
    last = context.get("items[3]", ContextObject)
    items.insert(0, "new")
    second["n"] = "one"
    del items[1]
    assert items[1] is second
    items[2:3] = ["x", "y"]
    last["n"] = "three"
    assert context.to_wire() == {"items": ["new", {"n": "one"}, "x", "y", {"n": "three"}]}
    del items[::2]
    assert items == [{"n": "one"}, "y"]
    last["n"] = "alone"
    assert context.to_wire() == {"items": [{"n": "one"}, "y"]}


def test_a_slice_is_a_copy() -> None:
    items = ContextList([{"n": 0}, {"n": 1}])
    part = items[:1]
    assert isinstance(part, ContextList)
    part.set("[0].n", 5)
    assert items == [{"n": 0}, {"n": 1}]


def test_a_value_that_cannot_be_held_changes_nothing() -> None:
    items = ContextList([1])
    with pytest.raises(ContextUnregisteredError, match=r"a set at '\[1\]'"):
        items[0:1] = [2, {3}]
    with pytest.raises(ContextUnregisteredError, match=r"an object at '\[1\]'"):
        items.append(object())
    with pytest.raises(ContextUnregisteredError, match=r"an object at '\[0\]'"):
        items.insert(-5, object())
    assert items == [1]


def test_a_wire_list_is_given_back_as_it_is() -> None:
    wire = ContextList([1, {"a": 2}]).to_wire()
    items = ContextList._over(wire, None, 1)
    assert items[1] == {"a": 2}
    assert items._shared_wire() is wire
    items.append(1)
    assert wire == [1, {"a": 2}]
    assert repr(items) == "ContextList([1, {'a': 2}, 1])"


class AnyUseOfAList(RuleBasedStateMachine):
    """A ContextList beside a list: whatever is done to both, they are equal, and so is what stands inside."""

    def __init__(self) -> None:
        super().__init__()
        self.context = ContextObject({"items": []})
        self.items = self.context.get("items", ContextList)
        self.model: list[list[int]] = []

    @rule(position=positions, number=st.integers(0, 9))
    def insert(self, position: int, number: int) -> None:
        self.items.insert(position, [number])
        self.model.insert(position, [number])

    @rule(place=slices, numbers=st.lists(st.integers(0, 9), max_size=3))
    def replace(self, place: slice, numbers: list[int]) -> None:
        new = [[number] for number in numbers]
        try:
            self.model[place] = [list(item) for item in new]
        except ValueError:
            with pytest.raises(ValueError, match="extended slice"):
                self.items[place] = new
        else:
            self.items[place] = new

    @rule(place=slices | positions)
    def delete(self, place: slice | int) -> None:
        try:
            del self.model[place]
        except IndexError:
            with pytest.raises(IndexError):
                del self.items[place]
        else:
            del self.items[place]

    @rule(position=positions, number=st.integers(0, 9))
    def change_inside(self, position: int, number: int) -> None:
        if -len(self.model) <= position < len(self.model):
            inner = self.items[position]
            assert isinstance(inner, ContextList)
            inner.append(number)
            self.model[position].append(number)

    @rule()
    def give_away(self) -> None:
        wire = self.context._shared_wire()
        assert self.context._shared_wire() is wire

    @invariant()
    def both_are_equal(self) -> None:
        assert self.items == self.model
        assert self.context.copy() == {"items": self.model}


TestAnyUseOfAList = AnyUseOfAList.TestCase


@given(st.lists(st.integers(0, 9), max_size=5), st.integers(-8, 8))
def test_insert_counts_as_a_list_does(numbers: list[int], position: int) -> None:
    items = ContextList(numbers)
    items.insert(position, "x")
    assert list(items).index("x") == [*numbers[:position], "x"].index("x")
