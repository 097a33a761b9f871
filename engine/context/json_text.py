"""JSON text: a whole context as a text, for people, databases and other programs."""

import json
import re
from typing import Final

import orjson

from engine.context.check import check_limits, check_wire
from engine.context.converters import Converters
from engine.context.errors import ContextIntegerError, ContextJSONError
from engine.context.values import WireObject, shown
from engine.limits import INTEGER_MAX, INTEGER_MIN

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:]')


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
        ContextJSONError: The text is no JSON object in UTF-8, or a name stands twice in one; with line and column.
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
        try:
            json.loads(text, object_pairs_hook=_unique, parse_int=_integer)
        except _RepeatedError:
            raise _repeated(text if isinstance(text, str) else text.decode()) from None
    return context


class _RepeatedError(Exception):
    """A name stands twice in an object."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RepeatedError
    return found


def _repeated(text: str) -> ContextJSONError:
    """Return the error for a text of JSON in which a name stands twice in an object, which the reader cannot place."""
    opened: list[set[str]] = []
    literal = None
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "{" | "[":
                opened.append(set())
            case "}" | "]":
                opened.pop()
            case ":":
                assert literal is not None
                name = orjson.loads(literal[0])
                if name in opened[-1]:
                    return _twice(name, text, literal.start())
                opened[-1].add(name)
            case _:
                literal = token
    raise AssertionError("a name that stands twice was not found again")


def _twice(name: str, text: str, position: int) -> ContextJSONError:
    line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    return ContextJSONError(
        f"expected each name once in an object of the context, but found {shown(name)} twice, "
        f"again at line {line}, column {column}.",
        line=line,
        column=column,
    )


def _integer(digits: str) -> int:
    # Python converts no more than some thousands of digits; none of those would fit.
    if len(digits) > len(str(INTEGER_MIN)) or not INTEGER_MIN <= int(digits) <= INTEGER_MAX:
        raise ContextIntegerError(f"expected integers of signed 64 bits, but found {digits:.40}.")
    return int(digits)
