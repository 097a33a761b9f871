import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.graph.text import MUTED, TITLE, readable, text_width, wrapped

TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]))


@given(TEXTS, st.floats(60, 400), st.integers(1, 4))
def test_lines_fit_and_are_not_too_many(text: str, width: float, lines_max: int) -> None:
    lines = wrapped(text, TITLE, width, lines_max)
    assert 1 <= len(lines) <= lines_max
    assert all(text_width(line, TITLE) <= width for line in lines)


@given(TEXTS, st.integers(1, 4))
def test_only_a_text_with_an_ellipsis_misses_something(text: str, lines_max: int) -> None:
    lines = wrapped(text, MUTED, 120, lines_max)
    shown = "".join("".join(lines).split())
    if not lines[-1].endswith("…"):
        assert shown == "".join(text.split())
    else:
        assert "".join(text.split()).startswith(shown.rstrip("…"))


def test_lines_are_broken_between_words_where_that_is_possible() -> None:
    assert wrapped("one two three four", MUTED, 80, 3) == ["one two", "three four"]
    assert wrapped("x" * 30, MUTED, 80, 2)[0] == "x" * 10
    assert wrapped("", MUTED, 80, 2) == [""]


@pytest.mark.parametrize(("wide", "narrow"), [("W", "i"), ("ABC", "abc"), ("漢字", "ab"), ("漢", "W")])
def test_wide_characters_are_known_to_be_wide(wide: str, narrow: str) -> None:
    assert text_width(wide, MUTED) > text_width(narrow, MUTED)
    assert text_width("a\u0301", MUTED) == text_width("a", MUTED)
    assert text_width(wide, TITLE) > text_width(wide, MUTED)


@given(st.text(st.characters(exclude_categories=[])))
def test_a_readable_text_is_one_line_that_xml_can_hold(text: str) -> None:
    shown = readable(text)
    assert len(shown.splitlines()) <= 1
    assert not any(character < " " or "\ud800" <= character <= "\udfff" for character in shown)
    assert not {"\ufffe", "\uffff", "\u202e"} & set(shown)
