"""`show`: a run as it is, as it was, and how its context changed."""

from pathlib import Path

import pytest

from tests.cli.conftest import APP, DATA, Runline

STEPS = """\
id: steps
name: Steps
nodes:
  - {id: start, type: start}
  - {id: first, type: code, title: First, configuration: {function: first}}
  - {id: second, type: code, title: Second, configuration: {function: second}}
  - {id: end, type: end}
connections:
  - {from: start, to: first}
  - {from: first, to: second}
  - {from: second, to: end}
"""
FUNCTIONS = """\
from datetime import date

from engine import Call, ContextObject, Registry

registry = Registry()


@registry.node("first")
async def first(context: ContextObject, _: Call) -> None:
    context.set("day", date(2026, 3, 1))
    context.set("count", 2)
    context.set("text", "\\x1b[31m")


@registry.node("second")
async def second(context: ContextObject, _: Call) -> None:
    context.set("count", 3.0)
    context.remove_path("text")
"""
UNKNOWN = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def run_id(runline: Runline) -> str:
    Path("steps.yaml").write_text(STEPS)
    Path("steps.py").write_text(FUNCTIONS)
    answer = runline("run", "steps.yaml", "--app", "steps.py:registry", "--set", "count=1", "--json")
    assert answer.code == 0, answer.err
    found: str = answer.json["run"]["run_id"]
    return found


def events(runline: Runline, run_id: str) -> dict[tuple[str, int | None], str]:
    """Return the ids of a run's events by type and trace."""
    found = runline("show", run_id, "--events", "--json").json["events"]
    return {(each["event"]["type"], each["event"].get("trace")): each["event_id"] for each in found}


def test_events_are_listed_with_ids_that_name_points(runline: Runline, run_id: str) -> None:
    table = runline("show", run_id, "--events")
    assert table.code == 0
    rows = [line.split() for line in table.out.splitlines()[1:]]
    assert [row[2] for row in rows][:3] == ["run.created", "run.started", "trace.started"]
    assert rows[-1][2] == "run.succeeded"
    assert any(row[2:] == ["trace.succeeded", "2", "First"] for row in rows)
    for row, event_id in zip(rows, events(runline, run_id).values(), strict=True):
        commit, _, index = event_id.partition(".")
        assert row[0] == f"{commit[:12]}.{index}"
        assert runline("show", run_id, "--at", row[0], "--json").json["as_of"]["event_id"] == event_id


def test_a_run_is_shown_as_it_stood_at_every_event(runline: Runline, run_id: str) -> None:
    known = events(runline, run_id)
    expected = [
        (("run.created", None), "Created", {}, []),
        (("run.started", None), "Running", {"count": 1}, []),
        (("trace.started", 2), "Running", {"count": 1}, ["Success", "Running"]),
        (("trace.succeeded", 2), "Running", {"count": 2, "text": "\x1b[31m"}, ["Success", "Success"]),
        (("trace.succeeded", 3), "Running", {"count": 3.0}, ["Success"] * 3),
        (("run.succeeded", None), "Success", {"count": 3.0}, ["Success"] * 4),
    ]
    for event, status, context, traces in expected:
        document = runline("show", run_id, "--at", known[event], "--json").json
        assert document["run"]["run_status"] == status
        assert {name: value for name, value in document["context"].items() if name != "day"} == context
        assert [trace["trace_status"] for trace in document["traces"]] == traces
        assert (document["output"] is None) is (status != "Success")


def test_a_point_is_a_commit_an_event_a_time_or_a_word(runline: Runline, run_id: str) -> None:
    known = events(runline, run_id)
    commit = known["trace.succeeded", 2].partition(".")[0]

    def point(text: str) -> str:
        found: str = runline("show", run_id, "--at", text, "--json").json["as_of"]["event_id"]
        return found

    assert point("start") == known["run.started", None]
    assert point("end") == known["run.succeeded", None]
    assert point("0s") == known["run.succeeded", None]
    whole = point(commit)
    assert whole.partition(".")[0] == commit
    assert point(commit[:8]) == whole
    assert point(f"{commit[:8]}.0") == known["trace.succeeded", 2]
    time = runline("show", run_id, "--at", commit, "--json").json["as_of"]["time"]
    assert point(time) == whole
    shown = runline("show", run_id, "--at", time)
    assert shown.out.startswith(f"as of {time}, event ")


