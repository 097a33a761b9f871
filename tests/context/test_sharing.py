"""What user code gets from a context, or gave to it, is never the state that the engine shares."""

import copy
from collections.abc import Callable, Iterator

import pytest

from engine import ContextList, ContextObject, Registry
from engine.context.values import Wire, WireObject

WIRE: WireObject = {
    "a": {"b": {"c": 1}},
    "items": [{"n": 1}, [2]],
    "mine": {"$type": "mine", "value": {"list": [1]}},
    "text": "x",
}


class Mine:
    """A type of one's own that keeps the very JSON that it is made from."""

    def __init__(self, json: dict[str, object]) -> None:
        self.json = json


def registry() -> Registry:
    made = Registry()
    made.converters.register(Mine, "mine", lambda mine: mine.json, Mine)
    return made


def containers(value: object) -> Iterator[object]:
    """Yield every plain container in a value, itself included."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from containers(inner)
    elif isinstance(value, (list, tuple)):
        yield value
        for inner in value:
            yield from containers(inner)
    elif isinstance(value, Mine):
        yield from containers(value.json)


WAYS: dict[str, Callable[[ContextObject], object]] = {
    "to_wire": lambda context: context.to_wire(),
    "to_wire of an object inside": lambda context: context.get("a", ContextObject).to_wire(),
    "to_wire of a list inside": lambda context: context.get("items", ContextList).to_wire(),
    "to_wire of a slice": lambda context: context.get("items", ContextList)[:].to_wire(),
    "to_wire of a copy": lambda context: context.copy().to_wire(),
    "to_wire of a deep copy": lambda context: copy.deepcopy(context).to_wire(),
    "to_wire of a context made of it": lambda context: ContextObject(context, converters=context.converters).to_wire(),
    "to_wire of a list made of it": lambda context: ContextList(
        context.values(), converters=context.converters
    ).to_wire(),
    "dict": dict,
    "get": lambda context: [context.get(path) for path in ("a", "a.b", "items", "items[0]", "items[1]", "mine")],
    "get as an object": lambda context: context.get("a", object),
    "try_get": lambda context: [context.try_get(path) for path in ("a", "items", "mine")],
    "try_get as a dict": lambda context: [context.try_get("a", dict), context.try_get("items", list)],
    "by name": lambda context: [context[name] for name in context],
    "items": lambda context: list(context.items()),
    "values": lambda context: list(context.values()),
    "iteration of a list": lambda context: list(context.get("items", ContextList)),
    "reversed": lambda context: list(reversed(context.get("items", ContextList))),
    "pop": lambda context: [context.copy().pop("mine"), context.copy().pop("a"), context.copy().popitem()],
    "pop of a list": lambda context: context.copy().get("items", ContextList).pop(),
    "setdefault": lambda context: context.setdefault("a", {}),
    "serialize": lambda context: context.serialize(),
    "repr": repr,
}


@pytest.mark.parametrize("way", WAYS)
def test_no_public_way_leads_to_the_shared_state(way: str) -> None:
    shared = copy.deepcopy(WIRE)
    context = ContextObject._over(shared, registry().converters, 1)
    state = {id(each) for each in containers(shared)}
    given = WAYS[way](context)
    assert not [each for each in containers(given) if id(each) in state]
    # As long as nothing is changed, the engine still gets the very state back.
    assert context._shared_wire() is shared


@pytest.mark.parametrize("way", WAYS)
def test_whatever_is_done_to_what_was_given_stays_without_effect_on_the_shared_state(way: str) -> None:
    shared = copy.deepcopy(WIRE)
    context = ContextObject._over(shared, registry().converters, 1)
    for each in containers(WAYS[way](context)):
        if isinstance(each, dict):
            each["hidden"] = object()
        elif isinstance(each, list):
            each.append(object())
    assert shared == WIRE
    assert context.to_wire() == WIRE


def test_changes_through_containers_that_were_handed_out_are_copied_first() -> None:
    shared = copy.deepcopy(WIRE)
    context = ContextObject._over(shared, registry().converters, 1)
    context.get("a.b", ContextObject)["c"] = 2
    context.get("items[1]", ContextList).append(3)
    dict(context)["a"].set("d", 4)  # type: ignore[attr-defined]  # a ContextObject
    next(iter(context.get("items", ContextList))).set("n", 5)  # type: ignore[attr-defined]  # the same
    context.get("items", ContextList)[:].append(6)
    assert shared == WIRE
    assert context.to_wire() == WIRE | {"a": {"b": {"c": 2}, "d": 4}, "items": [{"n": 5}, [2, 3]]}


def test_each_copy_of_the_wire_form_is_one_of_its_own() -> None:
    context = ContextObject({"a": {"b": 1}})
    context.set("twice", context.get("a"))
    first, second = context.to_wire(), context.to_wire()
    first["a"]["b"] = 2  # type: ignore[index,call-overload]  # a dict
    assert second == {"a": {"b": 1}, "twice": {"b": 1}} == context
    assert first["twice"] == {"b": 1}


MAKERS: dict[str, Callable[[WireObject], ContextObject | ContextList]] = {
    "ContextObject": lambda given: ContextObject(given),  # noqa: PLW0108 - the same form for all
    "ContextObject.from_wire": lambda given: ContextObject.from_wire(given),  # noqa: PLW0108 - the same
    "ContextList": lambda given: ContextList([given]),
    "ContextList.from_wire": lambda given: ContextList.from_wire([given]),
    "set": lambda given: _set(given),  # noqa: PLW0108 - the same
    "by name": lambda given: _put(given),  # noqa: PLW0108 - the same
    "update": lambda given: _updated(given),  # noqa: PLW0108 - the same
    "append": lambda given: _appended(given),  # noqa: PLW0108 - the same
    "set from a wire form": lambda given: _set(ContextObject.from_wire(given)),
}


def _set(given: object) -> ContextObject:
    context = ContextObject()
    context.set("x", given)
    return context


def _put(given: object) -> ContextObject:
    context = ContextObject()
    context["x"] = given
    return context


def _updated(given: object) -> ContextObject:
    context = ContextObject()
    context.update({"x": given})
    return context


def _appended(given: object) -> ContextList:
    values = ContextList()
    values.append(given)
    return values


@pytest.mark.parametrize("maker", MAKERS)
def test_what_a_context_was_given_is_the_givers_own_again(maker: str) -> None:
    inner: list[Wire] = [1]
    given: WireObject = {"a": {"b": inner}, "n": 1}
    made = MAKERS[maker](given)
    before = made.to_wire()
    state = {id(each) for each in containers(made._shared_wire())}
    assert not [each for each in containers(given) if id(each) in state]
    inner.append(2)
    given["n"] = 2
    assert made.to_wire() == before


def test_what_a_converter_gave_is_its_own_again() -> None:
    mine = Mine({"list": [1]})
    context = ContextObject({"x": mine}, converters=registry().converters)
    mine.json["list"] = 2
    context.get("x", Mine).json["list"] = 3
    assert context.get("x", Mine).json == {"list": [1]}
