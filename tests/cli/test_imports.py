import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT

COMMANDS = (
    "run",
    "start",
    "wait",
    "publish",
    "create",
    "cancel",
    "show",
    "runs",
    "work",
    "rebuild",
    "graph",
    "audit",
    "export",
    "validate",
    "doctor",
    "config",
    "executor",
    "follow",
)
BELOW = (
    "topics plan",
    "topics apply",
    "projections run",
    "projections status",
    "parked list",
    "parked show",
    "parked retry",
    "parked skip",
)
HEAVY = (
    "confluent_kafka",
    "pydantic",
    "pydantic_settings",
    "rocksdict",
    "jmespath",
    "yaml",
    "asyncio",
    "packaging",
    "engine.service",
)


def python(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    # The program is our own.
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_the_help_imports_nothing_that_it_does_not_need(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from engine.cli.app import invoke\n"
        f"assert invoke({arguments!r}) == 0\n"
        f"print('loaded', *[name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert python("-c", program).splitlines()[-1] == "loaded"


def test_the_help_names_every_command() -> None:
    answer = python("-m", "engine.cli", "--help")
    for command in (*COMMANDS, "topics", "projections", "parked"):
        assert f" {command} " in answer


@pytest.mark.parametrize("command", [*COMMANDS, *BELOW])
def test_every_command_has_help_of_its_own(command: str) -> None:
    answer = python("-m", "engine.cli", *command.split(), "--help")
    assert f"Usage: runline {command}" in answer
    assert "--json" in answer


@pytest.mark.parametrize(
    "words", [["config", "--json"], ["--help"], ["--version"], ["run", "--help"], ["topics", "--help"]], ids=" ".join
)
def test_a_reader_that_has_seen_enough_is_no_error(words: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli", *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() == 0
    process.stderr.close()


@pytest.mark.parametrize(("arguments", "code"), [(("config", "--json"), 3), (("show", "x", "--json"), 2)])
def test_a_document_that_cannot_be_printed_is_an_error_on_stderr(arguments: tuple[str, ...], code: int) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "engine.cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert ended.stderr.startswith("error[")
