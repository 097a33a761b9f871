"""The commands on a real Kafka broker."""

import asyncio
import contextlib
import secrets
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.cli.conftest import APP, DATA, Answer, Runline, Spawn, finish, logged, read_until
from tests.support.logs import new_location

UNKNOWN = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def data(broker: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Return the location of a log that nobody has used before; it is the setting."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    location = str(asyncio.run(new_location(broker, 2)))
    monkeypatch.setenv("RUNLINE_DATA", location)
    return location


@pytest.fixture
def executor(data: str, spawn: Spawn) -> "subprocess.Popen[str]":
    """Start an executor in a process of its own; return when it works."""
    process = spawn("executor", "--app", APP)
    assert data in logged(process, "Opening")
    logged(process, "Taking over partitions [0, 1]")
    return process


def stop(process: "subprocess.Popen[str]", number: signal.Signals = signal.SIGTERM) -> Answer:
    process.send_signal(number)
    return finish(process)


@pytest.mark.usefixtures("executor")
def test_what_one_process_creates_another_executes_and_a_third_shows(runline: Runline) -> None:
    assert runline("publish", DATA / "greet.yaml").code == 0
    run_id = runline("create", "The greet workflow").out.strip()
    assert runline("show", run_id, "--json").json["run"]["run_status"] == "Created"
    started = runline("start", run_id, "--set", "input.name=Ada")
    assert started.code == 0, started.err
    assert "2 Node [bold]greet Running\n" in started.out
    assert "✓ Success" in started.out
    assert "Hello Ada" in started.out
    shown = runline("show", run_id)
    assert shown.code == 0
    assert "✓ Success" in shown.out
    assert [run["run_id"] for run in runline("runs", "--json").json["runs"]] == [run_id]
    again = runline("start", run_id)
    assert (again.code, "error[run_not_created]" in again.err) == (3, True)


@pytest.mark.usefixtures("executor")
def test_a_run_is_cancelled_from_another_process(runline: Runline) -> None:
    runline("publish", DATA / "greet.yaml")
    run_id = runline("create", "greet").out.strip()
    assert runline("cancel", run_id, "--reason", "not needed").out == f"{run_id} Cancelled\n"
    waited = runline("wait", run_id, "--json")
    assert (waited.code, waited.json["run"]["message"]) == (1, "cancelled: not needed")
    unknown = runline("cancel", UNKNOWN)
    assert (unknown.code, "error[run_not_found]" in unknown.err) == (3, True)


def test_wait_follows_all_runs_that_others_execute(
    executor: "subprocess.Popen[str]", runline: Runline, spawn: Spawn, tmp_path: Path
) -> None:
    runline("publish", DATA / "gate.yaml")
    created, run_id = (runline("create", "gate").out.strip() for _ in range(2))
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    starting = spawn("start", run_id, "--set", f"input.ledger={ledger}", "--set", f"input.gate={gate}")
    read_until(starting, "Node [bold]gate Running")
    threading.Timer(1.0, gate.touch).start()
    waited = runline("wait")
    assert waited.code == 0, waited.err
    assert f"{run_id} run Success" in waited.out
    assert f"{created} is left: it was created and not started" in waited.out
    assert "1 run ended, 1 left" in waited.out
    assert finish(starting).code == 0
    assert stop(executor).code == 0


def test_run_executes_in_its_own_process(data: str, runline: Runline) -> None:
    answer = runline("run", DATA / "greet.yaml", "--app", APP, "--set", "input.name=Ada", "--data", data)
    assert answer.code == 0, answer.err
    assert "2 Node [bold]greet Running\n" in answer.out
    assert "✓ Success" in answer.out
    failed = runline("run", DATA / "fail.yaml", "--app", APP, "--json")
    assert (failed.code, failed.json["run"]["run_status"]) == (1, "Failed")


def test_without_an_executor_a_command_says_so_and_waits_for_one(data: str, runline: Runline, spawn: Spawn) -> None:
    runline("publish", DATA / "greet.yaml")
    creating = spawn("create", "greet")
    assert f"No executor works on {data}" in logged(creating, "No executor")
    process = spawn("executor", "--app", APP)
    created = finish(creating)
    assert created.code == 0
    assert runline("show", created.out.strip()).code == 0
    assert stop(process).code == 0


def test_an_interrupted_command_says_that_what_it_sent_is_not_lost(data: str, runline: Runline, spawn: Spawn) -> None:
    runline("publish", DATA / "greet.yaml")
    creating = spawn("create", "greet")
    assert data in logged(creating, "No executor")
    stopped = stop(creating, signal.SIGINT)
    assert stopped.code == 130
    assert "what was sent is on the log, and the next executor carries it out" in stopped.err
    process = spawn("executor", "--app", APP)
    while not runline("runs", "--json").json["runs"]:
        assert process.poll() is None
    assert stop(process).code == 0


# Executors.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_executor_leaves_its_partitions_to_others_when_it_is_stopped(
    executor: "subprocess.Popen[str]", spawn: Spawn, runline: Runline, number: signal.Signals
) -> None:
    second = spawn("executor", "--app", APP, "--json")
    assert "partitions [" in logged(second, "Taking over")
    logged(executor, "Let go of partitions")
    assert "executors: 2 in the group" in runline("doctor").out
    stopped = stop(executor, number)
    assert stopped.code == 0
    assert f"Stopped by {number.name}" in stopped.err
    logged(second, "Taking over")
    last = stop(second, number)
    assert (last.code, last.json["signal"]) == (0, number.name)
    assert "executors: 0 in the group" in runline("doctor").out


