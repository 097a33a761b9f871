import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.arguments import make_context
from engine.cli.failures import ArgumentsError
from engine.limits import CONTEXT_BYTES_MAX, INTEGER_MAX, INTEGER_MIN

NAMES = st.text("abc_é", min_size=1, max_size=5)
SCALARS = (
    st.none() | st.booleans() | st.integers(INTEGER_MIN, INTEGER_MAX) | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_every_json_value_arrives_as_it_was_set(value: object) -> None:
    wire = make_context(None, [f"a.b={json.dumps(value)}"], None).to_wire()
    assert json.dumps(wire) == json.dumps({"a": {"b": value}})


@given(st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: f"/{text}"))
def test_what_is_no_json_arrives_as_text(text: str) -> None:
    assert make_context(None, [f"a={text}"], None).to_wire() == {"a": text}


def test_later_settings_win_and_a_value_may_hold_an_equals_sign() -> None:
    assert make_context(None, ["a=1", "a=x=y"], None).to_wire() == {"a": "x=y"}


def test_a_context_may_come_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}')))
    assert make_context(Path("-"), [], None).to_wire() == {"a": 1}


def test_a_file_that_is_far_too_large_is_not_read_further() -> None:
    Path("large.json").write_text(" " * (2 * CONTEXT_BYTES_MAX + 1))
    with pytest.raises(ArgumentsError, match="at most"):
        make_context(Path("large.json"), [], None)
