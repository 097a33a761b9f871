"""The commands that ask and fold views, on a real Kafka broker."""

import asyncio
from pathlib import Path

import pytest

from tests.cli.conftest import DATA, Runline, Spawn, finish, logged, read_until
from tests.support.logs import new_location

UNKNOWN = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def data(broker: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Return the location of a log that nobody has used before; it is the setting."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    location = str(asyncio.run(new_location(broker, 3)))
    monkeypatch.setenv("RUNLINE_DATA", location)
    return location


def create(runline: Runline, count: int) -> list[str]:
    """Create runs and return their ids, the newest first."""
    assert runline("publish", DATA / "greet.yaml").code == 0
    return [runline("create", "greet").out.strip() for _ in range(count)][::-1]


def ids(runline: Runline, *words: object) -> list[str]:
    answer = runline("runs", "--json", *words)
    assert answer.code == 0, answer.err
    return [run["run_id"] for run in answer.json["runs"]]


def test_runs_are_folded_where_they_are_asked_and_go_on_from_there(
    runline: Runline, spawn: Spawn, data: str, tmp_path: Path
) -> None:
    executor = spawn("executor", "--app", f"{DATA / 'flows.py'}:registry")
    logged(executor, "Taking over")
    created = create(runline, 3)
    assert ids(runline) == created
    (views,) = (tmp_path / "cache" / "runline" / "views").iterdir()
    assert views.name.startswith(data.rpartition("/")[2])
    status = runline("projections", "status", "--json")
    assert status.json["directory"] == str(views)
    assert [each["topic"] for each in status.json["partitions"]] == ["workflows", "events", "events", "events"]
    assert all(each["behind"] == 0 for each in status.json["partitions"])
    more = create(runline, 2)
    assert ids(runline, "--limit", "3") == [*more, created[0]]
    assert [each["run_id"] for each in runline("work", "--json").json["work"]] == [*more, *created][::-1]
    assert runline("rebuild").code == 0
    assert ids(runline) == [*more, *created]


def test_views_that_an_executor_keeps_answer_at_once_and_never_late(runline: Runline, spawn: Spawn, data: str) -> None:
    executor = spawn("executor", "--app", f"{DATA / 'flows.py'}:registry", "--keep-views")
    logged(executor, "Taking over")
    assert data
    watching = spawn("runs", "--watch")
    for _ in range(3):
        (run_id,) = create(runline, 1)
        assert ids(runline, "--limit", "1") == [run_id]
        assert runline("show", run_id, "--json").json["run"]["run_status"] == "Created"
        started = runline("start", run_id, "--set", "input.name=Ada")
        assert started.code == 0, started.err
        assert ids(runline, "--limit", "1", "--status", "success") == [run_id]
        shown = runline("show", run_id, "--at", "start", "--json").json
        assert shown["context"] == {"input": {"name": "Ada"}}
        assert f"{run_id} Success" in read_until(watching, f"{run_id} Success")[-1]
    assert runline("show", UNKNOWN).code == 3
    executor.terminate()
    assert finish(executor).code == 0


def test_show_reads_the_log_where_nobody_keeps_views_and_makes_none(
    runline: Runline, spawn: Spawn, data: str, tmp_path: Path
) -> None:
    executor = spawn("executor", "--app", f"{DATA / 'flows.py'}:registry")
    logged(executor, "Taking over")
    assert data
    first, second = create(runline, 2)
    assert runline("show", first, "--json").json["run"]["run_id"] == first
    assert not (tmp_path / "cache").exists()
    assert ids(runline) == [first, second]
    runline("cancel", first)  # the views do not know of it
    assert runline("show", first, "--json").json["run"]["run_status"] == "Cancelled"


def test_views_of_another_log_are_neither_shown_nor_listed(
    runline: Runline, spawn: Spawn, data: str, broker: str
) -> None:
    executor = spawn("executor", "--app", f"{DATA / 'flows.py'}:registry", "--keep-views", "--views", "elsewhere")
    logged(executor, "Taking over")
    (run_id,) = create(runline, 1)
    assert ids(runline, "--views", "elsewhere") == [run_id]
    other = str(asyncio.run(new_location(broker, 3)))
    assert data != other
    shown = runline("show", run_id, "--data", other, "--views", "elsewhere")
    assert (shown.code, "error[run_not_found]" in shown.err) == (3, True)
    listed = runline("runs", "--data", other, "--views", "elsewhere")
    assert (listed.code, "those of another log" in listed.err) == (3, True)


def test_a_service_waits_for_brokers_and_says_so(spawn: Spawn, data: str) -> None:
    assert data
    process = spawn("projections", "run", "--data", "kafka://127.0.0.1:1/nowhere", "--kafka", "socket.timeout.ms=1000")
    assert "Trying again" in logged(process, "Trying again")
    process.terminate()
    assert finish(process).code == 0
