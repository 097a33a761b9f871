from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.context_text import context_text
from engine.cli.text import duration, lines, one_line

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@given(st.text(st.characters(exclude_categories=[])))
def test_one_line_is_one_line_that_drives_nothing_and_can_be_encoded(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in line)
    assert not {"\u202a", "\u202e", "\u2066", "\u2069", "\u200f", "\ufeff", "\U000e0001"} & set(line)
    line.encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P", "Sm", "So"])))
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert one_line(text) == text


def test_lines_keeps_line_breaks_and_nothing_else() -> None:
    assert lines("a\n\tb\x1b\rc") == "a\n    b\\x1b\\rc"


def test_a_long_text_is_cut() -> None:
    assert one_line("x" * 50, 10) == "xxxxxxx..."


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (timedelta(), "0 ms"),
        (timedelta(milliseconds=12), "12 ms"),
        (timedelta(seconds=3.44), "3.4 s"),
        (timedelta(hours=2, minutes=5), "2:05:00"),
        (timedelta(days=3, seconds=1), "3 days, 0:00:01"),
        (timedelta(seconds=-1), "0 ms"),
    ],
)
def test_durations_are_for_people(time: timedelta, text: str) -> None:
    assert duration(NOW, NOW + time) == text


def test_a_duration_without_a_start_is_empty() -> None:
    assert duration(None, NOW) == ""


def test_a_context_is_laid_out_with_readable_typed_values() -> None:
    text = context_text('{"a": {"$type": "date", "value": "2026-03-01"}, "b": ["\\u001b[2J", 1.5, null, true]}', 40)
    assert text == "{\n  'a': date(2026-03-01),\n  'b': ['\\x1b[2J', 1.5, None, True]\n}"


def test_a_typed_value_of_any_form_can_be_printed() -> None:
    assert context_text('{"a": {"$type": "x\\u001b", "value": {"b": [1]}}}', 80) == "{'a': x\\x1b({'b': [1]})}"
    assert context_text('{"a": {"$type": "money", "value": "1\\u001b"}}', 80) == "{'a': money(1\\x1b)}"
