from collections.abc import Callable
from typing import cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context import (
    ContextCountError,
    ContextDepthError,
    ContextFloatError,
    ContextFormError,
    ContextIntegerError,
    ContextNameError,
    ContextObject,
    ContextSizeError,
    ContextTextError,
    ContextUnregisteredError,
    Converters,
)
from engine.context import check as check_module
from engine.context.check import check_limits, check_wire, size
from engine.context.values import Wire, WireObject
from engine.limits import CONTEXT_BYTES_MAX, CONTEXT_DEPTH_MAX, CONTEXT_VALUES_MAX, INTEGER_MAX, INTEGER_MIN
from tests.context.strategies import wire_objects


def nested(containers: int) -> Wire:
    value: Wire = []
    for number in range(containers - 1):
        value = [value] if number % 2 else {"a": value}
    return value


REFUSED = [
    (float("nan"), ContextFloatError, "a finite float, but found nan"),
    (float("-inf"), ContextFloatError, "a finite float, but found -inf"),
    (INTEGER_MAX + 1, ContextIntegerError, "to 9223372036854775807, but found 9223372036854775808"),
    (INTEGER_MIN - 1, ContextIntegerError, "an int of signed 64 bits, from -9223372036854775808 to"),
    pytest.param(10**5000, ContextIntegerError, "found one of 16610 bits", id="huge"),
    ("a\ud800", ContextTextError, "text without lone surrogates"),
    ({"\udfff": 1}, ContextTextError, r"names without lone surrogates, but found '\\udfff'"),
    ({1: 1}, ContextNameError, "names that are str, but found 1"),
    ({None: 1}, ContextNameError, "names that are str, but found None"),
    pytest.param({10**5000: 1}, ContextNameError, "names that are str, but found an int", id="huge name"),
    (nested(CONTEXT_DEPTH_MAX), ContextDepthError, "at most 64 containers inside each other"),
    ([0] * CONTEXT_VALUES_MAX, ContextCountError, "at most 100,000 values"),
    ([[0] * 50_000, [0] * 50_000], ContextCountError, "at most 100,000 values"),
]


@pytest.mark.parametrize(("value", "error", "text"), REFUSED)
def test_a_value_no_context_can_hold_is_refused_with_its_path(value: object, error: type[Exception], text: str) -> None:
    writers: list[Callable[[object], object]] = [
        lambda value: ContextObject().set("x", [value]),
        lambda value: ContextObject({"x": [value]}),
        lambda value: check_wire({"x": [value]}),
    ]
    for write in writers:
        with pytest.raises(error, match=rf"{text}.* at 'x(\[0\].*)?'"):
            write(value)


@pytest.mark.parametrize("value", [{"$type": 1}, {"$type": "date", "value": "2026-03-01"}])
def test_an_object_with_the_reserved_name_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(ContextNameError, match=r"names other than '\$type', which marks typed values, at 'x.y'"):
        ContextObject().set("x.y", value)
    with pytest.raises(ContextNameError):
        ContextObject(value)


@pytest.mark.parametrize("value", [INTEGER_MAX, INTEGER_MIN, 1.7976931348623157e308, 5e-324, "\U0010ffff\x00", ""])
def test_a_value_at_the_edge_is_held(value: object) -> None:
    assert ContextObject.deserialize(ContextObject({"x": value}).serialize())["x"] == value
    check_wire({"x": value})


def test_as_many_containers_as_the_limit_says_are_held() -> None:
    wire = cast("WireObject", {"x": nested(CONTEXT_DEPTH_MAX - 1)})
    assert ContextObject(wire).to_wire() == check_wire(wire)
    assert ContextObject.deserialize(orjson.dumps(wire)).to_wire() == wire


def test_the_depth_counts_from_the_top_wherever_the_value_is_set() -> None:
    context = ContextObject()
    path = ".".join("a" * (CONTEXT_DEPTH_MAX - 1))
    context.set(path, {})
    deepest = context.get(path, ContextObject)
    deepest["n"] = 1
    refused: list[Callable[[], object]] = [
        lambda: deepest.set("n", {}),
        lambda: deepest.set("n.m", 1),
        lambda: deepest.update({"n": []}),
        lambda: context.set(path, {"n": ContextObject()}),
    ]
    for set_one in refused:
        with pytest.raises(ContextDepthError, match="at most 64 containers"):
            set_one()
    check_wire(context.to_wire())


@pytest.mark.parametrize("containers", [CONTEXT_DEPTH_MAX, 253, 254, 2_000])
def test_the_quick_check_finds_every_depth(containers: int) -> None:
    with pytest.raises(ContextDepthError, match="at most 64 containers inside each other, but found more at 'x"):
        check_limits({"x": nested(containers)})


def test_a_value_that_holds_itself_is_too_deep_and_one_that_holds_itself_often_has_too_many_values() -> None:
    once: dict[str, object] = {}
    once["me"] = once
    with pytest.raises(ContextDepthError):
        ContextObject(once)
    often: list[object] = []
    often.extend([often] * 10)
    with pytest.raises((ContextCountError, ContextDepthError)):
        ContextObject({"x": often})
    shared: object = [0]
    for _ in range(40):
        shared = [shared, shared]
    with pytest.raises(ContextCountError):
        ContextObject({"x": shared})
    part = ContextObject({"x": [0] * 100})
    with pytest.raises(ContextCountError):
        ContextObject({"x": [part] * 2_000})


