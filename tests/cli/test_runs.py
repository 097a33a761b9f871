"""`runs` and `work` on an embedded log."""

import contextlib
import os
import pty
import shlex
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.cli.failures import ArgumentsError
from engine.cli.moments import is_ago, parse_moment
from tests.cli.conftest import APP, DATA, DEADLINE_SECONDS, ROOT, Answer, Runline, Spawn, finish, read_until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def three(runline: Runline) -> list[str]:
    """Make a log with three runs and return their ids: one succeeded, one failed, one created."""
    runline("publish", DATA / "greet.yaml")
    done = runline("run", DATA / "greet.yaml", "--app", APP, "--set", "input.name=Ada", "--json").json["run"]["run_id"]
    failed = runline("run", DATA / "fail.yaml", "--app", APP, "--json").json["run"]["run_id"]
    return [done, failed, runline("create", "greet").out.strip()]


def listed(answer: Answer) -> list[str]:
    assert answer.code == 0, answer.err
    return [run["run_id"] for run in answer.json["runs"]]


def test_every_filter_alone_and_with_others(runline: Runline, three: list[str]) -> None:
    done, failed, created = three

    def runs(*words: str) -> list[str]:
        return listed(runline("runs", "--json", *words))

    assert runs() == [created, failed, done]
    assert runs("--status", "success") == [done]
    assert runs("--workflow", "greet") == [created, done]
    assert runs("--workflow", "The greet workflow", "--status", "created") == [created]
    assert runs("--error", "ValueError") == [failed]
    assert runs("--error", "ValueError", "--workflow", "fail") == [failed]
    assert runs("--error", "ValueError", "--workflow", "greet") == []
    assert runs("--error", "KeyError") == []
    assert runs("--since", "1h") == [created, failed, done]
    assert runs("--until", "1h") == []
    moment = runline("runs", "--json", "--status", "failed").json["runs"][0]["created"]
    assert runs("--since", moment) == [created, failed]
    assert runs("--until", moment) == [done]


def test_pages_follow_each_other_by_the_printed_command(runline: Runline, three: list[str]) -> None:
    first = runline("runs", "--limit", "2", "--since", "2h")
    command = first.out.splitlines()[-1]
    assert command.startswith("next: runline runs --since 2"), command
    assert three[2] in first.out
    second = runline(*command.removeprefix("next: runline ").split())
    assert second.code == 0, second.err
    assert [run_id in second.out for run_id in three] == [True, False, False]
    assert "next:" not in second.out


def test_the_next_page_in_json(runline: Runline, three: list[str]) -> None:
    page = runline("runs", "--limit", "2", "--json")
    assert listed(page) == [three[2], three[1]]
    last = runline("runs", "--limit", "2", "--cursor", page.json["next"], "--json")
    assert listed(last) == [three[0]]
    assert last.json["next"] is None
    assert last.json["views"]["directory"] == "data/views"
    assert [(each["topic"], each["behind"], each["stopped"]) for each in last.json["views"]["partitions"]] == [
        ("workflows", 0, None),
        ("events", 0, None),
    ]


