"""Kinds: what a caller of `get` asks for, and whether a value is that. Strict: nothing is converted.

A value is of a built-in type only when that is exactly its type: a bool is no int, an int is no float, a datetime is
no date. For any other class its subclasses fit too; everything is an `object`. None fits `None` and `X | None`.
"""

from collections.abc import Hashable
from functools import lru_cache
from types import NoneType, UnionType
from typing import Final, TypeVar, Union, cast, get_args, get_origin

from engine.context.errors import ContextTypeError
from engine.context.typed import BY_TYPE
from engine.context.values import article, shown

T = TypeVar("T")

_EXACT: Final = frozenset({NoneType, bool, int, float, str, *BY_TYPE})


@lru_cache(maxsize=1024)
def classes(kind: Hashable) -> tuple[type, ...]:
    """Return the classes that are asked for: one, or those of a union.

    Raises:
        ContextTypeError: It is neither a class nor a union of classes.
    """
    if kind is None:
        return (NoneType,)
    if get_origin(kind) in {Union, UnionType}:
        return tuple(found for member in get_args(kind) for found in classes(member))
    # list[int] is an instance of type in no version, but looks like one to isinstance in some.
    if not isinstance(kind, type) or get_args(kind):
        raise ContextTypeError(
            f"expected a class or a union such as str | None to get a value as, but found {shown(kind)}."
        )
    return (kind,)


def matched(value: object, kind: type[T], path: str) -> T:
    """Return the value when it is of the kind.

    Raises:
        ContextTypeError: It is not; the error names both kinds and the path.
    """
    if fits(value, kind):
        return cast("T", value)
    wanted = " | ".join(found.__name__ for found in classes(cast("Hashable", kind)))
    hint = ""
    if wanted in {"dict", "list"}:
        hint = f"An object is got as ContextObject, a list as ContextList; {wanted}(...) of it makes a copy."
    elif value is None:
        hint = f"Ask for {wanted} | None where there may be None."
    found = "None" if value is None else article(type(value).__name__)
    raise ContextTypeError(f"expected {wanted} at {path!r}, but found {found}.", hint=hint)


def fits(value: object, kind: object) -> bool:
    """Return whether the value is of the kind."""
    return any(type(value) is found or (found not in _EXACT and isinstance(value, found)) for found in classes(kind))
