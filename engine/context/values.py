"""Contexts as data: the JSON form that stands on the log, and its changes.

A wire value is plain JSON; a value JSON does not know stands as `{"$type": "datetime", "value": "..."}`.
Wire values are never changed in place: an update copies the containers on its path and shares the rest.
"""

from typing import Literal, TypedDict

Wire = None | bool | int | float | str | list["Wire"] | dict[str, "Wire"]
WireObject = dict[str, Wire]
Segments = list[str | int]
"""A path as data: names and list indexes, such as `["order", "lines", 0]`."""


class SetChange(TypedDict):
    """Put `value` at `path`; missing parents are made as objects; an index equal to the list's length appends."""

    op: Literal["set"]
    path: Segments
    value: Wire


class RemoveChange(TypedDict):
    """Remove what stands at `path`; later items of a list move up."""

    op: Literal["remove"]
    path: Segments


Change = SetChange | RemoveChange
