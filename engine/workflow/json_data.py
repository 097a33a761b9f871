"""What JSON readers of every language agree on: checked before data becomes part of a definition."""

import math
from typing import TypeVar

from engine.context.values import shown, shown_integer
from engine.limits import CONTEXT_DEPTH_MAX, INTEGER_MAX, INTEGER_MIN

DataT = TypeVar("DataT")
Place = tuple[int | str, ...]


class NotJSONError(ValueError):
    """Some of the data is no JSON, or no JSON that every reader reads.

    Attributes:
        problem: What was expected, and what was found.
        place: The names and indexes that lead to it.
    """

    def __init__(self, problem: str, place: Place = ()) -> None:
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
        super().__init__(f"{problem} at {where}" if where else problem)
        self.problem = problem
        self.place = place


def require_json(data: DataT) -> DataT:
    """Return the data unchanged if it is JSON.

    Raises:
        NotJSONError: There is a number beyond signed 64 bits, one that is not finite, a lone surrogate, more than 64
            containers inside each other, or an object of Python.
    """
    todo: list[tuple[object, Place]] = [(data, ())]
    while todo:
        value, place = todo.pop()
        if isinstance(value, dict | list):
            if len(place) >= CONTEXT_DEPTH_MAX:
                raise NotJSONError(f"expected at most {CONTEXT_DEPTH_MAX} containers inside each other, found more")
            todo += _children(value, place)
        elif problem := _scalar_problem(value):
            raise NotJSONError(problem, place)
    return data


def _children(container: dict[object, object] | list[object], place: Place) -> list[tuple[object, Place]]:
    if isinstance(container, list):
        return [(item, (*place, index)) for index, item in enumerate(container)]
    for key in container:
        if problem := "expected a text as key" if not isinstance(key, str) else _scalar_problem(key):
            raise NotJSONError(f"{problem}, found {shown(key)}", place)
    return [(item, (*place, str(key))) for key, item in container.items()]


def _scalar_problem(value: object) -> str:
    match value:
        case None | bool():
            return ""
        case int():
            if INTEGER_MIN <= value <= INTEGER_MAX:
                return ""
            expected = f"expected an integer of 64 bits with its sign, from {INTEGER_MIN} to {INTEGER_MAX}"
            return f"{expected}, found {shown_integer(value)}"
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
