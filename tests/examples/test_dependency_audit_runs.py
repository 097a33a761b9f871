import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine import ContextObject, EngineService, Run, RunStatus, Trace, TraceStatus
from examples.dependency_audit import registry
from tests.examples.distributions import install

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "examples" / "dependency_audit.yaml"
APPLICATION = f"{ROOT / 'examples' / 'dependency_audit.py'}:registry"
RUNLINE = (sys.executable, "-m", "engine.cli")
TIMEOUT_SECONDS = 60.0

RESUME = """
import asyncio, sys
from engine import EngineService
from engine.application import load_application

async def main():
    async with EngineService.open(sys.argv[1], load_application(sys.argv[2])) as engine:
        print((await engine.wait_for_workflow_run(sys.argv[3], timeout=60)).run_status.value)

asyncio.run(main())
"""


async def audited(data: Path, **inputs: object) -> tuple[Run, dict[str, object], list[Trace]]:
    async with EngineService.open(data, registry) as engine:
        await engine.publish_workflow(WORKFLOW)
        run = await engine.run_workflow("dependency_audit", {"input": inputs}, timeout=TIMEOUT_SECONDS)
        return run, dict(ContextObject.deserialize(run.output_context)), await engine.get_traces(run.run_id)


def with_problems(directory: Path) -> Path:
    install(directory, "user", "2.0", fields=["Requires-Dist: absent>=1", "Requires-Dist: old>=2"])
    install(directory, "old", "1.0", fields=["License-Expression: MIT"], files=["shared/__init__.py"])
    install(directory, "rival", "1.0", fields=["License-Expression: MIT"], files=["shared/__init__.py"])
    return directory


async def test_an_environment_without_problems_is_called_clean(tmp_path: Path) -> None:
    install(tmp_path / "packages", "good", fields=["License-Expression: MIT"], files=["good.py"])
    run, output, traces = await audited(
        tmp_path / "data", path=[str(tmp_path / "packages")], report=str(tmp_path / "audit.md")
    )
    assert run.run_status is RunStatus.SUCCESS, run.error
    assert output == {
        "severity": "clean",
        "headline": "No problems in 1 distribution(s).",
        "problems": 0,
        "distributions": 1,
        "counts": dict.fromkeys(
            ["broken", "duplicates", "unmet", "conflicting", "unparsable", "licences", "modules"], 0
        ),
        "report": str(tmp_path / "audit.md"),
    }
    assert [trace.node_id for trace in traces] == [
        "start", "inventory", "requirements", "licences", "modules", "count", "severity", "summarise_clean", "report",
        "end",
    ]  # fmt: skip
    assert "| MIT | 1 |" in (tmp_path / "audit.md").read_text("utf-8")


async def test_problems_that_break_imports_are_errors_and_stand_in_the_report(tmp_path: Path) -> None:
    packages = with_problems(tmp_path / "packages")
    run, output, traces = await audited(tmp_path / "data", path=[str(packages)], report=str(tmp_path / "audit.md"))
    assert run.run_status is RunStatus.SUCCESS, run.error
    assert output["severity"] == "error"
    assert output["problems"] == 4
    assert [trace.node_id for trace in traces][6:9] == ["severity", "error", "summarise_problems"]
    text = (tmp_path / "audit.md").read_text("utf-8")
    assert "- by: user 2.0; requires: absent\\>=1\n" in text
    assert "- by: user 2.0; requires: old\\>=2; found: old 1.0\n" in text
    assert "- module: shared; distributions: old 1.0, rival 1.0\n" in text
    assert "- name: user 2.0; files: none\n" in text


async def test_problems_that_break_nothing_are_warnings(tmp_path: Path) -> None:
    install(tmp_path / "packages", "nameless-licence")
    _, output, traces = await audited(
        tmp_path / "data", path=[str(tmp_path / "packages")], report=str(tmp_path / "audit.md")
    )
    assert output["severity"] == "warning"
    assert [trace.node_id for trace in traces][6:9] == ["severity", "warning", "summarise_problems"]


