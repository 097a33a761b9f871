import asyncio
import io

import pytest
from rich.console import Console

from engine.cli.interruption import Interruptible, StoppedError
from engine.cli.long_work import long_work
from engine.cli.output import Output
from engine.limits import LONG_WORK_LINE_SECONDS


class Seconds:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Screen(Console):
    """What was shown on stderr."""

    def __init__(self, *, terminal: bool, width: int = 120) -> None:
        self.written = io.StringIO()
        super().__init__(
            file=self.written, force_terminal=terminal, width=width, markup=False, highlight=False, emoji=False,
            color_system=None, legacy_windows=False, _environ={},
        )  # fmt: skip

    @property
    def lines(self) -> list[str]:
        return self.written.getvalue().splitlines()


def shown_on_pipe(steps: int, seconds: float, *, total: int | None, as_json: bool = False) -> list[str]:
    """Return what work of steps that take so many seconds each shows where no bar can be drawn."""
    clock, screen = Seconds(), Screen(terminal=False)
    with long_work(Output(as_json=as_json), "auditing", total=total, clock=clock, screen=screen) as work:
        for _ in range(steps):
            clock.now += seconds
            work.advance(100)
    return screen.lines


def test_where_no_bar_can_be_drawn_a_line_is_printed_now_and_then() -> None:
    assert LONG_WORK_LINE_SECONDS == 10
    assert shown_on_pipe(50, 0.5, total=20_000) == [
        "auditing: 2,000 of 20,000 records, 10%, 200/s, 0:01:30 left",
        "auditing: 4,000 of 20,000 records, 20%, 200/s, 0:01:20 left",
        "auditing: 5,000 of 20,000 records, 25%, 200/s, 0:01:15 left",
    ]


def test_work_whose_end_nobody_knows_tells_its_count_its_rate_and_its_time() -> None:
    assert shown_on_pipe(5, 40, total=None) == [
        "auditing: 100 records, 0:00:40 so far",
        "auditing: 200 records, 0:01:20 so far",
        "auditing: 300 records, 0:02:00 so far",
        "auditing: 400 records, 0:02:40 so far",
        "auditing: 500 records, 0:03:20 so far",
    ]
    assert shown_on_pipe(4, 3, total=None)[-1] == "auditing: 400 records, 33/s, 0:00:12 so far"


def test_short_work_says_nothing() -> None:
    assert shown_on_pipe(99, 0.1, total=20_000) == []


def test_with_json_there_are_no_lines() -> None:
    assert shown_on_pipe(50, 0.5, total=20_000, as_json=True) == []


def test_a_total_may_become_known_and_grow_without_losing_the_rate() -> None:
    clock, screen = Seconds(), Screen(terminal=False)
    with long_work(Output(as_json=False), "reading", unit="runs", clock=clock, screen=screen) as work:
        for step in range(1, 31):
            clock.now += 1
            work.advance()
            work.total = 2 * step
        assert work.done == 30
        assert work.total == 60
    assert screen.lines[0] == "reading: 10 of 18 runs, 56%, 1.0/s, 0:00:08 left"
    assert screen.lines[-1] == "reading: 30 of 60 runs, 50%, 1.0/s, 0:00:30 left"


def test_more_steps_than_the_total_are_told_as_they_are() -> None:
    assert shown_on_pipe(11, 1, total=500)[-1] == "auditing: 1,100 of 500 records, 100/s, 0:00:11 so far"


def test_work_of_no_steps_is_no_trouble() -> None:
    assert shown_on_pipe(0, 1, total=0) == []
    for terminal in (False, True):
        clock, screen = Seconds(), Screen(terminal=terminal)
        with long_work(Output(as_json=False), "auditing", total=0, clock=clock, screen=screen):
            clock.now += 60


@pytest.mark.parametrize("width", [40, 80, 200])
def test_on_a_terminal_a_bar_of_one_line_is_drawn_and_erased(width: int) -> None:
    clock, screen = Seconds(), Screen(terminal=True, width=width)
    with long_work(Output(as_json=True), "[b]\x1b[2J", total=4, clock=clock, screen=screen) as work:
        clock.now += 1
        work.advance()
        clock.now += 1
        work.advance()
    text = screen.written.getvalue()
    assert "[b]" in text
    assert "\x1b[2J" not in text
    assert text.count("\n") == 1, "one line was drawn"
    assert text.endswith("\r\x1b[1A\x1b[2K"), "the drawing is erased"
    if width >= 80:
        assert "━" in text
        assert "2 of 4 records, 50%, 1.0/s, 0:00:02 left" in text


def test_stdout_is_not_touched_while_the_bar_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    with long_work(Output(as_json=False), "auditing", screen=Screen(terminal=True)):
        print("a document")
    assert capsys.readouterr().out == "a document\n"


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_stopped_work_tells_how_far_it_came_and_how_to_go_on(error: type[BaseException], *, terminal: bool) -> None:
    screen = Screen(terminal=terminal)

    def stop() -> None:
        with long_work(
            Output(as_json=False), "rebuilding", total=5000, resume="runline rebuild --data d", screen=screen
        ) as work:
            work.advance(1234)
            raise error

    with pytest.raises(error):
        stop()
    last = screen.lines[-1]
    assert last.endswith("rebuilding stopped after 1,234 of 5,000 records; go on with: runline rebuild --data d")


def test_ctrl_c_stops_the_work_and_the_command() -> None:
    screen = Screen(terminal=False)

    async def work() -> int:
        with long_work(Output(as_json=False), "auditing", screen=screen) as auditing:
            auditing.advance(7)
            interruptible._hear(2, None)
            await asyncio.Event().wait()
        return 0

    interruptible = Interruptible()
    with pytest.raises(StoppedError):
        interruptible.run(work())
    assert screen.lines == ["auditing stopped after 7 records"]


def test_an_error_is_passed_on_and_nothing_else_is_said() -> None:
    screen = Screen(terminal=False)

    def fail() -> None:
        with long_work(Output(as_json=False), "auditing", screen=screen) as work:
            work.advance()
            raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        fail()
    assert screen.lines == []


def test_without_a_screen_stderr_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    clock = Seconds()
    with long_work(Output(as_json=False), "auditing", total=10, clock=clock) as work:
        clock.now += LONG_WORK_LINE_SECONDS
        work.advance()
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines()[0] == "auditing: 1 of 10 records, 10%, 0:00:10 so far"