def test_pages_of_work_follow_each_other_by_the_printed_command(runline: Runline, three: list[str]) -> None:
    others = [runline("create", "greet").out.strip() for _ in range(2)]
    first = runline("work", "--limit", "2", "--workflow", "The greet workflow")
    command = first.out.splitlines()[-1]
    assert command.startswith("next: runline work --workflow 'The greet workflow' --limit 2 --cursor "), command
    assert [run_id in first.out for run_id in (three[2], *others)] == [True, True, False]
    second = runline(*shlex.split(command.removeprefix("next: runline ")))
    assert second.code == 0, second.err
    assert [run_id in second.out for run_id in (three[2], *others)] == [False, False, True]
    assert "next:" not in second.out
    page = runline("work", "--limit", "2", "--json").json
    last = runline("work", "--limit", "2", "--cursor", page["next"], "--json").json
    assert [each["run_id"] for each in page["work"] + last["work"]] == [three[2], *others]
    assert last["next"] is None
    refused = runline("work", "--cursor", page["next"][:-2])
    assert (refused.code, "error[cursor]: Expected a cursor exactly as" in refused.err) == (2, True)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--status", "done"], "Invalid value"),
        (["--since", "yesterday"], "how long ago, such as 90m, 2h or 3d, as --since, but found 'yesterday'"),
        (["--until", "99999999w"], "as --until"),
        (["--since", "-1h"], "hint: How long ago is said without a sign: 1h."),
        (["--until", "-1h"], "hint: How long ago is said without a sign: 1h."),
        (["--since=-1h"], "hint: How long ago is said without a sign: 1h."),
        (["--since", "--verbose"], "hint: --verbose looks like an option: say a time in front of it."),
        (["--until", "2026-12-31T23:59:60Z"], "Expected a time that is no leap second, as --until"),
        (["--limit", "0"], "Must be >= 1"),
        (["--limit", "1001"], "Must be <= 1000"),
        (["--limit", "x"], "Invalid value"),
        (["--error", ""], "Expected a text of 1 to"),
        (["--tag", "x" * 201], "as tag"),
        (["--cursor", "?"], "error[cursor]"),
        (
            ["--cursor", "I4a_i57eAXwABmDogF95DzAxYTIwNjQ1LWJhM2ItN2EwMy1iMWNjLTYzOTA0ZTQ2MGYyYg", "--tag", "x"],
            "[cursor]",
        ),
        (["--cursor", "abc", "--since", "2h"], "moves on from page to page"),
        (["--watch", "--json"], "--watch without --json"),
        (["--watch", "--cursor", "abc"], "--watch without --json and --cursor"),
    ],
)
def test_a_wrong_filter_is_named(runline: Runline, words: list[str], said: str) -> None:
    answer = runline("runs", *words)
    assert answer.code == 2
    assert said in answer.err + answer.out


def test_runs_are_found_by_tag_and_show_it(runline: Runline, three: list[str]) -> None:
    assert "tags" not in runline("runs").out
    tagged = runline("create", "greet", "--tag", "blue", "--tag", "red").out.strip()
    assert listed(runline("runs", "--tag", "blue", "--json")) == [tagged]
    assert listed(runline("runs", "--tag", "green", "--json")) == []
    table = runline("runs")
    assert "blue, red" in table.out
    assert three[2] in table.out


def test_an_unknown_workflow_is_named(runline: Runline, three: list[str]) -> None:
    assert three
    for command in ("runs", "work"):
        answer = runline(command, "--workflow", "gret")
        assert answer.code == 3
        assert "did you mean 'greet'?" in answer.err


def test_work_lists_what_waits_for_what_since_when(runline: Runline, three: list[str], spawn: Spawn) -> None:
    table = runline("work")
    assert table.code == 0
    assert f"{three[2]}  greet     its start" in table.out
    ledger, gate = Path("ledger"), Path("gate")
    process = spawn(
        "run", DATA / "gate.yaml", "--app", APP, "--set", f"input.ledger={ledger}", "--set", f"input.gate={gate}"
    )
    read_until(process, "Node [bold]gate Running")
    document = runline("work", "--json").json
    assert [(each["waits_for"], each["node_id"], each["attempt"]) for each in document["work"]] == [
        ("start", "", 0),
        ("node", "gate", 1),
    ]
    assert document["work"][1]["executor"]
    assert [each["workflow_id"] for each in runline("work", "--workflow", "gate", "--json").json["work"]] == ["gate"]
    assert "a node Node [bold]gate" in runline("work").out
    gate.touch()
    assert finish(process).code == 0
    runline("cancel", three[2])
    assert runline("work").out == "no open work\n"


def test_watching_prints_every_change_and_ends_well(runline: Runline, three: list[str], spawn: Spawn) -> None:
    process = spawn("runs", "--watch", "--workflow", "greet")
    assert [line.split()[:2] for line in read_until(process, three[2])] == [
        [three[0], "Success"],
        [three[2], "Created"],
    ]
    runline("cancel", three[2], "--reason", "not needed")
    assert read_until(process, "Cancelled") == [f"{three[2]} Cancelled  greet  cancelled: not needed\n"]
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert (stopped.code, stopped.out) == (0, "")