def test_a_run_of_an_executor_that_is_killed_goes_on_in_another(
    executor: "subprocess.Popen[str]", runline: Runline, spawn: Spawn, tmp_path: Path
) -> None:
    runline("publish", DATA / "gate.yaml")
    run_id = runline("create", "gate").out.strip()
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    starting = spawn("start", run_id, "--set", f"input.ledger={ledger}", "--set", f"input.gate={gate}")
    read_until(starting, "Node [bold]gate Running")
    executor.kill()
    gate.touch()
    second = spawn("executor", "--app", APP)
    started = finish(starting)
    assert started.code == 0, started.err
    # Whether the first attempt came as far as the ledger is up to the kill.
    assert ledger.read_text().splitlines()[-1] == f"{run_id}.2 2"
    assert stop(second).code == 0


def test_an_executor_waits_for_brokers_that_are_not_up_yet(broker: str, data: str, spawn: Spawn) -> None:
    with Forwarder(broker) as forwarder:
        process = spawn("executor", "--app", APP, "--data", data.replace(broker, forwarder.address))
        assert forwarder.address in logged(process, "Trying again")
        forwarder.begin()
        logged(process, "Taking over partitions")
        assert stop(process).code == 0


def test_an_executor_that_waits_for_brokers_is_stopped_at_once(spawn: Spawn) -> None:
    process = spawn("executor", "--app", APP, "--data", "kafka://127.0.0.1:1/nowhere")
    logged(process, "Opening")
    assert stop(process).code == 0


def test_an_executor_works_on_an_embedded_log_too(runline: Runline, spawn: Spawn, tmp_path: Path) -> None:
    directory = tmp_path / "embedded"
    runline("publish", DATA / "fail.yaml", "--data", directory)
    run_id = runline("create", "fail", "--data", directory).out.strip()
    assert runline("start", run_id, "--data", directory).code == 3
    process = spawn("executor", "--app", APP, "--data", directory)
    logged(process, "Executing runs")
    while runline("show", run_id, "--data", directory, "--json").json["run"]["run_status"] != "Failed":
        assert process.poll() is None
    assert stop(process).code == 0


def test_an_executor_needs_an_application(runline: Runline) -> None:
    answer = runline("executor")
    assert (answer.code, "Expected an application" in answer.err) == (2, True)


# Topics.


