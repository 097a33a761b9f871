from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from typing import NamedTuple, cast
from uuid import UUID

import pytest

from engine.context import (
    ContextConverterError,
    ContextDepthError,
    ContextList,
    ContextObject,
    ContextUnregisteredError,
    Converters,
)
from engine.context.check import check_wire
from engine.context.values import Wire, WireObject
from engine.errors import RegistryError
from engine.limits import ID_CHARACTERS_MAX


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str


class Price(Money):
    pass


class Colour(Enum):
    RED = "#f00"
    GREEN = "#0f0"
    ROT = "#f00"  # noqa: PIE796 - an alias


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Word(StrEnum):
    YES = "yes"


class Rights(Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: int


def money_to_json(money: Money) -> list[str]:
    return [str(money.amount), money.currency]


def money_from_json(json: list[str]) -> Money:
    return Money(Decimal(json[0]), json[1])


@pytest.fixture
def converters() -> Converters:
    registry = Converters()
    registry.register(Money, "money", money_to_json, money_from_json)
    registry.register(
        Point, "point", lambda point: {"x": point.x, "y": point.y}, lambda json: Point(json["x"], json["y"])
    )
    registry.register_enum(Colour, "colour")
    registry.register_enum(Level, "level")
    registry.register_enum(Word, "word")
    return registry


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (Money(Decimal("9.90"), "EUR"), {"$type": "money", "value": ["9.90", "EUR"]}),
        (Point(1, 2), {"$type": "point", "value": {"x": 1, "y": 2}}),
        (Colour.GREEN, {"$type": "colour", "value": "GREEN"}),
        (Colour.ROT, {"$type": "colour", "value": "RED"}),
        (Level.HIGH, {"$type": "level", "value": "HIGH"}),
        (Word.YES, {"$type": "word", "value": "YES"}),
    ],
)
def test_a_registered_value_stands_under_its_wire_name(value: object, wire: WireObject, converters: Converters) -> None:
    context = ContextObject({"x": [value]}, converters=converters)
    assert context.to_wire() == {"x": [wire]}
    read = ContextObject.deserialize(context.serialize(), converters)
    assert read.get("x[0]", type(value)) == value
    assert type(read.get("x[0]")) is type(value)
    assert read.get("x", ContextList)[0] == value


def test_children_know_the_converters_of_their_parent(converters: Converters) -> None:
    context = ContextObject({"a": {"b": [{}]}}, converters=converters)
    context.get("a.b[0]", ContextObject).set("colour", Colour.RED)
    assert context.get("a.b[0].colour", Colour) is Colour.RED
    assert context.copy().converters is context.get("a.b", ContextList).converters is converters


class Thing:
    pass


class Names(OrderedDict[str, int]):
    pass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Thing(), "a Thing at 'a.b'. Register a converter"),
        (Price(Decimal(1), "EUR"), "a Price at"),
        (Rights.READ, "a Rights at .* register_enum"),
        ({1}, "a set at .* A list keeps an order"),
        (bytearray(b"x"), "a bytearray at .* Set bytes"),
        (1j, "a complex at"),
        (range(3), "a range at"),
        (Money, "a type at"),
        (object(), "an object at"),
    ],
)
def test_a_value_of_an_unregistered_type_is_refused_when_it_is_set(
    value: object, text: str, converters: Converters
) -> None:
    context = ContextObject(converters=converters)
    with pytest.raises(ContextUnregisteredError, match=f"built-in or registered type, but found {text}"):
        context.set("a.b", value)
    assert not context


@pytest.mark.parametrize("value", [Money(Decimal(1), "EUR"), Point(1, 2), Level.LOW, Word.YES])
def test_a_context_without_converters_knows_just_the_built_in_types(value: object) -> None:
    with pytest.raises(ContextUnregisteredError, match="at 'a'"):
        ContextObject().set("a", value)


def test_subclasses_of_dict_and_list_are_objects_and_lists() -> None:
    assert ContextObject({"a": Names(x=1), "b": type("Items", (list,), {})([1])}).to_wire() == {"a": {"x": 1}, "b": [1]}


def test_a_registered_subclass_of_dict_is_its_own_type() -> None:
    registry = Converters()
    registry.register(Names, "names", dict, Names)
    context = ContextObject({"a": Names(x=1)}, converters=registry)
    assert context.to_wire() == {"a": {"$type": "names", "value": {"x": 1}}}
    assert type(context["a"]) is Names


@pytest.mark.parametrize(
    "wire_name",
    ["money", "datetime", "bytes", "decimal", "int", "null", "object", "", "a\nb", "x" * (ID_CHARACTERS_MAX + 1), None],
)
def test_a_wire_name_that_is_taken_or_none_is_refused(wire_name: str, converters: Converters) -> None:
    with pytest.raises(RegistryError, match=r"expected a wire name .* but"):
        converters.register(Price, wire_name, money_to_json, lambda _: Price(Decimal(0), ""))
    assert converters.of_type(Price) is None


@pytest.mark.parametrize(
    "type_", [int, bool, str, dict, list, tuple, type(None), object, bytes, UUID, ContextObject, ContextList]
)
def test_a_built_in_type_is_taken(type_: type[object], converters: Converters) -> None:
    with pytest.raises(
        RegistryError, match=f"expected a type of your own for 'mine', but {type_.__name__} is built in"
    ):
        converters.register(type_, "mine", str, str)
    assert converters.of_name("mine") is None


