"""Changes: what makes one context from another, as events carry it. Pure.

Values are compared as they stand on the log: 1, 1.0 and True are three values, and so are 0.0 and -0.0. A typed
value is whole. The order of names has no meaning and is no change.
"""

from collections.abc import Sequence
from typing import Final, cast

import orjson

from engine.context.errors import ContextChangeError
from engine.context.paths import Owned, find, remove_at, render, set_at
from engine.context.values import MISSING, TYPE, Change, Path, Wire, WireList, WireObject, shown
from engine.errors import ContextError

_FEW: Final = 8
"""Changes inside one container that are worth their own paths without measuring."""


def difference(before: WireObject, after: WireObject) -> list[Change]:
    """Return the changes that make `after` from `before`; none when they are the same.

    Objects are compared name by name, lists of one length item by item. A list that only grew gets its new items
    appended; any other list is set as a whole. Where many changes in one container take more bytes than the
    container, it is set as a whole too, so that changes are never much larger than the context.

    Args:
        before: A valid wire object.
        after: Another one; the changes share its containers.
    """
    changes: list[Change] = []
    if before is not after:
        _objects(before, after, (), changes)
        if len(changes) > _FEW:
            _shorten(changes, 0, (), after)
    return changes


def _objects(before: WireObject, after: WireObject, path: tuple[str | int, ...], changes: list[Change]) -> None:
    for name in before:
        if name not in after:
            changes.append({"op": "remove", "path": [*path, name]})  # noqa: PERF401 - mostly there is none
    for name, new in after.items():
        old = before.get(name, MISSING)
        if old is new:
            continue
        if old is MISSING:
            changes.append({"op": "set", "path": [*path, name], "value": new})
        else:
            _values(old, new, (*path, name), changes)


def _values(old: Wire, new: Wire, path: tuple[str | int, ...], changes: list[Change]) -> None:
    """Append what makes `new` from `old`, both at `path`."""
    start = len(changes)
    if isinstance(old, dict) and isinstance(new, dict) and TYPE not in old and TYPE not in new:
        _objects(old, new, path, changes)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (inner_old, inner_new) in enumerate(zip(old, new, strict=True)):
            if inner_old is not inner_new:
                _values(inner_old, inner_new, (*path, index), changes)
    elif isinstance(old, list) and isinstance(new, list) and _grew(old, new):
        changes.extend({"op": "set", "path": [*path, i], "value": new[i]} for i in range(len(old), len(new)))
    elif not same(old, new):
        changes.append({"op": "set", "path": [*path], "value": new})
    if len(changes) - start > _FEW:
        _shorten(changes, start, path, new)


def _grew(old: WireList, new: WireList) -> bool:
    return 0 < len(old) < len(new) and all(map(same, old, new))


def _shorten(changes: list[Change], start: int, path: Path, value: Wire) -> None:
    """Replace the changes from `start` on by one that sets the whole container, when that takes fewer bytes."""
    whole: Change = {"op": "set", "path": [*path], "value": value}
    left = len(orjson.dumps(whole))
    # One by one and no further than needed: each repeats the path, and thousands of changes may stand at a long one.
    for change in changes[start:]:
        left -= len(orjson.dumps(change)) + 1
        if left < -1:
            changes[start:] = [whole]
            return


def same(one: Wire, other: Wire) -> bool:
    """Return whether two wire values are the same on the log: type for type and bit for bit."""
    if one is other:
        return True
    if one.__class__ is not other.__class__:
        return False
    if isinstance(one, dict):
        pair = cast("WireObject", other)
        return len(one) == len(pair) and all(
            name in pair and (value is pair[name] or same(value, pair[name])) for name, value in one.items()
        )
    if isinstance(one, list):
        return len(one) == len(cast("WireList", other)) and all(map(same, one, cast("WireList", other)))
    # repr tells -0.0 from 0.0, which == does not.
    return one == other and (one.__class__ is not float or repr(one) == repr(other))


def apply(context: WireObject, changes: Sequence[Change]) -> WireObject:
    """Return the context with the changes made in order; what they do not touch is shared.

    Args:
        context: A valid wire object; is left as it is.
        changes: As `difference` returns them, or as a node type makes them.

    Raises:
        ContextChangeError: A change does not fit; the error names its number and its path.
    """
    # A single change goes through every container once, so it has none of its own to find again.
    owned: Owned | None = {} if len(changes) > 1 else None
    for number, change in enumerate(changes):
        try:
            context = _applied(context, change, owned)
        except (ContextError, KeyError, TypeError, AttributeError) as error:
            reason = error if isinstance(error, ContextError) else "expected op, path and value as the log has them."
            raise ContextChangeError(f"change {number} ({shown(change, 200)}) cannot be applied: {reason}") from error
    return context


def _applied(context: WireObject, change: Change, owned: Owned | None) -> WireObject:
    path = change["path"]
    if path.__class__ is not list:
        raise ContextChangeError(f"expected a list of names and indexes as the path, but found {shown(path)}.")
    if change["op"] == "set":
        value = change["value"]
        if path:
            return set_at(context, path, value, owned)
        if not isinstance(value, dict) or TYPE in value:
            raise ContextChangeError("expected a plain object for the whole context.")
        return value
    if change["op"] != "remove":
        raise ContextChangeError(f"expected the op set or remove, but found {shown(change['op'])}.")
    if not path or find(context, path) is MISSING:
        raise ContextChangeError(f"expected a value to remove at {render(path)!r}, but found nothing.")
    return remove_at(context, path, owned)
