"""`runline broker up` starts brokers for as long as it runs."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from engine.broker.ports import HOST, free_ports
from engine.broker.probe import describe

DEADLINE_SECONDS = 60
ROOT = Path(__file__).parents[2]


def start(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "engine.cli", "broker", "up", *map(str, arguments)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNLINE_")}
    return subprocess.Popen(command, cwd=ROOT, env=kept, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def lines_until(process: "subprocess.Popen[str]", words: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if words in line:
            break
    return lines


def test_a_broker_is_up_until_ctrl_c(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with start("--port", port, "--directory", tmp_path) as process:
        lines = lines_until(process, "Ctrl-C")
        assert lines[1:] == [
            f"Apache Kafka answers at {HOST}:{port}, on the Java runtime, in {tmp_path}.",
            f"export RUNLINE_DATA=kafka://{HOST}:{port}/runline",
            "Ctrl-C ends it.",
        ]
        assert describe(HOST, port) is not None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, out, err) == (0, "Stopping.\n", "")
    assert describe(HOST, port) is None
    assert (tmp_path / "node-1" / "data" / "meta.properties").exists()


def test_its_json_says_where_the_broker_is(tmp_path: Path) -> None:
    with start("--json", "--directory", tmp_path) as process:
        document = json.loads("".join(lines_until(process, "}")))
        process.terminate()
        assert process.communicate(timeout=DEADLINE_SECONDS) == ("", "")
    assert document == {
        "bootstrap": document["bootstrap"],
        "data": f"kafka://{document['bootstrap']}/runline",
        "nodes": [1],
        "place": f"on the Java runtime, in {tmp_path}",
    }
    assert process.returncode == 0
