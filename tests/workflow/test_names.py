"""The name that was meant is suggested, however many there are."""

import difflib

import pytest

from engine.limits import SUGGESTED_AMONG_MAX
from engine.workflow.names import suggest


@pytest.mark.parametrize("wrong", ["ndoe-1777", "nod-1777", "node-1777x", "xnode-1777", "nodee-1777"])
def test_the_nearest_of_thousands_of_names_is_suggested(wrong: str) -> None:
    assert suggest(wrong, [f"node-{number}" for number in range(1_000, 5_000)]) == "; did you mean 'node-1777'?"


@pytest.mark.parametrize("count", [0, 1, SUGGESTED_AMONG_MAX, SUGGESTED_AMONG_MAX + 1, 5_000])
def test_only_so_many_names_are_compared_as_a_whole(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def matches(_: str, names: list[str], n: int) -> list[str]:
        compared.extend(names)
        return names[:n]

    monkeypatch.setattr(difflib, "get_close_matches", matches)
    assert (suggest("node-7", [f"node-{number}" for number in range(count)]) != "") == (count > 0)
    assert len(compared) == min(count, SUGGESTED_AMONG_MAX)
