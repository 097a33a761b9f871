"""Names in definitions and registries: short, printable, the same in every system."""

import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from engine.limits import ID_CHARACTERS_MAX

NAME_PATTERN: Final = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$"
NAME_WORDS: Final = f"1 to {ID_CHARACTERS_MAX} letters, digits, '.', '_' or '-', not beginning with '.'"

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=ID_CHARACTERS_MAX)]
"""The id of a workflow or node, the name of a node type, output, function or predicate."""


def is_name(text: str) -> bool:
    """Return whether the text is a `Name`."""
    return len(text) <= ID_CHARACTERS_MAX and re.fullmatch(NAME_PATTERN, text) is not None and text[-1:] != "\n"


def suggest(wrong: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known name nearest to the wrong one, or an empty text."""
    near = difflib.get_close_matches(wrong[:ID_CHARACTERS_MAX], list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def listed(names: Iterable[str]) -> str:
    """Return names for a message, in the order given: `a, b, c`, cut after twenty."""
    shown = list(names)
    rest = len(shown) - 20
    return (", ".join(shown[:20]) or "none") + (f" and {rest} more" if rest > 0 else "")
