"""The command line in this process, and in processes of its own."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson
import pytest

from engine.cli.app import invoke

DATA = Path(__file__).parent / "data"
APP = f"{DATA / 'flows.py'}:registry"
ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 180
"""Far more than anything here takes; a test that reaches it has failed."""


class Answer(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        document: dict[str, Any] = orjson.loads(self.out)
        assert isinstance(document, dict)
        return document


Runline = Callable[..., Answer]
Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands find neither settings nor a log of anybody else."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RUNLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RUNLINE_DURABILITY", "process")
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def runline(capsys: pytest.CaptureFixture[str]) -> Runline:
    """Call the command line in this process."""

    def call(*arguments: object) -> Answer:
        code = invoke([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start the command line in a process of its own."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **environment: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "engine.cli", *map(str, arguments)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def finish(process: "subprocess.Popen[str]") -> Answer:
    """Wait for a process and return its answer."""
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    return Answer(process.returncode, out, err)


def read_until(process: "subprocess.Popen[str]", words: str) -> list[str]:
    """Read a process's lines until one has these words, and return all of them."""
    assert process.stdout is not None
    lines = _lines_until(process.stdout, words)
    assert any(words in line for line in lines[-1:]), (
        f"expected {words!r}, but stdout was:\n{''.join(lines)}\n{finish(process).err}"
    )
    return lines


def logged(process: "subprocess.Popen[str]", words: str) -> str:
    """Read what a process logs until a line has these words, and return that line."""
    assert process.stderr is not None
    lines = _lines_until(process.stderr, words)
    assert any(words in line for line in lines[-1:]), (
        f"expected a line with {words!r}, but it logged:\n{''.join(lines)}"
    )
    return lines[-1]


def _lines_until(stream: IO[str], words: str) -> list[str]:
    """Return the lines up to the first one with these words, or all there are."""
    lines: list[str] = []
    for line in stream:
        lines.append(line)
        if words in line:
            break
    return lines


def resume_words(answer: Answer) -> list[str]:
    """Return the command that an interrupted one names, without the program's name."""
    line = next(line for line in answer.err.splitlines() if "runline wait" in line)
    words = shlex.split(line.partition("Go on with: ")[2])
    assert words[0] == "runline"
    return words[1:]
