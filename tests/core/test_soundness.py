"""Texts of user code as they stand in events."""

import pytest

from engine.core.soundness import failed_by, text
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX as MOST


@pytest.mark.parametrize("message", ["", "no", "n\u00f6", "x" * MOST, "\udc80 is spelled out", "\U0001f600" * MOST])
def test_a_text_within_the_limit_stays_whole(message: str) -> None:
    found = text(message)
    assert found == message.encode("utf-8", "backslashreplace").decode()
    assert text(found) == found


@pytest.mark.parametrize("message", ["x" * (MOST + 1), "\u00f6" * 1_000_000, "\udc80" * MOST, "ab" * MOST + "\udc80"])
def test_a_text_beyond_the_limit_is_cut_once_however_often_it_is_looked_at(message: str) -> None:
    found = text(message)
    assert len(found) == MOST
    assert found.endswith(f"... (cut from {len(message)} characters)")
    assert found.count("cut from") == 1
    assert text(found) == found
    assert text(failed_by(ValueError(message)).message) == found
    found.encode()
