"""Texts from runs are hostile: what they may do to a terminal is taken from them before they are printed."""

import unicodedata
from datetime import datetime, timedelta

_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Controls, invisible and direction-changing characters, lone surrogates, line and paragraph separators."""


def one_line(text: str, characters_max: int | None = None) -> str:
    r"""Return a text that prints as one line and changes nothing but its own place: an escape becomes `\x1b`.

    Args:
        text: Anything.
        characters_max: Characters after which it is cut; None for no limit.
    """
    if characters_max is not None and len(text) > characters_max:
        text = f"{text[: characters_max - 3]}..."
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def lines(text: str) -> str:
    """Return a text like `one_line` does, but keep its line breaks and tabs."""
    return "\n".join(one_line(line.replace("\t", "    ")) for line in text.split("\n"))


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _ESCAPED_CATEGORIES:
        return character
    return character.encode("unicode_escape").decode("ascii")


def duration(started: datetime | None, stopped: datetime) -> str:
    """Return the time between two instants for people, such as `12 ms`, `3.4 s` or `2:05:00`; empty without a start."""
    if started is None:
        return ""
    seconds = max(0.0, (stopped - started).total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))


def moment(time: datetime | None) -> str:
    """Return an instant in the local time zone, to the second; empty for None."""
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
