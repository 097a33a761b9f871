"""Times as people type them: a moment, or how long ago."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from engine.cli.failures import ArgumentsError

_AGO: Final = re.compile(r"([0-9]{1,9})(s|m|h|d|w)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
EXPECTED: Final = "a time such as 2026-03-01T09:30:00Z, or how long ago, such as 90m, 2h or 3d"


def is_ago(text: str) -> bool:
    """Return whether a text says how long ago."""
    return _AGO.fullmatch(text) is not None


def parse_moment(option: str, text: str, now: datetime) -> datetime:
    """Return the moment that a text names.

    Args:
        option: What the text was given as, such as `--since`.
        text: RFC 3339, the local time zone where it names none; or a number of s, m, h, d or w before now.
        now: With a time zone.

    Raises:
        ArgumentsError: It names none.
    """
    try:
        if (ago := _AGO.fullmatch(text)) is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ArgumentsError(f"Expected {EXPECTED}, as {option}, but found {text[:80]!r}.") from error
