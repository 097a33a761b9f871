"""JSON as definitions use it: no key twice, no numbers that JSON does not know."""

import json
import re
import sys
from typing import Final, NoReturn

from engine.context.paths import is_text
from engine.errors import DefinitionError
from engine.limits import DEFINITION_DEPTH_MAX

_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_TOKEN: Final = re.compile(rf"{_STRING}|[{{}}\[\]:]")
_NUMBER: Final = re.compile(
    rf"{_STRING}|(?P<word>NaN|-?Infinity)|-?[0-9]+(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)|-?(?P<digits>[0-9]+)"
)


def read(text: str, source: str) -> object:
    """Return the data of a JSON text.

    Args:
        text: The document.
        source: Its name, for errors.

    Raises:
        DefinitionError: It is no JSON, has a key twice in one object, a lone surrogate or a number of thousands of
            digits, or goes too deep; the text names source, line and column.
    """
    try:
        data: object = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _error(source, text, error.pos, f"expected JSON, found: {error.msg}") from error
    except RecursionError as error:
        _check_tokens(text, source)
        raise DefinitionError(f"{source}: expected JSON, found: {error}.") from error
    except ValueError as error:
        raise _not_a_number(text, source) from error
    _check_tokens(text, source)
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _not_a_number(text: str, source: str) -> DefinitionError:
    """Return the error for the first number that the reader refuses: it does not say where it stands."""
    digits_max = sys.get_int_max_str_digits()
    for token in _NUMBER.finditer(text):
        if token["word"]:
            problem = f"expected JSON, found: the number {token['word']}, which JSON does not have"
            return _error(source, text, token.start(), problem)
        if token["digits"] and 0 < digits_max < len(token["digits"]):
            problem = f"expected integers of 64 bits with their sign, found one of {len(token['digits'])} digits"
            return _error(source, text, token.start(), problem)
    raise AssertionError("a number that was refused was not found again")


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
                if "\\u" in token[0] and not is_text(json.loads(token[0])):
                    raise _error(source, text, token.start(), "expected Unicode text, found a lone surrogate")


def _error(source: str, text: str, position: int, problem: str) -> DefinitionError:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return DefinitionError(f"{source}, line {line}, column {column}: {problem}.")
