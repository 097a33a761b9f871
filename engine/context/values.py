"""Contexts as data: the JSON form that stands on the log, and its changes.

A wire value is plain JSON; a value JSON does not know stands as `{"$type": "datetime", "value": "..."}`.
Wire values are never changed in place: an update copies the containers on its path and shares the rest.
The order of names in an object has no meaning.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final, Literal

from typing_extensions import TypeAliasType, TypedDict

Wire = TypeAliasType("Wire", "bool | int | float | str | list[Wire] | dict[str, Wire] | None")
WireObject = dict[str, Wire]
WireList = list[Wire]
Segments = list[str | int]
"""A path as data: names and list indexes, such as `["order", "lines", 0]`."""
Path = Sequence[str | int]
"""A path as functions take it: a list or a tuple of names and indexes."""

TYPE: Final = "$type"
"""The name that makes an object a typed value, so that plain objects cannot have it."""
VALUE: Final = "value"
"""The other name in a typed value."""
_BITS_SHOWN: Final = 256


class Missing(Enum):
    """The type of MISSING."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
"""What stands where nothing stands; None is a value."""


class SetChange(TypedDict):
    """Put `value` at `path`; missing parents are made as objects; an index equal to the list's length appends.

    An empty path replaces the whole context; `value` is then a plain object.
    """

    op: Literal["set"]
    path: Segments
    value: Wire


class RemoveChange(TypedDict):
    """Remove what stands at `path`; later items of a list move up."""

    op: Literal["remove"]
    path: Segments


Change = SetChange | RemoveChange


def shown(value: object, characters: int = 80) -> str:
    """Return a foreign value for error texts: its repr, cut; its type where there is no repr (very large integers)."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a foreign repr may raise anything, and an error must still be told
        return article(type(value).__name__)
    return text if len(text) <= characters else f"{text[:characters]}..."


def shown_integer(value: int) -> str:
    """Return an integer for error texts, or its length where its digits would fill pages or cannot be written."""
    bits = value.bit_length()
    return str(value) if bits <= _BITS_SHOWN else f"one of {bits} bits"


def article(name: str) -> str:
    """Return the name of a type with its article, for error texts: `an int`, `a str`."""
    return f"an {name}" if name[:1] in "aeiouAEIO" else f"a {name}"


def describe(wire: Wire) -> str:
    """Return what kind of value this is, for error texts, such as `an int`, `a list of 3` or `a datetime`."""
    if wire is None:
        return "None"
    if isinstance(wire, dict):
        name = wire.get(TYPE, "object")
        return article(name) if isinstance(name, str) else "an object"
    if isinstance(wire, list):
        return f"a list of {len(wire)}"
    return article(type(wire).__name__)
