"""Texts of user code as they stand in events."""

from typing import NoReturn

import pytest

from engine.context import ContextMissingError
from engine.context.values import Wire
from engine.core.soundness import class_name, failed_by, sound, text
from engine.errors import RunlineError
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX as MOST
from engine.nodes.node_type import Done, Failed
from tests.support.unruly import Long, Nameless, NoNameError, OddError, Unruly, unruly


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


class CodedError(RunlineError):
    code = "coded"


class MiscodedError(RunlineError):
    code = 5  # type: ignore[assignment]  # that is what is odd


class UncodedError(RunlineError):
    pass


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("no"), "ValueError", "no"),
        (ValueError(), "ValueError", ""),
        (KeyError("x"), "KeyError", "'x'"),
        (SystemExit(3), "SystemExit", "3"),
        (ContextMissingError("none", hint="Look."), "context_missing", "none Look."),
        (CodedError("no"), "coded", "no"),
        (UncodedError("no"), "UncodedError", "no"),
        (MiscodedError("no"), "MiscodedError", "no"),
    ],
)
def test_a_failure_has_the_code_or_the_class_of_its_exception_and_its_text(
    error: BaseException, kind: str, message: str
) -> None:
    assert failed_by(error) == Failed(kind, message)


@pytest.mark.parametrize("case", unruly(), ids=lambda case: case.message)
def test_every_exception_stands_for_a_failure(case: Unruly) -> None:
    failed = failed_by(case.error)
    assert failed == Failed(case.type, case.message)
    assert (type(failed.type), type(failed.message)) == (str, str)


def test_an_interrupt_while_an_exception_tells_its_text_is_let_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        failed_by(OddError(KeyboardInterrupt()))


def test_a_text_of_a_class_of_its_own_becomes_a_plain_one() -> None:
    found = text(Long("abc"))
    assert found == "abc"
    assert type(found) is str


def test_a_class_without_a_name_has_the_one_that_it_was_made_with() -> None:
    assert class_name(NoNameError) == "NoNameError"
    assert class_name(int) == "int"


class Trap(list[Wire]):
    """Changes that cannot be looked at."""

    def __iter__(self) -> NoReturn:
        raise SystemExit(3)


class Step(metaclass=Nameless):
    """No step, and without a name."""


def test_a_step_that_cannot_be_looked_at_is_a_failure() -> None:
    assert sound(Done(Trap()), {}) == Failed("SystemExit", "3")  # type: ignore[arg-type]  # that is what is odd
    assert sound(Done(message=OddError(None)), {}) == Failed("TypeError", "expected a text, but found OddError")  # type: ignore[arg-type]  # the same
    assert sound(Failed("x", Long("abc")), {}) == Failed("x", "abc")
    assert sound(Step(), {}) == Failed("step", "expected Done, Ended, Failed or Work from a node type, but found Step")
