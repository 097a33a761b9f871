"""Checks of whole wire objects: of foreign ones, value by value, and of the limits of any."""

from typing import Final, cast

import orjson

from engine.context.converters import Converters
from engine.context.errors import ContextFormError, ContextSizeError, ContextUnregisteredError
from engine.context.refusals import SCALARS, name_error, place_of, scalar_error, too_deep, too_many, unknown_type
from engine.context.typed import BY_NAME
from engine.context.values import TYPE, VALUE, Path, Wire, WireList, WireObject, article, shown
from engine.limits import CONTEXT_BYTES_MAX, CONTEXT_DEPTH_MAX, CONTEXT_VALUES_MAX

SIZE_HINT: Final = "Keep large data elsewhere and put its address into the context."


def size(wire: Wire) -> int:
    """Return the bytes of a valid wire value as JSON."""
    return len(orjson.dumps(wire))


def check_wire(wire: object, *, converters: Converters | None = None, unknown_types: bool = False) -> WireObject:
    """Return a wire object from outside as it is, when everything in it is valid and within the limits.

    Args:
        wire: What a JSON reader gave.
        converters: The registry whose wire names are valid. Its converters are not run.
        unknown_types: Whether other names are valid too, as for the engine, which passes them on unread.

    Raises:
        ContextFormError: It is no plain object, or a typed value in it is not of its type's form.
        ContextUnregisteredError: A `$type` is unknown, or a value is no JSON.
        ContextValueError: The subclass and the text say which limit or rule, at which path.
    """
    if not isinstance(wire, dict) or TYPE in wire:
        found = "a typed value" if isinstance(wire, dict) else article(type(wire).__name__)
        raise ContextFormError(f"expected an object as the context, but found {found}.")
    _Checker(converters, unknown_types=unknown_types).check(wire, 1)
    context = cast("WireObject", wire)
    check_limits(context)
    return context


def check_limits(wire: Wire, path: Path = ()) -> int:
    """Check bytes, values and depth of a wire value whose parts are valid; quick for small ones.

    Args:
        wire: A whole context, or a value that is to stand at `path`.
        path: Where it stands; counts for the depth.

    Returns:
        How many values had to be walked over one by one: 0 for the small.

    Raises:
        ContextSizeError: More than 256 KiB as JSON; the error names the largest part.
        ContextCountError: More than 100,000 values.
        ContextDepthError: More than 64 containers inside each other.
    """
    try:
        data = orjson.dumps(wire)
    except orjson.JSONEncodeError:
        # orjson stops at 254 levels; the walk says so with the path.
        _walk(wire, path)
        raise
    if len(data) > CONTEXT_BYTES_MAX:
        raise _too_large(wire, list(path), len(data))
    # Brackets and commas bound depth and count from above (those in texts only raise the bound), at C's speed.
    containers = data.count(b"{") + data.count(b"[")
    if containers + len(path) > CONTEXT_DEPTH_MAX or containers + data.count(b",") >= CONTEXT_VALUES_MAX:
        return _walk(wire, path)
    return 0


def _walk(wire: Wire, path: Path) -> int:
    """Count depth and values of a wire value that stands at the path, container by container; return the values."""
    values, place = 0, list(path)

    def walk(container: WireObject | WireList, depth: int) -> None:
        nonlocal values
        typed = isinstance(container, dict) and TYPE in container
        if not typed:
            values += len(container)
            if depth > CONTEXT_DEPTH_MAX:
                raise too_deep(place)
            if values > CONTEXT_VALUES_MAX:
                raise too_many(place)
        for segment, inner in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(inner, (dict, list)):
                place.append(segment)
                walk(inner, depth if typed else depth + 1)
                place.pop()

    if isinstance(wire, (dict, list)):
        walk(wire, len(path) + 1)
    return values


def _too_large(wire: Wire, path: list[str | int], total: int) -> ContextSizeError:
    """Return the error that names the deepest part that makes up most of the bytes."""
    here, bytes_here = wire, total
    while isinstance(here, (dict, list)) and here and not (isinstance(here, dict) and TYPE in here):
        parts = here.items() if isinstance(here, dict) else enumerate(here)
        bytes_part, segment, part = max(((size(p), s, p) for s, p in parts), key=lambda entry: entry[0])
        if bytes_part * 2 < bytes_here:
            break
        path, here, bytes_here = [*path, segment], part, bytes_part
    return ContextSizeError(
        f"expected at most {CONTEXT_BYTES_MAX:,} bytes as JSON, but found {total:,};"
        f" {bytes_here:,} of them {place_of(path)}.",
        hint=SIZE_HINT,
    )


class _Checker:
    """Walks through a foreign wire value; `_path` is where it is, which only the errors need."""

    def __init__(self, converters: Converters | None, *, unknown_types: bool) -> None:
        self._converters = converters
        self._unknown_types = unknown_types
        self._path: list[str | int] = []
        self._left = CONTEXT_VALUES_MAX

    def check(self, value: object, depth: int, *, plain: bool = False) -> None:
        """Check a value in `depth - 1` containers; inside a custom value everything is `plain`: no typed values."""
        kind = type(value)
        if type(value) is dict:
            if TYPE in value and not plain:
                self._typed(value, depth)
            else:
                self._object(value, depth, plain=plain)
        elif kind is list:
            items = cast("list[object]", value)
            self._enter(len(items), depth)
            for index, item in enumerate(items):
                self._inner(index, item, depth, plain=plain)
        elif kind in SCALARS:
            if error := scalar_error(value, self._path):
                raise error
        else:
            raise ContextUnregisteredError(
                f"expected a JSON value, but found {article(kind.__name__)} {place_of(self._path)}."
            )

    def _enter(self, values: int, depth: int) -> None:
        if depth > CONTEXT_DEPTH_MAX:
            raise too_deep(self._path)
        self._left -= values
        if self._left < 0:
            raise too_many(self._path)

    def _object(self, found: dict[object, object], depth: int, *, plain: bool) -> None:
        self._enter(len(found), depth)
        for name, item in found.items():
            # Most names and texts are short ASCII: not worth a call each.
            if (type(name) is not str or name == TYPE or not name.isascii()) and (
                error := name_error(name, self._path)
            ):
                raise error
            if type(item) is not str or not item.isascii():
                self._inner(name, item, depth, plain=plain)  # type: ignore[arg-type]  # no error, so it is a text

    def _inner(self, segment: str | int, item: object, depth: int, *, plain: bool) -> None:
        self._path.append(segment)
        self.check(item, depth + 1, plain=plain)
        self._path.pop()

    def _typed(self, found: dict[object, object], depth: int) -> None:
        name = found[TYPE]
        place = place_of(self._path)
        if found.keys() != {TYPE, VALUE} or not isinstance(name, str):
            raise ContextFormError(
                f"expected a typed value with the fields {TYPE!r} (a text) and {VALUE!r}, "
                f"but found {shown(found, 200)} {place}."
            )
        if form := BY_NAME.get(name):
            try:
                form.value(found[VALUE])
            except ValueError as error:
                raise ContextFormError(f"not a {name} {place}: {error}.") from None
            return
        if not self._unknown_types and (self._converters is None or self._converters.of_name(name) is None):
            raise unknown_type(name, self._path)
        self.check(found[VALUE], depth, plain=True)
