"""Paths: `order.lines[0].sku` as text and as segments, and what they reach in a wire object. Pure.

A name is any text without dots, brackets, quotation marks and outer blanks; any other name stands quoted as a JSON
string: `order["a.b"]`. An index is a number in brackets, from 0. A path is written relative to the container it is
used on, so a path into a list begins with an index.
"""

import re
from functools import lru_cache
from typing import Final, cast

import orjson

from engine.context.errors import (
    ContextContainerError,
    ContextIndexError,
    ContextKeyError,
    ContextNameError,
    ContextPathError,
)
from engine.context.values import MISSING, TYPE, Missing, Path, Wire, WireList, WireObject, describe
from engine.errors import ContextError
from engine.limits import EXPRESSION_CHARACTERS_MAX, PATH_SEGMENTS_MAX

__all__ = [
    "MISSING",
    "Owned",
    "check_settable",
    "find",
    "is_text",
    "nested",
    "parse",
    "remove_at",
    "render",
    "set_at",
    "unreachable",
]

_NAME: Final = re.compile(r'[^.\[\]"\s](?:[^.\[\]"]*[^.\[\]"\s])?')
_QUOTED: Final = re.compile(r'\[("(?:[^"\\]|\\.)*")\]')
_INDEX: Final = re.compile(r"\[(0|[1-9][0-9]{0,8})\]")

Owned = dict[int, WireObject | WireList]
"""Containers that one update has copied already and may write to, by their identity."""


@lru_cache(maxsize=4096)
def parse(path: str) -> tuple[str | int, ...]:
    """Return the path's segments: names as texts, indexes as numbers.

    Raises:
        ContextPathError: The text is no path; the error names the character where it stops being one.
    """
    if path.__class__ is not str or not path:
        raise ContextPathError(f"expected a path such as a.b[0].c, but found {path!r}.")
    if len(path) > EXPRESSION_CHARACTERS_MAX:
        raise ContextPathError(
            f"expected at most {EXPRESSION_CHARACTERS_MAX} characters in a path, but found {len(path)}: {path[:40]!r}."
        )
    segments: list[str | int] = []
    position = 0
    while position < len(path):
        segment, position = _segment(path, position)
        segments.append(segment)
    if len(segments) > PATH_SEGMENTS_MAX:
        raise ContextPathError(
            f"expected at most {PATH_SEGMENTS_MAX} segments in a path, but found {len(segments)}: {path[:40]!r}..."
        )
    return tuple(segments)


def _segment(path: str, position: int) -> tuple[str | int, int]:
    """Return the segment that begins at `position`, and where the next one begins."""
    if path[position] == "[":
        if found := _INDEX.match(path, position):
            return int(found[1]), found.end()
        if found := _QUOTED.match(path, position):
            return _unquoted(path, found[1], position), found.end()
        raise _syntax(path, position + 1, 'an index such as [0] or a quoted name such as ["a.b"]')
    start = position
    if position:
        if path[position] != ".":
            raise _syntax(path, position, "a dot, an opening bracket or the end")
        start += 1
    found = _NAME.match(path, start)
    if found is None:
        raise _syntax(path, start, 'a name (one with outer blanks stands quoted: [" a"])')
    if found.end() < len(path) and path[found.end()] not in ".[":
        raise _syntax(path, found.end(), 'a dot, an opening bracket or the end (other names stand quoted: ["a]b"])')
    if not is_text(found[0]):
        raise _syntax(path, start, "a name without lone surrogates")
    return found[0], found.end()


def _unquoted(path: str, literal: str, position: int) -> str:
    try:
        return str(orjson.loads(literal))
    except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
        raise _syntax(path, position + 1, "a name quoted as a JSON string") from error