async def test_an_empty_directory_is_clean(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _, output, _ = await audited(tmp_path / "data", path=[str(tmp_path / "empty")], report=str(tmp_path / "audit.md"))
    assert (output["severity"], output["distributions"]) == ("clean", 0)


async def test_the_environment_of_these_tests_is_audited_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run, output, _ = await audited(tmp_path / "data")
    assert run.run_status is RunStatus.SUCCESS, run.error
    assert int(str(output["distributions"])) > 10
    text = (tmp_path / "report" / "dependency-audit.md").read_text("utf-8")
    assert str(output["headline"]) in text.replace("\\", "")


async def test_a_directory_that_is_not_there_fails_the_inventory(tmp_path: Path) -> None:
    run, _, _ = await audited(tmp_path / "data", path=[str(tmp_path / "missing")])
    assert run.run_status is RunStatus.FAILED
    assert run.error is not None
    assert (run.error.type, run.error.node_id) == ("audit", "inventory")
    assert "missing" in run.error.message


# Killed half-way.


def killed_when(line: str, data: Path, inputs: Sequence[str]) -> None:
    """Start a run on the command line and kill the process as soon as it prints this."""
    arguments = ["run", str(WORKFLOW), "--app", APPLICATION, "--data", str(data)]
    arguments += [word for each in inputs for word in ("--set", f"input.{each}")]
    with subprocess.Popen([*RUNLINE, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = []
        for each in process.stdout:
            printed.append(each)
            if line in each:
                process.kill()
                break
        process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == -signal.SIGKILL, printed


def called(*words: str) -> str:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shown(data: Path, run_id: str) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads(
        called(*RUNLINE, "show", run_id, "--data", str(data), "--json")
    )
    return found


@pytest.mark.parametrize(
    ("line", "killed", "way"),
    [
        ("Look for licences Running", "licences", "service"),
        ("Sum up the problems Running", "summarise_problems", "command"),
        ("Write the report Running", "report", "service"),
    ],
)
async def test_a_killed_run_goes_on_in_a_new_process_and_writes_the_same_report(
    tmp_path: Path, line: str, killed: str, way: str
) -> None:
    packages = with_problems(tmp_path / "packages")
    _, expected, _ = await audited(tmp_path / "whole", path=[str(packages)], report=str(tmp_path / "whole.md"))
    data, target = tmp_path / "killed", tmp_path / "killed.md"
    inputs = [f"path={json.dumps([str(packages)])}", f"report={target}", "pace=0.5"]
    killed_when(line, data, inputs)
    assert not target.exists()
    (open_run,) = json.loads(called(*RUNLINE, "runs", "--data", str(data), "--json"))["runs"]
    assert open_run["run_status"] == "Running"
    run_id = open_run["run_id"]
    before = shown(data, run_id)["traces"]
    assert [(trace["node_id"], trace["trace_status"]) for trace in before][-1] == (killed, "Running")

    if way == "service":
        assert called(sys.executable, "-c", RESUME, str(data), APPLICATION, run_id) == "Success\n"
    else:
        called(*RUNLINE, "wait", run_id, "--app", APPLICATION, "--data", str(data))

    async with EngineService.open(data, registry) as engine:
        run = await engine.get_run(run_id)
        traces = await engine.get_traces(run_id)
    assert run.run_status is RunStatus.SUCCESS, run.error
    assert dict(ContextObject.deserialize(run.output_context)) == {**expected, "report": str(target)}
    assert target.read_text("utf-8") == (tmp_path / "whole.md").read_text("utf-8")
    # What was finished before stayed as it was; only the node that was killed was executed again.
    after = shown(data, run_id)["traces"]
    assert after[: len(before) - 1] == before[:-1]
    assert {trace.node_id: trace.attempt for trace in traces if trace.attempt > 1} == {killed: 2}
    assert all(trace.trace_status is TraceStatus.SUCCESS for trace in traces)
    assert len({trace.node_id for trace in traces}) == len(traces)