def test_a_type_registered_twice_is_refused(converters: Converters) -> None:
    with pytest.raises(RegistryError, match="a type registered once, but Money is 'money' already"):
        converters.register(Money, "cash", money_to_json, money_from_json)


@pytest.mark.parametrize("enum", [Rights, Money, Colour.RED])
def test_only_an_enum_without_flags_is_registered_as_one(enum: type[Enum], converters: Converters) -> None:
    with pytest.raises(RegistryError, match="expected an Enum other than a Flag to register as 'mine'"):
        converters.register_enum(enum, "mine")


def test_what_is_no_class_is_not_registered(converters: Converters) -> None:
    with pytest.raises(RegistryError, match="expected a class to register as 'mine', but found 5"):
        converters.register(cast("type[object]", 5), "mine", str, str)


def deep(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def failing(_: object) -> object:
    raise LookupError("no rate")


@pytest.mark.parametrize(
    ("to_json", "text"),
    [
        (failing, "the converter of 'thing' raised LookupError: no rate at 'a'"),
        (lambda _: Decimal(1), "plain JSON from the converter of 'thing', but found a Decimal at 'a'"),
        (lambda _: {"x": [Colour.RED]}, r"but found a Colour at 'a.x\[0\]'"),
        (lambda _: ContextObject(), "but found a ContextObject at 'a'"),
        (lambda value: value, "but found a Thing at 'a'"),
    ],
)
def test_a_converter_that_gives_no_json_is_named(to_json: Callable[[object], object], text: str) -> None:
    registry = Converters()
    registry.register(Thing, "thing", to_json, lambda _: Thing())
    context = ContextObject(converters=registry)
    with pytest.raises(ContextConverterError, match=text):
        context.set("a", Thing())
    assert context.try_set("a", Thing()) is False
    assert not context


@pytest.mark.parametrize(
    ("from_json", "text"),
    [
        (failing, "the converter of 'thing' raised LookupError: no rate at 'a.b'"),
        (lambda json: json, "expected a Thing from the converter of 'thing', but found a dict at 'a.b'"),
    ],
)
def test_a_converter_that_cannot_read_is_named(from_json: Callable[[object], Thing], text: str) -> None:
    registry = Converters()
    registry.register(Thing, "thing", lambda _: {}, from_json)
    context = ContextObject({"a": {"b": Thing()}}, converters=registry)
    with pytest.raises(ContextConverterError, match=text):
        context.get("a.b")
    assert context.try_get("a.b", default="none") == "none"


def test_a_renamed_enum_member_is_an_error_that_names_it(converters: Converters) -> None:
    context = ContextObject.from_wire({"a": {"$type": "colour", "value": "BLUE"}}, converters)
    with pytest.raises(ContextConverterError, match="the converter of 'colour' raised KeyError: 'BLUE' at 'a'"):
        context.get("a", Colour)


def test_a_converter_shares_nothing_with_the_context() -> None:
    kept: list[Wire] = [{"n": 1}]
    registry = Converters()

    def read(json: list[Wire]) -> Thing:
        json.append("changed")
        cast("WireObject", json[0])["n"] = "changed"
        return Thing()

    registry.register(Thing, "thing", lambda _: kept, read)
    context = ContextObject({"a": Thing()}, converters=registry)
    kept.append(2)
    context.get("a", Thing)
    assert context.to_wire() == {"a": {"$type": "thing", "value": [{"n": 1}]}}


def test_values_from_another_registry_are_refused_unless_this_one_knows_their_names(converters: Converters) -> None:
    other = ContextObject({"deep": [{"colour": Colour.RED}], "at": Decimal(1)}, converters=converters)
    for registry in (None, Converters()):
        with pytest.raises(ContextUnregisteredError, match=r"the \$type 'colour' at 'x.deep\[0\].colour'"):
            ContextObject(converters=registry).set("x", other)
    twin = Converters()
    twin.register_enum(Colour, "colour")
    context = ContextObject({"x": other}, converters=twin)
    assert context.get("x.deep[0].colour", Colour) is Colour.RED
    assert ContextObject({"x": ContextObject({"at": Decimal(1)})}, converters=twin).get("x.at") == Decimal(1)


def test_the_json_of_a_converter_counts_for_the_depth() -> None:
    registry = Converters()
    registry.register(Thing, "thing", lambda _: deep(63), lambda _: Thing())
    context = ContextObject({"a": Thing()}, converters=registry)
    check_wire(context.to_wire(), converters=registry)
    with pytest.raises(ContextDepthError):
        context.set("b.c", Thing())


@pytest.mark.parametrize("value", [{"$type": "date", "value": "2026-03-01"}, [{"$type": "x", "value": 1}]])
def test_no_typed_value_stands_inside_the_json_of_a_converter(value: Wire) -> None:
    with pytest.raises(ValueError, match=r"other than '\$type'"):
        check_wire({"a": {"$type": "x", "value": value}}, unknown_types=True)
    registry = Converters()
    registry.register(Thing, "thing", lambda _: value, lambda _: Thing())
    with pytest.raises(ValueError, match=r"other than '\$type'"):
        ContextObject({"a": Thing()}, converters=registry)
