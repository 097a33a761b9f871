"""Fields that the configurations of several node types have, and how to read them where a model refuses them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, JsonValue

from engine.context.check import check_wire
from engine.context.converters import Converters
from engine.context.paths import check_settable, parse
from engine.context.typed import BY_NAME
from engine.context.values import TYPE, VALUE
from engine.errors import ContextError
from engine.expressions import ExpressionError, check
from engine.limits import NODE_ITEMS_MAX
from engine.workflow.json_data import require_json
from engine.workflow.names import listed, suggest

ItemT = TypeVar("ItemT")

Items = Annotated[tuple[ItemT, ...], Field(strict=False, max_length=NODE_ITEMS_MAX)]
"""Several of something, in order; a list in files."""


def _readable(path: str) -> str:
    try:
        check_settable(parse(path))
    except ContextError as error:
        raise ValueError(str(error)) from error
    return path


def _expression(text: str) -> str:
    try:
        check(text)
    except ExpressionError as error:
        raise ValueError(str(error)) from error
    return text


def _literal(value: JsonValue) -> JsonValue:
    require_json(value)  # the definition says the same of its configurations, and the same is listed once
    try:
        check_wire({VALUE: value}, unknown_types=True)
    except ContextError as error:
        raise ValueError(str(error)) from error
    return value


PathText = Annotated[str, AfterValidator(_readable)]
"""A path into a context, such as `order.lines[0].sku`."""

ExpressionText = Annotated[str, AfterValidator(_expression)]
"""A JMESPath expression."""

Literal = Annotated[JsonValue, AfterValidator(_literal)]
"""A value that a context can hold; typed ones as `{"$type": "datetime", "value": "..."}`."""


def entries(data: Mapping[str, object], field: str) -> list[Mapping[str, object]]:
    """Return the items of a list as they are written; one that is no object, like a list that is none, is empty."""
    items = data.get(field)
    if not isinstance(items, (list, tuple)):
        return []
    return [item if isinstance(item, Mapping) else {} for item in items]


def repeated(paths: Iterable[object]) -> Iterator[tuple[str, int, int]]:
    """Yield each path that was there before, with the index of the first and its own; what is no path is left out."""
    seen: dict[tuple[str | int, ...], int] = {}
    for index, path in enumerate(paths):
        try:
            segments = parse(path) if isinstance(path, str) else ()
        except ContextError:
            segments = ()
        if segments and (first := seen.setdefault(segments, index)) != index:
            yield str(path), first, index


def unknown_types(value: object, converters: Converters) -> Iterator[str]:
    """Yield a message for each `$type` in a literal that is neither built in nor registered."""
    known = [*BY_NAME, *converters.names]
    todo = [value]
    seen: set[int] = set()
    while todo:
        found = todo.pop()
        if id(found) in seen:
            continue  # what Python made may contain itself
        seen.add(id(found))
        name = found.get(TYPE) if isinstance(found, Mapping) else None
        if isinstance(name, str):
            # What such a value is made of is plain, so there are no types in it.
            if name not in known:
                near = suggest(name, known)
                yield f"expected a registered type, found the {TYPE} '{name}'; there are: {listed(known)}{near}"
        elif isinstance(found, Mapping):
            todo += reversed([*found.values()])
        elif isinstance(found, (list, tuple)):
            todo += reversed(found)
