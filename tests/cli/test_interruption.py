import asyncio
import contextlib
import signal
import subprocess
import time
from pathlib import Path

import pytest

from engine.cli.interruption import Interruptible, StoppedError
from engine.errors import LogFullError
from tests.cli.conftest import APP, DATA, Runline, Spawn, finish, logged, read_until, resume_words


def start_gate(spawn: Spawn, tmp_path: Path) -> "subprocess.Popen[str]":
    process = spawn(
        "run", DATA / "gate.yaml", "--app", APP, "--data", tmp_path / "my data",
        "--set", f"input.ledger={tmp_path / 'ledger'}", "--set", f"input.gate={tmp_path / 'gate'}",
    )  # fmt: skip
    read_until(process, "Node [bold]gate Running")
    return process


def open_gate(tmp_path: Path) -> None:
    (tmp_path / "gate").touch()


def test_ctrl_c_leaves_a_run_that_the_printed_command_goes_on_with(spawn: Spawn, tmp_path: Path) -> None:
    process = start_gate(spawn, tmp_path)
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert stopped.code == 130, stopped.err
    assert "Traceback" not in stopped.err
    words = resume_words(stopped)
    open_gate(tmp_path)
    resumed = finish(spawn(*words))
    assert resumed.code == 0, resumed.err
    assert "(attempt 2) Success" in resumed.out
    key = f"{words[1]}.2"
    assert (tmp_path / "ledger").read_text().splitlines() == [f"{key} 1", f"{key} 2"]


def test_sigterm_stops_like_ctrl_c(spawn: Spawn, tmp_path: Path) -> None:
    process = start_gate(spawn, tmp_path)
    process.terminate()
    stopped = finish(process)
    assert stopped.code == 143
    assert resume_words(stopped)


def test_a_killed_process_loses_nothing(spawn: Spawn, runline: Runline, tmp_path: Path) -> None:
    process = start_gate(spawn, tmp_path)
    process.kill()
    finish(process)
    open_gate(tmp_path)
    answer = runline("wait", "--app", APP, "--data", tmp_path / "my data", "--json")
    assert answer.code == 0, answer.out
    (run,) = answer.json["runs"]
    assert run["run_status"] == "Success"
    shown = runline("show", run["run_id"], "--data", tmp_path / "my data", "--json").json
    tried = {trace["node_id"]: trace["attempts"] for trace in shown["traces"]}
    lost, last = tried.pop("gate")
    assert (lost["number"], lost["lost"], last["number"], last["lost"]) == (1, True, 2, False)
    assert lost["executor"] != last["executor"]
    assert lost["started"] < lost["stopped"] == last["started"] <= last["stopped"]
    assert all(not each["lost"] for (each,) in tried.values())
    rows = runline("show", run["run_id"], "--data", tmp_path / "my data").out.splitlines()
    assert [row.split()[1:3] for row in rows if "executor" in row] == [["attempt", "1"], ["attempt", "2"]]


def test_a_second_process_is_told_who_has_the_directory_and_readers_are_not_kept_out(
    spawn: Spawn, runline: Runline, tmp_path: Path
) -> None:
    process = start_gate(spawn, tmp_path)
    data = ("--data", tmp_path / "my data")
    refused = finish(spawn("run", DATA / "greet.yaml", "--app", APP, *data))
    assert refused.code == 3
    assert "error[log_locked]" in refused.err
    assert str(process.pid) in refused.err
    assert "my data" in refused.err
    listed = runline("runs", *data, "--json")
    assert [run["run_status"] for run in listed.json["runs"]] == ["Running"]
    run_id = listed.json["runs"][0]["run_id"]
    shown = runline("show", run_id, *data)
    assert shown.code == 0
    assert "▶ Node [bold]gate" in shown.out
    examined = runline("doctor", *data)
    assert examined.code == 3
    assert f"FAILED lock: the log {tmp_path / 'my data'} is open for writing in process {process.pid}" in examined.out
    open_gate(tmp_path)
    assert finish(process).code == 0
    assert runline("show", run_id, *data, "--json").json["run"]["run_status"] == "Success"


def test_a_function_that_hangs_does_not_keep_the_process_from_ending(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn("run", DATA / "hang.yaml", "--app", APP, "--set", f"input.ledger={tmp_path / 'ledger'}")
    read_until(process, "Node [bold]hang Running")
    process.send_signal(signal.SIGINT)
    assert finish(process).code == 130


def test_a_second_ctrl_c_ends_a_process_whose_event_loop_is_blocked(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn("run", DATA / "block.yaml", "--app", APP, "--set", f"input.ledger={tmp_path / 'ledger'}")
    while not (tmp_path / "ledger").exists():
        assert process.poll() is None, finish(process).err
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "press Ctrl-C again" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert stopped.code == 130
    assert resume_words(stopped)[0] == "wait"


def test_a_reader_that_goes_away_does_not_stop_the_run(spawn: Spawn, runline: Runline, tmp_path: Path) -> None:
    process = start_gate(spawn, tmp_path)
    assert process.stdout is not None
    process.stdout.close()
    open_gate(tmp_path)
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() == 0
    runs = runline("runs", "--data", tmp_path / "my data", "--json").json["runs"]
    assert [run["run_status"] for run in runs] == ["Success"]


def test_a_task_that_takes_no_notice_of_its_cancellation_does_not_keep_a_command_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.cli.interruption._CANCELLED_SECONDS", 0.01)
    tasks: list[asyncio.Task[None]] = []

    async def stubborn() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    async def work() -> int:
        tasks.append(asyncio.create_task(stubborn()))
        await asyncio.sleep(0)
        return 7

    assert Interruptible().run(work()) == 7
    assert not tasks[0].done()


def test_an_error_on_the_way_out_stands_beside_the_way_to_go_on() -> None:
    interruptible = Interruptible()
    interruptible.resume = "runline wait"

    async def work() -> int:
        signal.raise_signal(signal.SIGINT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LogFullError("there is no space left.", hint="Make space.") from None
        return 0

    with pytest.raises(
        StoppedError, match=r"on the log\. On the way out: there is no space left\. Make space\."
    ) as error:
        interruptible.run(work())
    assert (error.value.signal, error.value.hint) == (signal.SIGINT, "Go on with: runline wait")
    interruptible = Interruptible()
    with pytest.raises(LogFullError):
        interruptible.run(work())


def test_an_executor_that_is_stopped_lets_the_nodes_under_way_end(
    spawn: Spawn, runline: Runline, tmp_path: Path
) -> None:
    started = start_gate(spawn, tmp_path)
    started.kill()
    finish(started)
    executor = spawn("executor", "--app", APP, "--data", tmp_path / "my data", "--grace", "60")
    ledger = tmp_path / "ledger"
    while not ledger.exists() or " 2\n" not in ledger.read_text():
        assert executor.poll() is None
        time.sleep(0.02)
    executor.terminate()
    logged(executor, "Waiting up to 60 s for 1 nodes that are under way")
    open_gate(tmp_path)
    assert finish(executor).code == 0
    # Its last node has ended, and so has the run.
    (run,) = runline("runs", "--data", tmp_path / "my data", "--json").json["runs"]
    assert run["run_status"] == "Success"
    # Nobody had to begin it a third time.
    assert ledger.read_text().endswith(" 2\n")
