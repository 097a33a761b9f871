"""Every example, decided once more without its functions."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from engine import EngineService
from engine.log.embedded import EmbeddedLog
from engine.log.kafka import KafkaLog
from examples import answer, dependency_audit
from projections.decisions import DecisionReport, replay_decisions
from projections.decisions.inputs import COMMAND, OUTCOME
from tests.examples.distributions import install
from tests.interop.programs import run_program
from tests.support.logs import new_location

ROOT = Path(__file__).parents[2]
SECONDS = 60.0


async def redecided(directory: Path) -> DecisionReport:
    log = await EmbeddedLog.open_reading(directory)
    try:
        return await replay_decisions(log)
    finally:
        await log.close()


def test_the_three_ways_of_the_first_example_are_decided_again_as_they_were(tmp_path: Path) -> None:
    assert answer.main([str(tmp_path / "data")]) == 0
    report = asyncio.run(redecided(tmp_path / "data"))
    assert report.same, report.differences
    # Created and started with a command each.
    assert (report.runs, report.taken_over) == (3, {COMMAND: 6, OUTCOME: 3})


@pytest.mark.parametrize("kind", ["clean", "problems", "missing"])
async def test_audits_of_every_kind_are_decided_again_as_they_were(kind: str, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    if kind != "missing":
        install(packages, "good", fields=["License-Expression: MIT"], files=["good.py"])
    if kind == "problems":
        install(packages, "user", "2.0", fields=["Requires-Dist: absent>=1"])
    inputs = {"path": [str(packages)], "report": str(tmp_path / "audit.md")}
    async with EngineService.open(tmp_path / "data", dependency_audit.registry) as engine:
        await engine.publish_workflow(ROOT / "examples" / "dependency_audit.yaml")
        run = await engine.run_workflow("dependency_audit", {"input": inputs}, timeout=SECONDS)
        outcomes = sum(trace.node_id not in _WITHOUT_WORK for trace in await engine.get_traces(run.run_id))
    report = await redecided(tmp_path / "data")
    assert report.same, report.differences
    assert (report.runs, report.taken_over) == (1, {COMMAND: 1, OUTCOME: outcomes})
    assert outcomes == {"clean": 6, "problems": 6, "missing": 1}[kind]


_WITHOUT_WORK = {"start", "count", "severity", "error", "warning", "end"}
"""Nodes of the audit that call no function."""


async def test_a_run_that_a_program_without_runline_starts_is_decided_again_as_it_was(broker: str) -> None:
    location = await new_location(broker, 2)
    async with EngineService.open(str(location), answer.registry) as engine:
        await engine.publish_workflow(ROOT / "examples" / "example.yaml")
        context = json.dumps({"input": {"prompt": "Who?", "user_id": 7}})
        words = [str(ROOT / "examples" / "start_run.py"), location.brokers, location.prefix, "example", context]
        done = await run_program([sys.executable, *words])
        assert done.code == 0, done
    log = await KafkaLog.open(location)
    try:
        report = await replay_decisions(log)
    finally:
        await log.close()
    assert report.same, report.differences
    assert (report.runs, report.taken_over) == (1, {COMMAND: 1, OUTCOME: 1})
