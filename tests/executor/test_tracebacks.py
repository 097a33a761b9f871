"""Tracebacks in the process's own log: those of the standard library, as long as an exception is no trap."""

import traceback
from typing import NoReturn, TypeVar

import pytest

from engine.executor.tracebacks import traceback_of
from engine.limits import TRACEBACK_CHARACTERS_MAX, TRACEBACK_EXCEPTIONS_MAX, TRACEBACK_FRAMES_MAX
from tests.support.unruly import OddError, Unruly, unruly

E = TypeVar("E", bound=BaseException)


class CountingError(Exception):
    """Counts how often it is asked for its text."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def __str__(self) -> str:
        self.asked += 1
        return "counted"


def raised(error: E, *, cause: BaseException | None = None, context: BaseException | None = None) -> E:
    """Return an exception that was raised."""

    def fail() -> NoReturn:
        if context is not None:
            try:
                raise context
            finally:
                raise error
        if cause is not None:
            raise error from cause
        raise error

    with pytest.raises(type(error)):
        fail()
    return error


def silenced(error: E, context: BaseException) -> E:
    """Return an exception that was raised from None while another one was handled."""
    raised(error, context=context).__suppress_context__ = True
    return error


def from_cause() -> ValueError:
    return raised(ValueError("second\nof two lines"), cause=raised(KeyError("first")))


def with_notes() -> CountingError:
    error = raised(CountingError())
    error.add_note("one")
    error.add_note("two")
    return error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("never raised"), ValueError(), raised(ValueError("x")), raised(OddError("y")), raised(SystemExit(3)),
        from_cause(), with_notes(), raised(ValueError("second"), context=KeyError("first")),
        silenced(ValueError("second"), KeyError("first")),
    ],
)  # fmt: skip
def test_an_ordinary_traceback_is_the_one_that_python_prints(error: BaseException) -> None:
    assert traceback_of(error, str(error)) == "".join(traceback.format_exception(error))


def test_members_of_a_group_are_told_with_their_calls_and_causes() -> None:
    inner = ExceptionGroup("inner", [raised(ValueError("deep"))])
    told = traceback_of(raised(ExceptionGroup("outer", [from_cause(), inner])), "outer (2 sub-exceptions)")
    lines = told.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "ExceptionGroup: outer (2 sub-exceptions)" in lines
    assert "  +---------------- 1 ----------------" in lines
    assert "  | KeyError: 'first'" in lines
    assert "  | The above exception was the direct cause of the following exception:" in lines
    assert "  | of two lines" in lines
    assert "  | ExceptionGroup: inner (1 sub-exception)" in lines
    assert lines[-1] == "  |   | ValueError: deep"


@pytest.mark.parametrize("case", unruly(), ids=lambda case: case.message)
def test_whatever_an_exception_is_made_of_it_has_a_traceback_that_ends_with_what_it_says(case: Unruly) -> None:
    told = traceback_of(raised(case.error), case.message)
    assert "Traceback (most recent call last)" in told
    assert f"{case.type}: {case.message}\n" in told


def test_the_text_of_an_exception_is_given_and_that_of_its_cause_is_asked_for_once() -> None:
    error, cause = CountingError(), CountingError()
    error.__cause__ = cause
    assert traceback_of(error, "given").endswith("CountingError: given\n")
    assert (error.asked, cause.asked) == (0, 1)


def test_groups_with_shared_parts_are_told_up_to_a_bound() -> None:
    member = CountingError()
    group: ExceptionGroup[Exception] = ExceptionGroup("group", [member] * 15)
    for _ in range(8):
        group = ExceptionGroup("group", [group] * 15)
    told = traceback_of(raised(group), "group (15 sub-exceptions)")
    assert len(told) < TRACEBACK_CHARACTERS_MAX + 100
    assert "... (more exceptions are left out)" in told
    assert 0 < member.asked < TRACEBACK_EXCEPTIONS_MAX


def test_a_group_within_itself_many_times_is_told_up_to_the_same_bound() -> None:
    member = CountingError()
    error: Exception = member
    for _ in range(500):
        error = ExceptionGroup("group", [error])
    told = traceback_of(error, "group")
    assert len(told) < TRACEBACK_CHARACTERS_MAX + 100
    assert told.endswith("| ... (more exceptions are left out)\n")
    assert member.asked == 0


def test_of_a_long_chain_the_causes_next_to_the_end_are_told() -> None:
    error = first = CountingError()
    for _ in range(5_000):
        following = CountingError()
        following.__cause__ = error
        error = following
    told = traceback_of(error, "the end")
    assert told.startswith("... (more exceptions are left out)\n\nThe above exception was the direct cause")
    assert told.endswith("CountingError: the end\n")
    assert told.count("CountingError: counted") == TRACEBACK_EXCEPTIONS_MAX - 1
    assert first.asked == 0


def test_exceptions_that_cause_each_other_are_told_once() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    told = traceback_of(one, "one")
    assert told.count("ValueError: ") == 2
    assert told.endswith("ValueError: one\n")


def test_of_more_calls_than_anybody_reads_only_the_last_are_looked_at() -> None:
    error: BaseException = ValueError("x")
    for _ in range(TRACEBACK_FRAMES_MAX // 2 + 50):  # Two calls each.
        error = raised(error)
    told = traceback_of(error, "x")
    assert told.startswith("Traceback (most recent call last):\n  ... (100 calls are left out)\n")
    assert told.endswith("ValueError: x\n")


def test_a_note_for_every_line_of_a_file_is_cut() -> None:
    error = raised(ValueError("x"))
    error.__notes__ = [f"note {number}" for number in range(10_000)]
    told = traceback_of(error, "x")
    assert "note 0\n" in told
    assert told.endswith(f"note {TRACEBACK_EXCEPTIONS_MAX - 2}\n")


def test_a_loader_that_cannot_find_its_source_costs_only_the_lines() -> None:
    class Loader:
        def get_source(self, name: str) -> str:
            raise SystemExit(name)

    names: dict[str, object] = {"__name__": "odd", "__loader__": Loader(), "failed": ValueError("x")}
    exec(compile("def run():\n    raise failed\n", "<odd>.py", "exec"), names)  # noqa: S102 - a module of no file
    run = names["run"]
    assert callable(run)
    with pytest.raises(ValueError, match="x") as caught:
        run()
    told = traceback_of(caught.value.with_traceback(caught.tb.tb_next), "x")
    assert told == "Traceback (most recent call last):\n  ... (its traceback cannot be written)\nValueError: x\n"


def test_an_interrupt_is_let_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        traceback_of(ExceptionGroup("group", [OddError(KeyboardInterrupt())]), "group")


class HiddenError(Exception):
    """Does not show what led to it."""

    @property
    def __cause__(self) -> None:  # type: ignore[override]  # that is what is odd
        raise SystemExit(3)


def test_of_an_exception_that_hides_its_parts_the_last_line_is_told() -> None:
    told = traceback_of(HiddenError("x"), "x")
    assert told.startswith("... (its traceback cannot be written)\n")
    assert told.endswith("HiddenError: x\n")
