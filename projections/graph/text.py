"""Texts in a picture: how wide they probably are, and how they are cut and made harmless."""

import unicodedata
from datetime import UTC, datetime
from typing import Final, NamedTuple

from engine.cli.text import one_line

_ELLIPSIS: Final = "…"
_NARROW: Final = frozenset("iljtfrI.,:;'|!()[]{}/\\ `\"-")
_WIDE: Final = frozenset("mwMWQOG@%&—…")
_SLACK: Final = 1.08
_BOLD: Final = 1.13
"""Nobody knows the reader's font: the estimates are for DejaVu Sans, which is wider than most."""


class Font(NamedTuple):
    """A font in a picture.

    Attributes:
        css: Its class.
        size: Pixels.
        bold: Whether it is.
    """

    css: str
    size: float
    bold: bool

    @property
    def em(self) -> float:
        """The pixels of a character as wide as the font's size."""
        return self.size * _SLACK * (_BOLD if self.bold else 1.0)


HEADING: Final = Font("heading", 18, bold=True)
TITLE: Final = Font("title", 14, bold=True)
STATUS: Final = Font("status", 12, bold=True)
ERROR: Final = Font("error", 12, bold=False)
MUTED: Final = Font("muted", 12, bold=False)
LABEL: Final = Font("label", 12, bold=False)
LABEL_TAKEN: Final = Font("label-taken", 12, bold=True)
FONTS: Final = (HEADING, TITLE, STATUS, ERROR, MUTED, LABEL, LABEL_TAKEN)


def text_width(text: str, font: Font) -> float:
    """Return how many pixels a text probably takes."""
    return sum(map(_em, text)) * font.em


def _em(character: str) -> float:
    if character in _NARROW:
        return 0.34
    if character in _WIDE:
        return 0.9
    if character.isascii():
        return 0.68 if character.isupper() else 0.58
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.1
    return 0.7


def readable(text: str) -> str:
    """Return a text of a user as one line that XML can hold."""
    text = one_line(text)
    # The only other characters that XML has no form for.
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def instant(time: datetime) -> str:
    """Return an instant in UTC, to the second: a picture is looked at anywhere."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def time_of_day(time: datetime) -> str:
    """Return the time of an instant in UTC, to the second, without the day."""
    return f"{time.astimezone(UTC):%H:%M:%S} UTC"


def wrapped(text: str, font: Font, width: float, lines_max: int) -> list[str]:
    """Return a text in lines of a width, at least one, with an ellipsis where something is missing."""
    lines: list[str] = []
    rest = text.strip()
    while len(lines) < lines_max - 1 and (end := _fitting(rest, font, width)) < len(rest):
        space = rest.rfind(" ", 0, end + 1)
        if space > 0:
            end = space
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    if (end := _fitting(rest, font, width)) < len(rest):
        end = _fitting(rest, font, width - text_width(_ELLIPSIS, font))
        rest = rest[:end].rstrip() + _ELLIPSIS
    return [*lines, rest]


def _fitting(text: str, font: Font, width: float) -> int:
    """Return how many characters fit, at least one of a text that has any."""
    left = width / font.em
    for index, character in enumerate(text):
        left -= _em(character)
        if left < 0:
            return max(index, 1)
    return len(text)
