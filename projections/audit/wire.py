"""JSON as the log has it: read, compared, and changed by path. Written down a second time, for the audit alone."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeGuard, TypeVar, cast

import orjson

from engine.limits import PATH_SEGMENTS_MAX

Json = object
JsonObject = dict[str, object]

_Container = TypeVar("_Container", dict[str, object], dict[object, object], list[object])

_TYPE: Final = "$type"
"""Marks a typed value, which is whole: nothing stands inside it."""


class ChangeError(ValueError):
    """A change does not fit the context that it changes."""


def canonical(value: Json | Mapping[str, object]) -> bytes:
    """Return the one form of a JSON value: names sorted, no blanks. Two values are the same when their forms are."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def same(one: Json, other: Json) -> bool:
    """Return whether two values are the same on the log: 1, 1.0 and true are three, the order of names is none."""
    return one is other or canonical(one) == canonical(other)


def changed(context: JsonObject, changes: Sequence[object]) -> JsonObject:
    """Return the context with the changes made in order; the given one stays as it is.

    Raises:
        ChangeError: A change does not fit; the text names its number.
    """
    # What this call has copied may be written to; what it has not may be somebody else's too.
    own: dict[int, object] = {}
    for number, change in enumerate(changes):
        try:
            context = _one(context, cast("JsonObject", change), own)
        except (ChangeError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise ChangeError(f"change {number}: {error}") from error
    return context


def _one(context: JsonObject, change: JsonObject, own: dict[int, object]) -> JsonObject:
    path, op = change["path"], change["op"]
    if not isinstance(path, list) or len(path) > PATH_SEGMENTS_MAX:
        raise ChangeError(f"expected a list of at most {PATH_SEGMENTS_MAX} names and indexes as the path")
    if op == "set":
        value = change["value"]
        if path:
            return cast("JsonObject", _set(context, path, 0, value, own))
        if not isinstance(value, dict) or _TYPE in value:
            raise ChangeError("expected a plain object as the whole context")
        return value
    if op != "remove" or not path:
        raise ChangeError(f"expected set, or remove with a path, but found {op!r}")
    return cast("JsonObject", _remove(context, path, 0, own))


def _set(container: object, path: list[object], at: int, value: object, own: dict[int, object]) -> object:
    step = path[at]
    last = at == len(path) - 1
    if isinstance(container, dict) and isinstance(step, str) and _TYPE not in container and step != _TYPE:
        inner = value if last else _set(container.get(step, {}), path, at + 1, value, own)
        copy = _own(container, own)
        copy[step] = inner
        return copy
    if isinstance(container, list) and _is_index(step) and 0 <= step <= len(container):
        here = container[step] if step < len(container) else {}
        inner = value if last else _set(here, path, at + 1, value, own)
        items = _own(container, own)
        items[step : step + 1] = [inner]
        return items
    raise ChangeError(f"nothing can be set at {path!r}")


def _remove(container: object, path: list[object], at: int, own: dict[int, object]) -> object:
    step = path[at]
    there = (isinstance(container, dict) and step in container and _TYPE not in container) or (
        isinstance(container, list) and _is_index(step) and 0 <= step < len(container)
    )
    if not there:
        raise ChangeError(f"nothing stands at {path!r}")
    copy = _own(cast("dict[object, object]", container), own)
    if at == len(path) - 1:
        del copy[step]
    else:
        copy[step] = _remove(copy[step], path, at + 1, own)
    return copy


def _is_index(step: object) -> TypeGuard[int]:
    return step.__class__ is int


def _own(container: _Container, own: dict[int, object]) -> _Container:
    if id(container) in own:
        return container
    copy = container.copy()
    own[id(copy)] = copy
    return copy