def test_topics_are_planned_made_and_then_as_they_must_be(broker: str, runline: Runline) -> None:
    data = ("--data", f"kafka://{broker}/test-{secrets.token_hex(6)}")
    planned = runline("topics", "plan", *data, "--partitions", "3")
    assert planned.code == 1
    assert [line.split()[0] for line in planned.out.splitlines()] == ["create"] * 5
    refused = runline("run", DATA / "greet.yaml", "--app", APP, *data)
    assert refused.code == 3
    assert refused.err.count("create test-") == 5
    executing = runline("executor", "--app", APP, *data)
    assert (executing.code, executing.err.count("create test-")) == (3, 5)
    examined = runline("doctor", *data)
    assert (examined.code, "FAILED topics: " in examined.out) == (3, True)
    applied = runline("topics", "apply", *data, "--partitions", "3", "--replication", "1")
    assert applied.code == 0, applied.err
    again = runline("topics", "plan", *data, "--json")
    assert (again.code, again.json) == (0, {"partitions": 3, "steps": [], "notes": []})
    assert runline("topics", "plan", *data).out == "nothing is to be done, 3 partitions\n"
    examined = runline("doctor", *data)
    assert "ok     topics: " in examined.out
    assert "ok     brokers: 1 at" in examined.out


def test_what_only_people_can_put_right_is_refused_with_the_plan(data: str, runline: Runline) -> None:
    planned = runline("topics", "plan", "--partitions", "5", "--json")
    assert planned.code == 1
    assert {step["action"] for step in planned.json["steps"]} == {"refuse"}
    applied = runline("topics", "apply", "--partitions", "5")
    assert applied.code == 3
    assert "error[topics]" in applied.err
    assert applied.err.count("expected 5 partitions, but it has 2") == 2
    assert data in applied.err


def test_an_embedded_log_has_no_topics_to_plan(runline: Runline) -> None:
    answer = runline("topics", "plan", "--data", "directory")
    assert (answer.code, "the directory directory" in answer.err) == (2, True)


# Properties.


def test_properties_reach_the_client_and_a_wrong_one_is_named(data: str, runline: Runline) -> None:
    assert runline("runs", "--kafka", "client.id=tests", "--kafka", "log_level=6").out == "no runs\n"
    answer = runline("runs", "--kafka", "security.protcol=SSL")
    assert answer.code == 3
    assert 'No such configuration property: "security.protcol"' in answer.err
    answer = runline("runs", "--kafka", f"bootstrap.servers={data}")
    assert (answer.code, "found bootstrap.servers" in answer.err) == (3, True)


@pytest.mark.parametrize("words", [["runs"], ["topics", "plan"], ["create", "any"]], ids=" ".join)
def test_brokers_that_cannot_be_reached_are_said_once(
    runline: Runline, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.log.kafka.topics.KAFKA_ANSWER_SECONDS_MAX", 1)
    answer = runline(*words, "--data", "kafka://127.0.0.1:1/nowhere")
    assert answer.code == 3
    error, hint = answer.err.splitlines()
    assert error.startswith("error[log_unreachable]: expected to look at the topics of kafka://127.0.0.1:1/nowhere")
    assert hint == "hint: Are the brokers up, and is the address right?"


def test_brokers_that_do_not_answer_are_said(runline: Runline) -> None:
    answer = runline("doctor", "--data", "kafka://127.0.0.1:1/nowhere")
    assert answer.code == 3
    assert "FAILED brokers: expected to reach Kafka at 127.0.0.1:1" in answer.out
    assert " topics: " not in answer.out


class Forwarder:
    """An address at which nobody answers until it begins; then the broker does."""

    def __init__(self, broker: str) -> None:
        host, _, port = broker.rpartition(":")
        self._broker = (host, int(port))
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._open: list[socket.socket] = [self._socket]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def begin(self) -> None:
        """Let the broker answer."""
        self._socket.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        for client in self._clients():
            server = socket.create_connection(self._broker)
            self._open += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=_copy, args=(source, target), daemon=True).start()

    def _clients(self) -> Iterator[socket.socket]:
        with contextlib.suppress(OSError):
            while True:
                yield self._socket.accept()[0]


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
