"""What JSON readers of every language agree on: checked before data becomes part of a definition."""

import math
from typing import TypeVar

from engine.limits import CONTEXT_DEPTH_MAX, INTEGER_MAX, INTEGER_MIN

DataT = TypeVar("DataT")


def require_json(data: DataT) -> DataT:
    """Return the data unchanged if it is JSON.

    Raises:
        ValueError: Names the place and what was found there: a number beyond signed 64 bits, one that is not finite,
            a lone surrogate, more than 64 containers inside each other, or an object of Python.
    """
    todo: list[tuple[object, str, int]] = [(data, "", 1)]
    while todo:
        value, path, depth = todo.pop()
        if isinstance(value, dict | list):
            if depth > CONTEXT_DEPTH_MAX:
                raise ValueError(f"expected at most {CONTEXT_DEPTH_MAX} containers inside each other, found more")
            todo += _children(value, path, depth + 1)
        elif problem := _scalar_problem(value):
            raise ValueError(f"{problem}{f' at {path}' if path else ''}")
    return data


def _children(container: dict[object, object] | list[object], path: str, depth: int) -> list[tuple[object, str, int]]:
    if isinstance(container, list):
        return [(item, f"{path}[{index}]", depth) for index, item in enumerate(container)]
    for key in container:
        if problem := "expected a text as key" if not isinstance(key, str) else _scalar_problem(key):
            raise ValueError(f"{problem}, found {key!r} in {path or 'the object'}")
    return [(item, f"{path}.{key}" if path else str(key), depth) for key, item in container.items()]


def _scalar_problem(value: object) -> str:
    match value:
        case None | bool():
            return ""
        case int():
            if INTEGER_MIN <= value <= INTEGER_MAX:
                return ""
            return f"expected an integer of 64 bits with its sign, found one of {value.bit_length() + 1}"
        case float():
            return "" if math.isfinite(value) else f"expected a finite number, found {value}"
        case str():
            return "" if _encodes(value) else "expected Unicode text, found a lone surrogate"
        case _:
            return f"expected JSON, found {type(value).__name__}"


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
