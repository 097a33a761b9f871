"""`follow` and `parked`: services in a process of their own, and what is refused."""

import secrets
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consumers.cli.follow import parse_start
from consumers.host import Start
from engine.cli.failures import ArgumentsError
from tests.cli.conftest import APP, DATA, Runline, Spawn, finish, read_until

SERVICES = """
import asyncio
import sys
from pathlib import Path

from engine import Run, Trace


class Tells:
    def run_progress(self, run: Run) -> None:
        sys.stdout.write(f"heard {run.run_id} {run.run_status}\\n")
        sys.stdout.flush()

    def trace_progress(self, trace: Trace) -> None: ...


class Fails(Tells):
    def run_progress(self, run: Run) -> None:
        if not Path("mended").exists():
            raise ConnectionError("no\\x1b[2Jthing")
        super().run_progress(run)


class Half:
    def run_progress(self, run: Run) -> None: ...


class Asks(Tells):
    def __init__(self, what: str) -> None: ...


class Exits(Tells):
    def __init__(self) -> None:
        sys.exit("not here")


class Yields(Tells):
    def run_progress(self, run: Run):
        yield run


class Stubborn(Tells):
    async def run_progress(self, run: Run) -> None:
        super().run_progress(run)
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                pass


tells = Tells()
"""


@pytest.fixture
def created(runline: Runline) -> str:
    """Make a log with one run, and services; return the run's id."""
    Path("services.py").write_text(SERVICES, encoding="utf-8")
    runline("publish", DATA / "greet.yaml")
    return runline("create", "greet").out.strip()


def stop(process: "subprocess.Popen[str]") -> str:
    """Stop a process in order, and return what it logged."""
    process.send_signal(signal.SIGTERM)
    answer = finish(process)
    assert answer.code == 0, answer.err
    return answer.err


def test_a_host_follows_a_log_that_others_write_and_goes_on_after_a_restart(
    runline: Runline, spawn: Spawn, created: str
) -> None:
    arguments = ("follow", "--service", "services.py:Tells", "--service", "second=services.py:tells", "--group", "g")
    process = spawn(*arguments, "--from", "beginning")
    assert read_until(process, created)[-1] == f"heard {created} Created\n"
    second = runline("create", "greet").out.strip()
    read_until(process, second)
    refused = runline(*arguments)
    assert refused.code == 3
    assert "error[group_differs]: expected no other host of the group" in refused.err
    stop(process)
    third = runline("create", "greet").out.strip()
    process = spawn(*arguments, "--from", "beginning")
    # The second service may have been stopped before it heard of all; the first one had.
    assert read_until(process, third).count(f"heard {created} Created\n") <= 1
    stop(process)
    lag = runline("follow", "--group", "g", "--lag", "--json")
    assert lag.code == 0
    assert [(each["service"], each["behind"]) for each in lag.json["services"] if each["behind"]] == []
    again = spawn(*arguments, "--from", "beginning", "--reset", "--status", "created")
    assert f"heard {created} Created\n" in read_until(again, created)
    stop(again)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_call_that_takes_no_notice_of_its_cancellation_does_not_keep_the_process_from_ending(
    spawn: Spawn, created: str, number: signal.Signals
) -> None:
    process = spawn("follow", "--service", "services.py:Stubborn", "--from", "beginning")
    read_until(process, created)
    process.send_signal(number)
    answer = finish(process)
    assert answer.code == 0, answer.err
    assert "Stubborn on events/0: 1 calls do not end although they were cancelled; they are left behind" in answer.err
    assert f"Stopped by {number.name}" in answer.err
    assert "Task was destroyed" not in answer.err


def test_parked_changes_are_listed_shown_and_delivered_again_by_a_running_host(
    runline: Runline, spawn: Spawn, created: str
) -> None:
    process = spawn("follow", "--service", "services.py:Fails", "--from", "beginning", "--attempts", "1")
    assert process.stderr is not None
    assert any("it is parked" in line for line in process.stderr)
    listed = runline("parked", "list")
    assert created in listed.out
    assert "\x1b" not in listed.out
    (parked,) = runline("parked", "list", "--json", "--service", "Fails").json["parked"]
    assert runline("parked", "list", "--json", "--service", "other").json["parked"] == []
    assert (parked["run_id"], parked["attempts"], parked["event_type"]) == (created, 1, "run.created")
    shown = runline("parked", "show", parked["event_id"][:10], "--json")
    assert shown.json == parked
    assert runline("follow", "--lag").code == 1
    Path("mended").touch()
    asked = runline("parked", "retry", parked["event_id"])
    assert asked.code == 0
    assert read_until(process, created)[-1] == f"heard {created} Created\n"
    assert any("goes on with run" in line for line in process.stderr)
    assert runline("parked", "list", "--json").json["parked"] == []
    stop(process)


def test_what_is_asked_is_listed_before_a_host_takes_it_and_what_cannot_be_asked_is_refused_by_name(
    runline: Runline, spawn: Spawn, created: str
) -> None:
    process = spawn("follow", "--service", "services.py:Fails", "--from", "beginning", "--attempts", "1")
    assert process.stderr is not None
    assert any("it is parked" in line for line in process.stderr)
    stop(process)
    for action in ("skip", "retry"):
        assert runline("parked", action, "--all", "--service", "Fails").code == 0
        assert [each["asked"] for each in runline("parked", "list", "--json").json["parked"]] == [action]
    answer = runline("parked", "skip", "--all", "--service", "Fail")
    assert (answer.code, answer.out) == (3, "")
    assert "error[parked_not_found]: expected parked changes of a service 'Fail', but it has none." in answer.err
    assert "Of this group, Fails has some." in answer.err
    Path("mended").touch()
    process = spawn("follow", "--service", "services.py:Fails", "--workflow", "nope")
    assert read_until(process, created)[-1] == f"heard {created} Created\n"
    stop(process)
    answer = runline("parked", "skip", "--all", "--service", "Fails")
    assert (answer.code, "Nothing of this group is parked." in answer.err) == (3, True)
    assert runline("parked", "skip", "--all").code == 0