def test_what_is_shown_of_the_past_is_marked(runline: Runline, run_id: str) -> None:
    shown = runline("show", run_id, "--at", events(runline, run_id)["trace.started", 3])
    lines = shown.out.splitlines()
    assert lines[0].startswith("as of 2")
    assert any("Running" in line for line in lines)
    assert lines[-2] == "context"
    assert "'day': date(2026-03-01)" in lines[-1]
    assert "as of" not in runline("show", run_id).out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--at", "1w"], 3, "it was created at"),
        (["--at", "2020-01-01T00:00:00Z"], 3, "it was created at"),
        (["--at", "00000000"], 3, "begins with 00000000, but none does"),
        (["--at", "20261124"], 3, "a date has hyphens: 2026-11-24."),
        (["--at", "20261124093000"], 3, "a date has hyphens: 2026-11-24."),
        (["--at", "-1h"], 2, "hint: How long ago is said without a sign: 1h."),
        (["--diff", "-1h", "end"], 2, "as --diff, but found '-1h'"),
        (["--at", "2016-12-31T23:59:60Z"], 2, "no leap second, as --at"),
        (["--at", "abc"], 2, "Expected start, end, the id of a commit or at least 8 characters of it"),
        (["--at", "12345678.x"], 2, "--events"),
        (["--diff", "start"], 2, "requires 2"),
        (["--diff", "start", "later"], 2, "as --diff, but found 'later'"),
        (["--at", "start", "--diff", "start", "end"], 2, "Expected one of --at, --diff and --events"),
        (["--at", "start", "--events"], 2, "Expected one of"),
    ],
)
def test_a_wrong_point_is_named(runline: Runline, run_id: str, words: list[str], code: int, said: str) -> None:
    answer = runline("show", run_id, *words)
    assert answer.code == code
    assert said in answer.err
    assert answer.out == ""


def test_an_event_that_a_commit_does_not_have_is_named_with_those_it_has(runline: Runline, run_id: str) -> None:
    commit = events(runline, run_id)["run.created", None].partition(".")[0]
    answer = runline("show", run_id, "--at", f"{commit}.1")
    assert answer.code == 3
    assert f"Expected an event from 0 to 0 of commit {commit}, but found 1." in answer.err


def test_what_a_run_changed_is_shown_by_path_with_typed_values(runline: Runline, run_id: str) -> None:
    shown = runline("show", run_id, "--diff", "start", "end")
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert lines[0].startswith("from 2")
    assert lines[1].startswith("to   2")
    assert [line.split() for line in lines[2:]] == [
        ["change", "path", "old", "new"],
        ["changed", "count", "1", "3.0"],
        ["added", "day", "date(2026-03-01)"],
    ]
    known = events(runline, run_id)
    back = runline("show", run_id, "--diff", known["trace.succeeded", 2], known["trace.succeeded", 3], "--json").json
    assert back["run_id"] == run_id
    assert back["from"]["event_id"] == known["trace.succeeded", 2]
    assert back["changes"] == [
        {"change": "changed", "path": "count", "old": 2, "new": 3.0},
        {"change": "removed", "path": "text", "old": "\x1b[31m", "new": None},
    ]
    hostile = runline("show", run_id, "--diff", known["trace.succeeded", 2], "end")
    assert "\x1b" not in hostile.out
    assert r"\x1b[31m" in hostile.out
    assert "the context is the same" in runline("show", run_id, "--diff", "end", "end").out


def test_a_run_that_was_not_started_has_no_start_and_an_empty_context(runline: Runline) -> None:
    runline("publish", DATA / "greet.yaml")
    run_id = runline("create", "greet").out.strip()
    answer = runline("show", run_id, "--at", "start")
    assert answer.code == 3
    assert "was only created" in answer.err
    runline("start", run_id, "--app", APP, "--set", "input.name=Ada")
    created = events(runline, run_id)["run.created", None]
    changes = runline("show", run_id, "--diff", created, "start", "--json").json["changes"]
    assert changes == [{"change": "added", "path": "input", "old": None, "new": {"name": "Ada"}}]


def test_show_makes_no_views(runline: Runline, run_id: str) -> None:
    assert runline("show", run_id).code == 0
    assert runline("show", UNKNOWN).code == 3
    assert not Path("data/views").exists()
