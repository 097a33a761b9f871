"""Names in definitions and registries: short, printable, the same in every system."""

import difflib
import heapq
import re
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from engine.limits import ID_CHARACTERS_MAX, SUGGESTED_AMONG_MAX

NAME_PATTERN: Final = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$"
NAME_WORDS: Final = f"1 to {ID_CHARACTERS_MAX} letters, digits, '.', '_' or '-', not beginning with '.'"

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=ID_CHARACTERS_MAX)]
"""The id of a workflow or node, the name of a node type, output, function or predicate."""


def is_name(text: str) -> bool:
    """Return whether the text is a `Name`."""
    return len(text) <= ID_CHARACTERS_MAX and re.fullmatch(NAME_PATTERN, text) is not None and text[-1:] != "\n"


def suggest(wrong: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known name nearest to the wrong one, or an empty text."""
    wrong, names = wrong[:ID_CHARACTERS_MAX], list(known)
    if len(names) > SUGGESTED_AMONG_MAX:
        # Comparing whole names takes long: only with those that begin and end most like it.
        names = heapq.nlargest(SUGGESTED_AMONG_MAX, names, key=lambda name: _shared(wrong, name))
    near = difflib.get_close_matches(wrong, names, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _shared(one: str, other: str) -> int:
    """Return how many characters at the beginning and at the end are the same."""
    return _begun_alike(one, other) + _begun_alike(one[::-1], other[::-1])


def _begun_alike(one: str, other: str) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def listed(names: Iterable[str]) -> str:
    """Return names for a message, in the order given: `a, b, c`, cut after twenty."""
    shown = list(names)
    rest = len(shown) - 20
    return (", ".join(shown[:20]) or "none") + (f" and {rest} more" if rest > 0 else "")