def test_a_request_that_cannot_be_written_says_where_and_why(runline: Runline, spawn: Spawn, created: str) -> None:
    process = spawn("follow", "--service", "services.py:Fails", "--from", "beginning", "--attempts", "1")
    assert process.stderr is not None
    assert any(created in line and "it is parked" in line for line in process.stderr)
    stop(process)
    Path("data/followers/default/requests").touch()
    answer = runline("parked", "retry", "--all")
    assert answer.code == 3
    assert "error[store]: expected to leave a request for the group's host in data/followers" in answer.err
    assert "cannot be written: File exists." in answer.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["follow"], 2, "Expected a service to call"),
        (["follow", "--service", "services.py"], 3, "error[service_invalid]: Expected the service as module:attribute"),
        (["follow", "--service", "nowhere:Tells"], 3, "There is no module 'nowhere' for the service 'nowhere'"),
        (["follow", "--service", "nowhere.py:Tells"], 3, "such as examples/app.py:Mail"),
        (["follow", "--service", "services.py:Tell"], 3, "did you mean 'Tells'"),
        (["follow", "--service", "services.py:Half"], 3, "a method trace_progress"),
        (["follow", "--service", "services.py:Asks"], 3, "to be made without arguments"),
        (
            ["follow", "--service", "services.py:Exits"],
            3,
            "error[service_invalid]: expected the class services.py:Exits",
        ),
        (["follow", "--service", "services.py:Yields"], 3, "Leave out 'yield'"),
        (["follow", "--service", "services.py:Tells", "--service", "services.py:Tells"], 2, "found Tells twice"),
        (["follow", "--service", "a/b=services.py:Tells"], 2, "the name of a service"),
        (["follow", "--service", "services.py:Tells", "--group", "../g"], 2, "the name of a group"),
        (["follow", "--service", "services.py:Tells", "--from", "soon"], 2, "PARTITION:OFFSET"),
        (["follow", "--service", "services.py:Tells", "--from", "now", "--from", "0:1"], 2, "Expected --from once"),
        (["follow", "--service", "services.py:Tells", "--status", "good"], 2, "Expected one of cancelled"),
        (["follow", "--service", "services.py:Tells", "--type", "run.success"], 2, "Expected one of run.created, "),
        (["follow", "--service", "services.py:Tells", "--from", "1:0"], 2, "Expected partitions from 0 to 0 in --from"),
        (["follow", "--lag", "--group", "nobody"], 3, "expected the progress of a group"),
        (["follow", "--service", "services.py:Tells", "--data", "nowhere"], 3, "there is none"),
        (["parked", "list", "--group", "nobody"], 3, "expected the progress of a group"),
        (["parked", "retry"], 2, "Expected the event id of a parked change, or --all"),
        (["parked", "skip", "abc", "--all"], 2, "Expected the event id of a parked change, or --all"),
    ],
)
@pytest.mark.usefixtures("created")
def test_what_cannot_be_followed_is_refused(runline: Runline, arguments: list[str], code: int, words: str) -> None:
    answer = runline(*arguments)
    assert answer.code == code, answer.err
    assert words in answer.err


def test_a_beginning_is_a_word_a_time_or_places() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert parse_start(["beginning"], now) == Start.beginning()
    assert parse_start(["now"], now) == Start.now()
    assert parse_start(["1d"], now) == Start.at(datetime(2026, 2, 28, tzinfo=UTC))
    assert parse_start(["2026-02-28T00:00:00Z"], now) == parse_start(["1d"], now)
    assert parse_start(["0:7", "3:9"], now) == Start.from_offsets({0: 7, 3: 9})
    with pytest.raises(ArgumentsError):
        parse_start(["0:7", "0:9"], now)


def test_a_group_on_kafka_is_followed_asked_and_reset_by_the_same_commands(
    runline: Runline, spawn: Spawn, broker: str
) -> None:
    Path("services.py").write_text(SERVICES, encoding="utf-8")
    data = ("--data", f"kafka://{broker}/test-{secrets.token_hex(6)}")
    assert runline("topics", "apply", *data, "--partitions", "2", "--replication", "1").code == 0
    executor = spawn("executor", "--app", APP, *data)
    assert runline("publish", DATA / "greet.yaml", *data).code == 0
    created = runline("create", "greet", *data).out.strip()
    assert runline("follow", "--lag", *data).code == 3
    arguments = ("follow", "--service", "services.py:Fails", "--from", "beginning", "--attempts", "1", *data)
    process = spawn(*arguments)
    assert process.stderr is not None
    assert any("it is parked" in line for line in process.stderr)
    reset = runline(*arguments, "--reset")
    assert (reset.code, "to have no members" in reset.err) == (3, True)
    (parked,) = runline("parked", "list", "--json", *data).json["parked"]
    assert (parked["run_id"], parked["service"]) == (created, "Fails")
    Path("mended").touch()
    assert runline("parked", "retry", "--all", *data).code == 0
    assert read_until(process, created)[-1] == f"heard {created} Created\n"
    assert any("goes on with run" in line for line in process.stderr)
    assert "the services have come is recorded" in stop(process)
    lag = runline("follow", "--lag", "--json", *data)
    assert (lag.code, [each["behind"] for each in lag.json["services"]]) == (0, [0, 0])
    again = spawn(*arguments, "--reset")
    assert read_until(again, created)[-1] == f"heard {created} Created\n"
    stop(again)
    stop(executor)
