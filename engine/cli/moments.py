"""Times as people type them: a moment, or how long ago."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from engine.cli.failures import ArgumentsError

_AGO: Final = re.compile(r"([0-9]{1,9})(s|m|h|d|w)")
_SIGNED: Final = re.compile(rf"[+-]({_AGO.pattern})")
_LEAP: Final = re.compile(r":60(?![0-9:])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHOWN: Final = 80
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
        ArgumentsError: It names none; there is a hint where it can be told what was meant.
    """
    try:
        if (ago := _AGO.fullmatch(text)) is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return _time(text)
    except (ValueError, OverflowError) as error:
        if _names_leap_second(text):
            raise ArgumentsError(
                f"Expected a time that is no leap second, as {option}, but found {text[:_SHOWN]!r}: "
                "the times on a log never have a second 60.",
                hint=f"The second before it is {_LEAP.sub(':59', text)}; the one behind it begins the next minute.",
            ) from error
        raise ArgumentsError(
            f"Expected {EXPECTED}, as {option}, but found {text[:_SHOWN]!r}.", hint=_hint(text)
        ) from error


def _time(text: str) -> datetime:
    # RFC 3339 allows `z` and `t`; Python takes any letter for the `t`, but no `z`.
    return datetime.fromisoformat(f"{text[:-1]}Z" if text.endswith("z") else text).astimezone(UTC)


def _names_leap_second(text: str) -> bool:
    before, count = _LEAP.subn(":59", text)
    try:
        _time(before)
    except (ValueError, OverflowError):
        return False
    return count == 1


def _hint(text: str) -> str:
    if (signed := _SIGNED.fullmatch(text)) is not None:
        return f"How long ago is said without a sign: {signed[1]}."
    if text.startswith("-"):
        return f"{text[:_SHOWN]} looks like an option: say a time in front of it."
    return ""
