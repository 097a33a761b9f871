"""JSON text: a whole context as a text, for people, databases and other programs."""

import json

import orjson

from engine.context.check import check_limits, check_wire
from engine.context.converters import Converters
from engine.context.errors import ContextIntegerError, ContextJSONError
from engine.context.values import WireObject
from engine.limits import INTEGER_MAX, INTEGER_MIN


def write_json(wire: WireObject) -> str:
    """Return a valid wire object as JSON, in one line.

    Raises:
        ContextValueError: It breaks a limit; the subclass says which.
    """
    check_limits(wire)
    return orjson.dumps(wire).decode()


def read_json(text: str | bytes, converters: Converters | None) -> WireObject:
    """Return the wire object that a JSON text stands for.

    Raises:
        ContextJSONError: The text is no JSON object in UTF-8, or a name stands twice in one.
        ContextError: It is no valid context; the subclass says why.
    """
    try:
        wire: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ContextJSONError(
            f"expected a context as JSON, but found no JSON at line {error.lineno}, column {error.colno}: {error.msg}.",
            line=error.lineno,
            column=error.colno,
        ) from None
    if not isinstance(wire, dict):
        raise ContextJSONError(
            f"expected a JSON object as the context, but found {type(wire).__name__}.", line=1, column=1
        )
    context = check_wire(wire, converters=converters)
    if orjson.dumps(context) != (text.encode() if isinstance(text, str) else text):
        # Not our own writing: it may hold a name twice or an integer too large, and orjson tells neither.
        json.loads(text, object_pairs_hook=_unique, parse_int=_integer)
    return context


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ContextJSONError(f"expected each name once in an object of the context, but found {twice!r} twice.")
    return found


def _integer(digits: str) -> int:
    # Python converts no more than some thousands of digits; none of those would fit.
    if len(digits) > len(str(INTEGER_MIN)) or not INTEGER_MIN <= int(digits) <= INTEGER_MAX:
        raise ContextIntegerError(f"expected integers of signed 64 bits, but found {digits:.40}.")
    return int(digits)