def is_text(text: str) -> bool:
    """Return whether the text has a UTF-8 form: it holds no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _syntax(path: str, position: int, expected: str) -> ContextPathError:
    found = repr(path[position : position + 10]) if position < len(path) else "the end"
    return ContextPathError(f"expected {expected} at character {position + 1} of the path {path!r}, but found {found}.")


def render(segments: Path) -> str:
    """Return the segments as a path that `parse` reads back; the empty text for none."""
    text = ""
    for segment in segments:
        if isinstance(segment, int):
            text += f"[{segment}]"
        elif _NAME.fullmatch(segment) and is_text(segment):
            text += f".{segment}" if text else segment
        else:
            # A lone surrogate has no JSON form, and error texts must be able to name it.
            name = segment if is_text(segment) else segment.encode("utf-8", "backslashreplace").decode()
            text += f"[{orjson.dumps(name).decode()}]"
    return text


def find(context: Wire, segments: Path) -> Wire | Missing:
    """Return what stands at the path, or MISSING; a typed value is whole, nothing stands inside it."""
    here = context
    for segment in segments:
        if isinstance(here, dict):
            if segment not in here or TYPE in here:
                return MISSING
            here = here[segment]
        elif isinstance(here, list) and segment.__class__ is int and 0 <= segment < len(here):
            here = here[segment]
        else:
            return MISSING
    return here


def set_at(context: WireObject, segments: Path, value: Wire, owned: Owned | None = None) -> WireObject:
    """Return the context with `value` at the path; the containers beside the path are shared.

    Missing parents are made as objects. A list is never made, and an index must exist or be the list's length,
    which appends. The value is taken as it is; `engine.context.check` has the limits.

    Args:
        context: Is left as it is.
        segments: At least one.
        value: What to put there; is shared, not copied.
        owned: Containers that this update made before and may write to, when several updates make one.

    Raises:
        ContextContainerError: Something on the way is not the object or list that the path needs.
        ContextIndexError: A list on the way has no such index.
        ContextNameError: A name is `$type`.
        ContextPathError: There are no segments, or too many.
    """
    check_settable(segments)
    return _set(context, segments, 0, value, owned)  # type: ignore[return-value]  # what is put into an object leaves one


def check_settable(segments: Path) -> None:
    """Raise when no value can ever stand at the path: it is empty, too long, or names `$type`."""
    if not 0 < len(segments) <= PATH_SEGMENTS_MAX:
        raise ContextPathError(f"expected 1 to {PATH_SEGMENTS_MAX} segments, but found {len(segments)}.")
    if TYPE in segments:
        raise ContextNameError(f"expected names other than {TYPE!r}, which marks typed values, in {render(segments)}.")


def _set(container: Wire, segments: Path, position: int, value: Wire, owned: Owned | None) -> Wire:
    segment = segments[position]
    inner: Wire | Missing
    if isinstance(container, dict) and isinstance(segment, str) and TYPE not in container:
        inner = container.get(segment, MISSING)
    elif isinstance(container, list) and segment.__class__ is int and 0 <= segment <= len(container):
        inner = container[segment] if segment < len(container) else MISSING
    else:
        raise unreachable(container, segments, position)
    if position == len(segments) - 1:
        new = value
    elif inner is MISSING:
        new = nested(segments, position + 1, value)
    else:
        new = _set(inner, segments, position + 1, value, owned)
    copy = _writable(container, owned)
    if inner is MISSING and isinstance(copy, list):
        copy.append(new)
    else:
        copy[segment] = new  # type: ignore[index]  # looking for what stands here has shown that it fits
    return copy


def nested(segments: Path, position: int, value: Wire) -> Wire:
    """Return the value inside the objects that the segments from `position` on name.

    Raises:
        ContextContainerError: One of them is an index; lists are never made.
    """
    for index in range(len(segments) - 1, position - 1, -1):
        segment = segments[index]
        if not isinstance(segment, str):
            raise ContextContainerError(
                f"expected a list at {render(segments[:index])!r} for the path {render(segments)!r}, but found nothing;"
                " missing objects are made, missing lists are not."
            )
        value = {segment: value}
    return value


def remove_at(context: WireObject, segments: Path, owned: Owned | None = None) -> WireObject:
    """Return the context without what stands at the path; the very same context when nothing stands there.

    Args:
        context: Is left as it is.
        segments: The path; with none, nothing is removed.
        owned: Containers that this update made before and may write to, when several updates make one.
    """
    if not segments or find(context, segments) is MISSING:
        return context
    return cast("WireObject", _remove(context, segments, 0, {} if owned is None else owned))


def _remove(container: Wire, segments: Path, position: int, owned: Owned) -> Wire:
    copy = _writable(cast("WireObject | WireList", container), owned)
    segment = segments[position]
    if position == len(segments) - 1:
        del copy[segment]  # type: ignore[arg-type]  # `find` has shown that it fits
    else:
        inner = copy[segment]  # type: ignore[index]  # the same
        copy[segment] = _remove(inner, segments, position + 1, owned)  # type: ignore[index]  # the same
    return copy


def _writable(container: WireObject | WireList, owned: Owned | None) -> WireObject | WireList:
    """Return the container itself when this update made it, otherwise a copy that it may write to."""
    if owned is None:
        return container.copy()
    if id(container) in owned:
        return container
    copy = container.copy()
    owned[id(copy)] = copy
    return copy


def unreachable(container: Wire, segments: Path, position: int) -> ContextError:
    """Return the error that says why `segments[position]` cannot be found in `container`, which stands before it."""
    segment = segments[position]
    whole = render(segments)
    place = f"at {render(segments[:position])!r}" if position else "at its beginning"
    if isinstance(container, dict) and TYPE not in container and isinstance(segment, str):
        return ContextKeyError(f"expected a value at {whole!r}, but nothing has the name {segment!r} {place}.")
    if isinstance(container, list) and isinstance(segment, int):
        return ContextIndexError(f"expected a value at {whole!r}, but the list {place} has {len(container)} items.")
    wanted = f"an object with the name {segment!r}" if isinstance(segment, str) else f"a list with the index {segment}"
    return ContextContainerError(f"expected {wanted} {place} for the path {whole!r}, but found {describe(container)}.")
