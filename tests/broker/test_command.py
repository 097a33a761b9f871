"""`runline broker up` starts brokers for as long as it runs."""

import inspect
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.broker import ADDRESS_VARIABLE, Cluster, start_broker
from engine.broker.ports import HOST
from engine.broker.probe import describe
from engine.cli import broker as command
from engine.cli.app import invoke
from engine.cli.exit_codes import OPERATING
from tests.docs.console import Session, steps
from tests.docs.pages import blocks, table, words

DEADLINE_SECONDS = 180
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "broker.md"


def start(directory: Path, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "engine.cli", "broker", "up", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUNLINE_")}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.Popen(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def lines_until(process: "subprocess.Popen[str]", words: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if words in line:
            break
    return lines


def test_a_broker_is_up_until_ctrl_c_as_the_page_shows(tmp_path: Path) -> None:
    (block,) = blocks(PAGE, "console")
    (step,) = steps(block.text, block.line)
    assert step.command.startswith("runline broker up ")
    with start(tmp_path, *shlex.split(step.command)[3:]) as process:
        lines = lines_until(process, "Ctrl-C")
        port = int(lines[-2].rpartition(":")[2].partition("/")[0])
        shown = [line.replace("28461", str(port)) for line in step.shown]
        Session(tmp_path, tmp_path).compare(step._replace(shown=shown), "".join(f"{line}\n" for line in lines))
        assert describe(HOST, port) is not None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, out, err) == (0, "Stopping.\n", "")
    assert describe(HOST, port) is None
    node = tmp_path / "data" / "broker" / "node-1"
    assert (node / "data" / "meta.properties").exists()
    assert (node / "node.log").exists()


def test_its_json_says_where_the_broker_is(tmp_path: Path) -> None:
    with start(tmp_path, "--json", "--directory", "broker") as process:
        document = json.loads("".join(lines_until(process, "}")))
        process.terminate()
        assert process.communicate(timeout=DEADLINE_SECONDS) == ("", "")
    assert document == {
        "bootstrap": document["bootstrap"],
        "data": f"kafka://{document['bootstrap']}/runline",
        "nodes": [1],
        "place": f"on the Java runtime, in {tmp_path / 'broker'}",
    }
    assert process.returncode == 0


def test_a_node_that_dies_ends_the_command_with_the_last_lines_of_its_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start_and_kill(nodes: int, *, directory: Path | None, port: int | None) -> Cluster:
        cluster = start_broker(nodes, directory=directory, port=port, short_lived=True)
        cluster.kill(1)
        return cluster

    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(command, "start_broker", start_and_kill)
    assert invoke(["broker", "up"]) == OPERATING
    said = capsys.readouterr().err
    assert said.startswith("error[broker]: Expected node 1 to live, but it has ended.")
    assert "The last lines of its log:" in said
    assert signal.getsignal(signal.SIGTERM) == handler


def test_the_fixture_on_the_page_gives_the_address(broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = blocks(PAGE, "python")
    text = block.text.replace('@pytest.fixture(scope="session")', "")
    assert text != block.text
    names: dict[str, object] = {}
    exec(compile(text, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    monkeypatch.setenv(ADDRESS_VARIABLE, broker)
    fixture = names["broker"]
    assert callable(fixture)
    assert list(fixture()) == [broker]


def test_the_page_names_what_there_is() -> None:
    calls = [words(row[0])[0] for row in table(PAGE, "| call | what it does |")]
    public = {name for name in dir(Cluster) if not name.startswith("_")} | {"bootstrap"}
    assert {re.split(r"[.(]", call)[1] for call in calls} == public
    arguments = re.findall(r"start_broker\((.*?)\)", PAGE.read_text(encoding="utf-8"))[0]
    assert re.findall(r"\w+", arguments) == list(inspect.signature(start_broker).parameters)
