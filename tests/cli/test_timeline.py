import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from engine.cli.follow import Follower
from engine.cli.output import Output
from engine.cli.timeline import LiveTimeline, Timeline
from engine.core.state import RunStatus, TraceStatus
from engine.history import Attempt
from engine.run import Run, RunError, Trace

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN_ID = "01900000-0000-7000-8000-000000000000"
RUN = Run(
    run_id=RUN_ID, workflow_id="w", workflow_version="v", run_status=RunStatus.RUNNING, message="running", error=None,
    input_context="{}", output_context=None, created=BEGIN, started=BEGIN, stopped=None,
    commit_id="c", tags=(),
)  # fmt: skip


def trace(number: int, begin: float = 0, seconds: float | None = None, **changes: object) -> Trace:
    started = BEGIN + timedelta(seconds=begin)
    made = Trace(
        trace_id=f"{RUN_ID}.{number}", run_id=RUN_ID, number=number, node_id=f"n{number}", node_type="code",
        title=f"node {number}", attempt=1, message="", error=None, input_context="{}", output_context=None,
        trace_status=TraceStatus.RUNNING if seconds is None else TraceStatus.SUCCESS,
        started=started, stopped=None if seconds is None else started + timedelta(seconds=seconds), commit_id="c",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]  # the fields of a trace


def drawn(timeline: Timeline, *, encoding: str = "utf-8", rows_max: int = 100) -> list[str]:
    raw = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    console = Console(file=raw, width=120, markup=False, highlight=False)
    console.print(timeline.render(BEGIN + timedelta(seconds=4), rows_max))
    raw.seek(0)
    return [line.rstrip() for line in raw.read().splitlines()]


def test_bars_stand_where_and_as_long_as_the_node_ran() -> None:
    rows = drawn(Timeline(RUN, [trace(1, 0, 2), trace(2, 2)]))
    assert rows[0] == "✓ node 1 code  ████████████             2.0 s"
    assert rows[1] == "▶ node 2 code              ████████████ 2.0 s"
    assert rows[2] == f"▶ Running for 4.0 s  w  run {RUN_ID}"


def bars(timeline: Timeline) -> list[str]:
    return [row[15:39] for row in drawn(timeline)[: len(timeline.traces)]]


def test_the_shortest_execution_is_seen_wherever_it_stands() -> None:
    found = bars(Timeline(RUN, [trace(1, 0, 0), trace(2, 2, 0), trace(3, 4, 0), trace(4, 0, 4)]))
    assert found == [f"▏{' ' * 23}", f"{' ' * 12}▏{' ' * 11}", f"{' ' * 23}▕", "█" * 24]


def test_days_and_milliseconds_stand_beside_each_other() -> None:
    days = 3 * 24 * 3600
    ended = replace(RUN, run_status=RunStatus.SUCCESS, stopped=BEGIN + timedelta(seconds=days))
    rows = drawn(Timeline(ended, [trace(1, 0, 0.01), trace(2, 0.01, days / 2), trace(3, days / 2, days / 2)]))
    assert rows[:3] == [
        "✓ node 1 code  ▏                                  10 ms",
        "✓ node 2 code  ████████████             1 day, 12:00:00",
        "✓ node 3 code              ████████████ 1 day, 12:00:00",
    ]


def test_a_run_that_took_no_time_can_be_drawn() -> None:
    ended = replace(RUN, run_status=RunStatus.SUCCESS, stopped=BEGIN)
    assert bars(Timeline(ended, [trace(1, 0, 0), trace(2, 0, 0)])) == [f"▏{' ' * 23}"] * 2


def test_a_node_that_is_retried_is_under_way_since_its_first_attempt() -> None:
    rows = drawn(Timeline(RUN, [trace(1, 0, 1), trace(2, 1, attempt=3)]))
    assert rows[0] == "✓ node 1 code           ██████                   1.0 s"
    assert rows[1] == "▶ node 2 code attempt 3       ██████████████████ 3.0 s"


def test_the_attempts_of_a_node_that_was_tried_again_stand_under_it() -> None:
    attempts = {
        1: [Attempt(1, "a", BEGIN, BEGIN + timedelta(seconds=1), lost=False)],
        2: [
            Attempt(1, "a", BEGIN + timedelta(seconds=1), BEGIN + timedelta(seconds=3), lost=True),
            Attempt(2, "b\x1b", BEGIN + timedelta(seconds=3), None, lost=False),
        ],
    }
    rows = drawn(Timeline(RUN, [trace(1, 0, 1), trace(2, 1, attempt=2)], attempts))
    assert rows == [
        "✓ node 1      code           ██████                   1.0 s",
        "▶ node 2      code attempt 2       ██████████████████ 3.0 s",
        "╌   attempt 1                      ████████████       2.0 s lost with executor a",
        "▶   attempt 2                                  ██████ 1.0 s by executor b\\x1b",
        f"▶ Running for 4.0 s  w  run {RUN_ID}",
    ]
    plain = drawn(Timeline(RUN, [trace(2, 1, attempt=2)], attempts), encoding="ascii")
    assert plain[1].startswith("?   attempt 1")
    assert drawn(Timeline(RUN, [trace(2, 1, attempt=2)], attempts), rows_max=1)[0] == "2 earlier rows are not shown"


