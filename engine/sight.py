"""How expressions see the values of a context, and how what they select becomes a value of a context again. Pure.

A typed value is seen as what people compare: a Decimal as a number, every other as its text; a custom type's value as
the JSON it stands for. It carries its wire form along, so that it keeps its type when it is selected unchanged.
"""

from typing import Final, cast

from engine.context.known import Known
from engine.context.scales import Scales
from engine.context.values import TYPE, VALUE, Wire, WireList, WireObject
from engine.limits import CONTEXT_VALUES_MAX, EXPRESSION_DEPTH_MAX, EXPRESSION_TEXT_CHARACTERS_MAX
from engine.meter import Meter

_VALUES_PER_STEP: Final = 4


class UnholdableError(Exception):
    """What was selected is no value, or one that is larger than any context."""


class Text(str):  # noqa: SLOT000 - the wire form is an attribute
    """A typed value seen as text."""

    wire: WireObject


class Number(float):
    """A Decimal seen as a number."""

    wire: WireObject


class Object(dict[str, object]):
    """A custom type's value that is an object."""

    wire: WireObject


class List(list[object]):
    """A custom type's value that is a list."""

    wire: WireObject


_Typed = Text | Number | Object | List

# JMESPath's functions know their arguments by the names of their classes.
Text.__name__, Number.__name__, Object.__name__, List.__name__ = "str", "float", "dict", "list"


class Sight:
    """Sees the values of one context after the other; what was seen before is not looked at again.

    Args:
        meter: Is charged for what is looked at.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._scales = Scales(meter)
        self._known: Known[object] = Known()

    def see(self, wire: Wire) -> object:
        """Return the value as expressions see it: itself when nothing typed is inside.

        Raises:
            StepsError: Looking at it takes too many steps.
        """
        self._known.trim()
        return self._seen(wire) if isinstance(wire, (dict, list)) else wire

    def _seen(self, wire: WireObject | WireList) -> object:
        seen = self._known.of(wire)
        if seen is None:
            self._meter.charge(1 + len(wire) // _VALUES_PER_STEP)
            if isinstance(wire, list):
                seen = self._list(wire)
            else:
                seen = self._typed(wire) if TYPE in wire else self._object(wire)
            if seen is not None:
                self._known.keep(wire, seen)
        return seen

    def _object(self, wire: WireObject) -> dict[str, object]:
        fields: dict[str, object] = {}
        for name, value in wire.items():
            if isinstance(value, (dict, list)) and (seen := self._seen(value)) is not value:
                fields[name] = seen
        return {**wire, **fields} if fields else cast("dict[str, object]", wire)

    def _list(self, wire: WireList) -> list[object]:
        items: dict[int, object] = {}
        for index, value in enumerate(wire):
            if isinstance(value, (dict, list)) and (seen := self._seen(value)) is not value:
                items[index] = seen
        return [items.get(index, value) for index, value in enumerate(wire)] if items else cast("list[object]", wire)

    def _typed(self, wire: WireObject) -> object:
        value = wire.get(VALUE)
        seen: _Typed
        if wire[TYPE] == "decimal" and isinstance(value, str):
            seen = Number(value)
        elif isinstance(value, str):
            seen = Text(value)
        elif isinstance(value, dict):
            seen = Object(cast("dict[str, object]", self._seen(value)))
        elif isinstance(value, list):
            seen = List(cast("list[object]", self._seen(value)))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            seen = Number(value)
        else:
            # Python allows no subclass of bool and None: these two are seen as they are, without their type.
            return value
        seen.wire = wire
        return seen

    def restore(self, result: object) -> Wire:
        """Return the result as a wire value, its typed values restored, however often the parts of it are shared.

        Raises:
            UnholdableError: It has more values or characters than it may, or is an expression reference.
            StepsError: Looking at it takes too many steps.
        """
        return _Restorer(self._meter, self._scales).restore(result, 1)


class _Restorer:
    """Restores one result, and counts what it comes to."""

    def __init__(self, meter: Meter, scales: Scales) -> None:
        self._meter = meter
        self._scales = scales
        self._values = CONTEXT_VALUES_MAX
        self._characters = EXPRESSION_TEXT_CHARACTERS_MAX

    def restore(self, value: object, depth: int) -> Wire:
        self._meter.charge(1)
        self._values -= 1
        if self._values < 0 or depth > EXPRESSION_DEPTH_MAX:
            raise UnholdableError("expected a smaller result, found more values than a context can hold")
        if isinstance(value, _Typed):
            self._count(self._scales.weigh(value.wire).bytes)
            return value.wire
        if isinstance(value, str):
            self._count(len(value))
            return value
        if isinstance(value, list):
            self._meter.charge(1)
            return [self.restore(item, depth + 1) for item in value]
        if isinstance(value, dict):
            self._meter.charge(1)
            self._count(sum(map(len, value)))
            return {name: self.restore(item, depth + 1) for name, item in value.items()}
        if value is None or isinstance(value, (bool, int, float)):
            return value
        raise UnholdableError("expected a value as the result, found an expression reference (&)")

    def _count(self, characters: int) -> None:
        self._meter.read(characters)
        self._characters -= characters
        if self._characters < 0:
            raise UnholdableError("expected a smaller result, found more characters than a context can hold")