@pytest.mark.parametrize(
    "part",
    [
        "x" * 100_000,
        b"x" * 100_000,
        ContextObject({"t": "x" * 100_000}),
        ["ä" * 100_000],
        ContextObject({"t": b"x" * 100_000}),
    ],
)
def test_a_large_part_in_many_places_is_refused_before_it_is_written_out(part: object) -> None:
    with pytest.raises(ContextSizeError, match="at most 262,144 bytes as JSON"):
        ContextObject({"x": [part] * 50_000})


def test_the_size_is_measured_as_json_and_the_largest_part_is_named() -> None:
    overhead = size({"a": {"text": ""}, "b": 1})
    fits = "x" * (CONTEXT_BYTES_MAX - overhead)
    context = ContextObject({"a": {"text": fits}, "b": 1})
    assert len(context.serialize()) == CONTEXT_BYTES_MAX
    with pytest.raises(ContextSizeError, match=r"262,144 bytes as JSON, but found 262,145; 262,.* of them at 'a.text'"):
        ContextObject({"a": {"text": fits + "x"}, "b": 1})
    context.set("c", 1)
    with pytest.raises(ContextSizeError, match=r"but found 262,150; .* at 'a.text'\. Keep large data elsewhere"):
        context.serialize()
    with pytest.raises(ContextSizeError):
        check_wire(context.to_wire())
    with pytest.raises(ContextSizeError, match="at 'y'"):
        ContextObject().set("y", "\x00" * (CONTEXT_BYTES_MAX // 6 + 1))


def test_the_size_counts_for_one_text_set_alone() -> None:
    context = ContextObject()
    for text in ("x" * CONTEXT_BYTES_MAX, "ä" * (CONTEXT_BYTES_MAX // 2)):
        with pytest.raises(ContextSizeError, match="262,146; 262,146 of them at 'x'"):
            context.set("x", text)
    context.set("x", "x" * (CONTEXT_BYTES_MAX - 2))


def test_as_many_values_as_the_limit_says_are_held() -> None:
    wire: WireObject = {"x": [0] * (CONTEXT_VALUES_MAX - 1)}
    assert check_wire(wire) is wire
    check_limits(wire)
    assert len(ContextObject.deserialize(ContextObject(wire).serialize())) == 1
    more: WireObject = {"x": [0] * (CONTEXT_VALUES_MAX - 1), "y": 0}
    for check in (check_wire, check_limits):
        with pytest.raises(ContextCountError):
            check(more)


@given(wire_objects, st.integers(0, 6), st.integers(0, 40))
def test_the_quick_check_and_the_thorough_one_agree(wire: WireObject, depth_max: int, values_max: int) -> None:
    def outcome(check: Callable[[WireObject], object]) -> bool:
        try:
            check(wire)
        except (ContextDepthError, ContextCountError):
            return False
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check_module, "CONTEXT_VALUES_MAX", values_max)
        patch.setattr(check_module, "CONTEXT_DEPTH_MAX", depth_max)
        quick = outcome(check_limits)
        patch.setattr(check_module, "check_limits", lambda _: None)
        assert quick == outcome(lambda wire: check_wire(wire, unknown_types=True))


@given(wire_objects)
def test_a_valid_wire_object_is_given_back_as_it_is(wire: WireObject) -> None:
    assert check_wire(wire, unknown_types=True) is wire
    assert size(wire) == len(orjson.dumps(wire))


@pytest.mark.parametrize("wire", [None, [], 1, "{}", {"$type": "date", "value": "2026-03-01"}])
def test_a_context_is_a_plain_object(wire: object) -> None:
    with pytest.raises(ContextFormError, match="expected an object as the context, but found a"):
        check_wire(wire)


@pytest.mark.parametrize(
    "typed",
    [
        {"$type": "date"},
        {"$type": None, "value": 1},
        {"$type": "mine", "value": 1, "x": 1},
        {"$type": ["x"], "value": 1},
    ],
)
def test_a_typed_value_has_two_fields(typed: WireObject) -> None:
    with pytest.raises(
        ContextFormError, match=r"with the fields '\$type' \(a text\) and 'value', but found .* at 'a\[1\]'"
    ):
        check_wire({"a": [1, typed]}, unknown_types=True)


def test_an_unknown_type_is_refused_unless_it_is_allowed_or_registered() -> None:
    wire: WireObject = {"a": [{"$type": "mine", "value": {"x": [1]}}]}
    with pytest.raises(ContextUnregisteredError, match=r"the \$type 'mine' at 'a\[0\]'.* Register a converter"):
        check_wire(wire)
    assert check_wire(wire, unknown_types=True) is wire
    registry = Converters()
    registry.register(Converters, "mine", lambda _: None, lambda _: Converters())
    assert check_wire(wire, converters=registry) is wire
    with pytest.raises(ContextUnregisteredError):
        check_wire(wire, converters=Converters())


@pytest.mark.parametrize("value", [(1,), b"x", {1}, ContextObject()])
def test_a_foreign_value_that_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(ContextUnregisteredError, match=r"a JSON value, but found a .* at 'a\[0\]'"):
        check_wire({"a": [value]})


def test_bad_values_inside_a_custom_value_are_refused_too() -> None:
    for value in (float("nan"), [INTEGER_MAX + 1], nested(CONTEXT_DEPTH_MAX), {1: 1}):
        with pytest.raises(ValueError, match=" at 'a"):
            check_wire({"a": {"$type": "mine", "value": value}}, unknown_types=True)
