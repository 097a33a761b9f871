"""The header `traceparent` of W3C Trace Context: which texts are one."""

import re
from typing import Final

_FIELDS: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}(?P<more>-.*)?"
)
_FIRST: Final = "00"
"""The version that ends with the flags; later ones may go on behind a dash."""
_FORBIDDEN: Final = "ff"
"""What is no version."""
_NOTHING: Final = "0"
"""The only character of an id that identifies nothing."""


def is_traceparent(text: str) -> bool:
    """Return whether a text is one, in the first version or, as far as can be known, in a later one.

    Whoever receives another text goes on as if there were none: https://www.w3.org/TR/trace-context/#traceparent-header.
    """
    found = _FIELDS.fullmatch(text)
    if found is None or found["version"] == _FORBIDDEN or (found["version"] == _FIRST and found["more"]):
        return False
    return bool(found["trace"].strip(_NOTHING) and found["parent"].strip(_NOTHING))
