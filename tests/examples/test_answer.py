import asyncio
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

from engine import Call, ContextObject, Registry
from examples.answer import main
from tests.support.logs import new_location

ROOT = Path(__file__).parents[2]
ANSWER = "What is the capital of Brazil? Brasilia, user 42."

# The program of the README, word for word.
FIRST_PROGRAM = """
registry = Registry()

@registry.node("answer")
async def answer(context, call):
    context.set("output.text", f"{context.get('input.prompt', str)} Brasilia, user {context.get('input.user_id', int)}.")

async with EngineService.open("data", registry) as engine:
    await engine.publish_workflow("example.yaml")
    workflow_id = await engine.get_workflow_id("Example Workflow")
    run_id = await engine.create_workflow_run(workflow_id)
    context = ContextObject()
    context.set("input.prompt", "What is the capital of Brazil?")
    context.set("input.user_id", 42)
    context.set("input.now", datetime.now(UTC))
    completed = await engine.start_workflow_run_and_wait(run_id, context)
    if completed.run_status == RunStatus.SUCCESS:
        print(ContextObject.deserialize(completed.output_context).get("output.text", str))
"""  # noqa: E501 - word for word

AROUND = """
import asyncio
from datetime import UTC, datetime
from engine import ContextObject, EngineService, Registry, RunStatus

async def main():
{program}

asyncio.run(main())
"""


def printed(*words: str, directory: Path) -> str:
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_first_program_prints_the_answer(tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_bytes((ROOT / "examples" / "example.yaml").read_bytes())
    program = AROUND.format(program=indent(FIRST_PROGRAM, "    "))
    assert printed(sys.executable, "-c", program, directory=tmp_path) == f"{ANSWER}\n"
    assert (tmp_path / "data").is_dir()


def test_the_example_runs_as_a_program_and_answers_in_three_ways(tmp_path: Path) -> None:
    lines = printed(sys.executable, str(ROOT / "examples" / "answer.py"), directory=tmp_path).splitlines()
    check_the_three_ways(lines)
    assert (tmp_path / "data").is_dir()


def test_the_same_program_runs_on_kafka_with_one_setting(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNLINE_DATA", str(asyncio.run(new_location(broker, 2))))
    lines = printed(sys.executable, str(ROOT / "examples" / "answer.py"), directory=tmp_path).splitlines()
    check_the_three_ways(lines)
    assert list(tmp_path.iterdir()) == []


def check_the_three_ways(lines: list[str]) -> None:
    assert [line for line in lines if line.endswith(ANSWER)] == [
        f"wait: {ANSWER}",
        f"notify: {ANSWER}",
        f"synchronously: {ANSWER}",
    ]
    # Only the program's own line about the start may fall between them.
    heard = [line.split() for line in lines if line.startswith(("notify: run ", "notify: node "))]
    assert [(what, status) if what == "run" else (name, status) for _, what, name, _, status in heard] == [
        ("run", "Created"),
        ("run", "Running"),
        ("start", "Running"),
        ("start", "Success"),
        ("answer", "Running"),
        ("answer", "Success"),
        ("end", "Running"),
        ("end", "Success"),
        ("run", "Success"),
    ]


def test_a_run_that_fails_is_printed_and_told_by_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusing = Registry()

    @refusing.node("answer")
    def refuse(_context: ContextObject, _call: Call) -> None:
        raise ValueError("no answer today")

    monkeypatch.setattr("examples.answer.registry", refusing)
    assert main([str(tmp_path / "data")]) == 1
    out = capsys.readouterr().out
    for way in ("wait", "notify", "synchronously"):
        assert f"{way}: Failed: ValueError in node answer: no answer today" in out


def test_runs_are_kept_in_the_directory_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "data")]) == 0
    assert main([str(tmp_path / "data")]) == 0
    assert capsys.readouterr().out.count(ANSWER) == 6
    assert (tmp_path / "data").is_dir()
