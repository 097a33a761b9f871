"""Every public name comes from `engine`, and with it every error that a public call may raise."""

import inspect
import re
from collections.abc import Iterator

import pytest

import engine

RAISED = re.compile(r"^\s+(\w+Error): ", re.MULTILINE)
OTHERS = {"TypeError", "ValidationError"}
"""Errors of Python and of pydantic."""


def documented() -> Iterator[tuple[str, str]]:
    """Yield where errors are named under Raises, and which."""
    for name in engine.__all__:
        public = getattr(engine, name)
        if not inspect.isclass(public):
            continue
        for member, value in inspect.getmembers(public):
            if member.startswith("_") and member not in {"__init__", "__aenter__"}:
                continue
            text = inspect.getdoc(value) or ""
            _, _, raises = text.partition("Raises:\n")
            for error in RAISED.findall(raises):
                yield f"{name}.{member}", error


def test_there_are_errors_to_look_for() -> None:
    assert len(set(documented())) > 30


@pytest.mark.parametrize("error", sorted({error for _, error in documented()} - OTHERS))
def test_an_error_that_a_public_call_names_is_public_itself(error: str) -> None:
    assert issubclass(getattr(engine, error), engine.RunlineError)


def test_every_public_name_is_there_and_listed() -> None:
    assert dir(engine) == sorted(engine.__all__)
    assert all(hasattr(engine, name) for name in engine.__all__)