def test_watching_on_a_terminal_draws_the_list_anew(three: list[str]) -> None:
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli", "runs", "--watch", "--limit", "2"],
        stdin=end, stdout=end, stderr=end,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "20", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(end)
    with process:
        try:
            drawn = b""
            while three[1].encode() not in drawn:
                drawn += os.read(terminal, 65_536)
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(OSError):  # so it ends on Linux
                while more := os.read(terminal, 65_536):
                    drawn += more
            process.wait(DEADLINE_SECONDS)
        finally:
            process.kill()
            os.close(terminal)
    assert process.returncode == 0
    assert three[2].encode() in drawn
    assert three[0].encode() not in drawn
    assert b"\x1b[?25l" in drawn
    assert drawn.rstrip().endswith(b"\x1b[?25h")


def test_who_watches_goes_on_when_the_one_who_folded_has_gone(runline: Runline, three: list[str], spawn: Spawn) -> None:
    folding = spawn("projections", "run")
    assert folding.stderr is not None
    while "are fresh" not in (line := folding.stderr.readline()):
        assert line
    process = spawn("runs", "--watch", "--status", "cancelled")
    watched = spawn("runs", "--watch")
    read_until(watched, three[2])
    folding.terminate()
    assert finish(folding).code == 0
    runline("cancel", three[2])
    assert "Cancelled" in read_until(process, three[2])[-1]
    process.terminate()
    assert finish(process).code == 0


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30s", NOW - timedelta(seconds=30)),
        ("90m", NOW - timedelta(minutes=90)),
        ("2h", NOW - timedelta(hours=2)),
        ("3d", NOW - timedelta(days=3)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-03-01T09:30:00Z", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("2026-03-01T09:30:00.250+02:00", datetime(2026, 3, 1, 7, 30, 0, 250_000, tzinfo=UTC)),
        ("2026-03-01t09:30:00z", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("2026-03-01t09:30:00.5z", datetime(2026, 3, 1, 9, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-03-01t09:30:00-00:00", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("2026-03-01 09:30:00", datetime(2026, 3, 1, 9, 30).astimezone()),
    ],
)
def test_a_moment_is_a_time_or_a_time_ago(text: str, moment: datetime) -> None:
    found = parse_moment("--since", text, NOW)
    assert found == moment
    assert found.tzinfo is not None
    assert is_ago(text) is (text[-1] in "smhdw")


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 h", "1y", "1.5h", "٣d", "2026-13-01", "now", "9999999999s"])
def test_anything_else_is_no_moment(text: str) -> None:
    with pytest.raises(ArgumentsError, match="as --since"):
        parse_moment("--since", text, NOW)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ("2016-12-31t23:59:60.75z", "2016-12-31t23:59:59.75z"),
        ("2017-01-01T05:29:60+05:30", "2017-01-01T05:29:59+05:30"),
        ("2016-12-31T23:59:60", "2016-12-31T23:59:59"),
    ],
)
def test_a_leap_second_is_refused_with_the_second_before_it(text: str, before: str) -> None:
    with pytest.raises(ArgumentsError, match="no leap second, as --since, but found") as refused:
        parse_moment("--since", text, NOW)
    assert f"The second before it is {before};" in refused.value.hint
    assert parse_moment("--since", before, NOW) < NOW


@pytest.mark.parametrize(
    "text", ["2016-12-31T23:60:00Z", "2016-12-31T23:59:61Z", "2016-13-31T23:59:60Z", "12:60", ":60"]
)
def test_what_is_no_time_anyhow_is_no_leap_second(text: str) -> None:
    with pytest.raises(ArgumentsError, match="Expected a time such as"):
        parse_moment("--since", text, NOW)


@pytest.mark.parametrize(("text", "hint"), [("-2h", "without a sign: 2h."), ("+3d", "without a sign: 3d."), ("-x", "")])
def test_what_was_meant_is_said_where_it_can_be_told(text: str, hint: str) -> None:
    with pytest.raises(ArgumentsError) as refused:
        parse_moment("--since", text, NOW)
    assert hint in refused.value.hint
    assert refused.value.hint
