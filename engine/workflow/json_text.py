"""JSON as definitions use it: no key twice, no numbers that JSON does not know."""

import json
import re
from typing import Final, NoReturn

from engine.errors import DefinitionError
from engine.limits import DEFINITION_DEPTH_MAX

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:]')


def read(text: str, source: str) -> object:
    """Return the data of a JSON text.

    Args:
        text: The document.
        source: Its name, for errors.

    Raises:
        DefinitionError: It is no JSON, has a key twice in one object or goes too deep; the text names source, line and
            column.
    """
    try:
        data: object = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _error(source, text, error.pos, f"expected JSON, found: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        _check_tokens(text, source)
        raise DefinitionError(f"{source}: expected JSON, found: {error}.") from error
    _check_tokens(text, source)
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"the number {name}, which JSON does not have")


def _check_tokens(text: str, source: str) -> None:
    """Check what the reader does not: it keeps the last of equal keys, and stops at Python's recursion limit."""
    stack: list[set[str]] = []
    string = None
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "{" | "[":
                stack.append(set())
                if len(stack) > DEFINITION_DEPTH_MAX:
                    expected = (
                        f"expected at most {DEFINITION_DEPTH_MAX} lists and objects inside each other, found more"
                    )
                    raise _error(source, text, token.start(), expected)
            case "}" | "]":
                stack.pop()
            case ":":
                assert string is not None
                key = json.loads(string[0])
                if key in stack[-1]:
                    raise _error(source, text, string.start(), f"expected each key once, found '{key}' a second time")
                stack[-1].add(key)
            case _:
                string = token


def _error(source: str, text: str, position: int, problem: str) -> DefinitionError:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return DefinitionError(f"{source}, line {line}, column {column}: {problem}.")