def test_a_node_that_began_later_than_now_by_another_clock_stands_at_the_end() -> None:
    rows = drawn(Timeline(RUN, [trace(1, 0, 1), trace(2, 9)]))
    assert rows[1] == f"▶ node 2 code  {' ' * 23}▕  0 ms"


@pytest.mark.parametrize("width", [50, 60, 80, 100, 120])
def test_every_execution_has_one_row_on_a_narrow_terminal(width: int) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=width, markup=False, highlight=False)
    traces = [trace(1, 0, 1, title="A node with a title that is rather long"), trace(2, 1, 1, attempt=2)]
    traces = [replace(each, message="nothing to say", node_type="own_type_of_node") for each in traces]
    console.print(Timeline(None, traces).render(BEGIN + timedelta(seconds=4)))
    rows = screen.getvalue().splitlines()
    assert len(rows) == 2
    assert all(len(row) <= width for row in rows)
    assert all("1.0 s" in row for row in rows)
    assert "attempt 2" in rows[1]
    assert ("█" in rows[0]) == (width >= 80)


def test_a_wide_terminal_shows_messages_whole() -> None:
    message = "a message of many words " * 8
    rows = drawn(Timeline(RUN, [trace(1, 0, 1, message=message)]))
    assert " ".join(" ".join(row[46:] for row in rows[:-1]).split()) == message.strip()


def test_a_terminal_without_utf_8_gets_a_timeline_it_can_show() -> None:
    rows = drawn(Timeline(RUN, [trace(1, 0, 2)]), encoding="ascii")
    assert rows[0] == "+ node 1 code  2.0 s"


def test_a_failed_node_shows_its_error_and_its_attempt() -> None:
    failed = trace(1, 0, 1, trace_status=TraceStatus.FAILED, attempt=2, error=RunError("E", "bad [red]\x1b", "n1"))
    rows = drawn(Timeline(replace(RUN, run_status=RunStatus.FAILED, error=failed.error, stopped=BEGIN), [failed]))
    assert rows[0].startswith("✗ node 1 code attempt 2 ")
    assert rows[0].endswith("E: bad [red]\\x1b")
    assert rows[-1] == "E in node n1: bad [red]\\x1b"


def test_a_long_timeline_shows_its_latest_rows() -> None:
    rows = drawn(Timeline(RUN, [trace(number, number, 1) for number in range(1, 21)]), rows_max=5)
    assert rows[0] == "15 earlier rows are not shown"
    assert rows[1].startswith("✓ node 16 ")
    assert len(rows) == 7


def test_a_timeline_never_goes_back() -> None:
    timeline = Timeline()
    assert timeline.take(trace(1, 0, 1))
    assert not timeline.take(trace(1))
    assert timeline.take(trace(1, attempt=2))
    assert not timeline.take(trace(1, 0, 1))
    assert timeline.traces == [trace(1, attempt=2)]
    ended = replace(RUN, run_status=RunStatus.SUCCESS, stopped=BEGIN)
    assert timeline.take(ended)
    assert not timeline.take(RUN)
    assert timeline.run == ended


def test_a_timeline_of_nothing_can_be_drawn() -> None:
    assert drawn(Timeline()) == []


async def test_on_a_terminal_the_timeline_is_drawn_again_and_leaves_nothing_behind() -> None:
    output = Output(as_json=False)
    screen = io.StringIO()
    output.console = Console(file=screen, force_terminal=True, width=100, height=10, markup=False, highlight=False)
    with Follower(output) as follower:
        follower.follow(RUN, [])
        await follower.trace_progress(trace(1))
        await follower.trace_progress(replace(trace(2), run_id="another"))
    text = screen.getvalue()
    assert "node 1" in text
    assert "node 2" not in text
    assert text.endswith("\x1b[2K"), "the drawing is erased"
    assert "\x1b[?25h" in text, "the cursor is back"


def test_a_live_timeline_fits_the_terminal() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=100, height=12, markup=False)
    console.print(LiveTimeline(Timeline(RUN, [trace(number, 0, 1) for number in range(1, 100)])))
    assert len(screen.getvalue().splitlines()) < 12
