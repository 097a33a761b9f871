"""Contexts as data: the JSON form that stands on the log, and its changes.

A wire value is plain JSON; a value JSON does not know stands as `{"$type": "datetime", "value": "..."}`.
Wire values are never changed in place: an update copies the containers on its path and shares the rest.
The order of names in an object has no meaning.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final, Literal, TypedDict

Wire = None | bool | int | float | str | list["Wire"] | dict[str, "Wire"]
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


def describe(wire: Wire) -> str:
    """Return what kind of value this is, in words for error texts, such as `an int` or `a datetime`."""
    match wire:
        case None:
            return "None"
        case dict():
            return "an object" if TYPE not in wire else f"a {wire[TYPE]}"
        case list():
            return f"a list of {len(wire)}"
        case int() if not isinstance(wire, bool):
            return "an int"
        case _:
            return f"a {type(wire).__name__}"
