"""Recorded histories: every version folds them to what they came to, and says where it would decide otherwise."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import EngineService, WorkflowDefinition
from engine.context.values import WireObject
from engine.core import rejection
from engine.core.state import RunStatus
from engine.core.upcasters import UPCASTERS, types_of_today
from engine.core.view import View
from engine.executor.beginning import begin
from engine.history import read_history
from engine.log.port import EVENTS, REJECTIONS, WORKFLOWS
from engine.nodes.node_type import Done, Step
from engine.nodes.switch import Switch, SwitchConfiguration
from engine.workflow.definition import NodeDefinition
from projections.runs import ROWS_FAMILY
from tests.histories.__main__ import main
from tests.histories.comparing import compared
from tests.histories.functions import Gate, registry
from tests.histories.history import RECORDED, Family, History, Placed, embedded, load, names, read_log, save, simulated
from tests.histories.scenarios import SCENARIOS
from tests.histories.showing import Shown, show
from tests.support.engines import QuickClock

SECONDS = 60.0
BYTES_MAX = 1_000_000
"""Bytes of all histories together: they are copied with the repository, for ever."""

histories = pytest.mark.parametrize("name", names())


@histories
async def test_a_history_comes_to_what_it_came_to(name: str, tmp_path: Path) -> None:
    history = load(name)
    log = simulated(history)
    assert await read_log(log) == history.records
    assert compared(history, await show(log, tmp_path, registry())) == []


@histories
async def test_a_history_comes_to_the_same_from_a_directory(name: str, tmp_path: Path) -> None:
    history = load(name)
    log = await embedded(history, tmp_path / "log")
    try:
        assert await read_log(log) == history.records
        assert compared(history, await show(log, tmp_path, registry())) == []
    finally:
        await log.close()


@histories
async def test_whoever_begins_in_the_middle_of_a_history_knows_what_the_whole_says(name: str) -> None:
    history = load(name)
    log = simulated(history)
    for number in range(log.partitions):
        records, whole = log.partition(EVENTS, number).records, View()
        for record in records:
            whole.fold(record)
        begun = (await begin(log, number)).view
        # The beginning of a partition is read where it has no checkpoint.
        assert (begun.position > 0) == (name == "checkpoints")
        for record in records[begun.position :]:
            begun.fold(record)
        assert (begun.runs, begun.epoch, begun.checkpoint) == (whole.runs, whole.epoch, whole.checkpoint)
        assert begun.ended.items() <= whole.ended.items()


@histories
async def test_an_engine_of_today_ends_the_runs_that_a_history_left_open(name: str) -> None:
    history, gate = load(name), Gate()
    log = simulated(history)
    gate.open.set()
    before = {run_id: await read_history(log, run_id) for run_id in runs_of(history)}
    async with asyncio.timeout(SECONDS), EngineService.open(log, registry(gate), clock=QuickClock()) as service:
        for run_id, commits in before.items():
            if commits[-1].after.status is RunStatus.RUNNING:
                assert (await service.wait_for_workflow_run(run_id)).run_status is RunStatus.SUCCESS
    for run_id, commits in before.items():
        after = await read_history(log, run_id)
        assert after[: len(commits)] == commits
        assert (len(after) > len(commits)) == (commits[-1].after.status is RunStatus.RUNNING)


def runs_of(history: History) -> list[str]:
    return list(dict.fromkeys(each.record.key for each in history.records if "prev" in each.record.headers))


def records_of(topic: str) -> list[Placed]:
    return [each for name in names() for each in load(name).records if each.topic == topic]


def test_everything_that_can_be_recorded_is() -> None:
    assert SCENARIOS.keys() <= set(names())
    assert all(history.about.title and history.about.recorded["by"] for history in map(load, names()))
    headers = [each.record.headers for each in records_of(EVENTS)]
    types = {each for header in headers for each in header.get("types", "").split(",") if each}
    # Whoever gives an event its next version, records a log with the one before.
    assert types == {*types_of_today(), *UPCASTERS.earlier}
    codes = {each.record.headers["code"] for each in records_of(REJECTIONS)}
    assert codes == set(ALL_CODES) - NOT_RECORDED
    kinds = {node.type for name in names() for node in nodes_of(load(name))}
    assert kinds == {node_type.name for node_type in registry().node_types}


NOT_RECORDED = {rejection.OVERSIZED, rejection.RUN_UNREADABLE}
"""The one would be too large, and a later version may read what this one cannot."""
ALL_CODES = {value for name, value in vars(rejection).items() if name.isupper() and isinstance(value, str)}


def nodes_of(history: History) -> Iterator[NodeDefinition]:
    for each in history.records:
        if each.topic == WORKFLOWS:
            yield from WorkflowDefinition.from_canonical(each.record.value).nodes


def test_all_histories_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in RECORDED.rglob("*")) < BYTES_MAX


def test_a_history_that_is_written_and_read_again_is_the_same(tmp_path: Path) -> None:
    for name in names():
        history = load(name)
        save(history, tmp_path)
        assert load(name, tmp_path) == history
        for file in (RECORDED / name).iterdir():
            assert (tmp_path / name / file.name).read_bytes() == file.read_bytes()


def test_what_is_recorded_is_never_recorded_again_and_what_cannot_be_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in RECORDED.rglob("*")}
    monkeypatch.setattr("sys.argv", ["-", "record", "parts"])
    assert main() == 2
    assert "parts is recorded already, and stays as it is" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["-", "record", "nothing-of-the-kind"])
    assert main() == 2
    assert "expected one of answer," in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in RECORDED.rglob("*")}


def test_a_log_in_a_directory_can_be_recorded_and_its_differences_are_to_be_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load("parts")
    asyncio.run(_keep(before, tmp_path / "log"))
    monkeypatch.setattr("tests.histories.__main__.save", lambda history: save(history, tmp_path))
    monkeypatch.setattr("sys.argv", ["-", "record", "copy", "--from", str(tmp_path / "log"), "--title", "A copy"])
    assert main() == 0
    history = load("copy", tmp_path)
    assert (history.records, history.views) == (before.records, before.views)
    assert history.about.families == before.about.families
    assert history.about.decisions.differences.keys() == before.about.decisions.differences.keys()
    differences = compared(history, asyncio.run(_shown(history, tmp_path)))
    assert len(differences) == 2
    assert all(each.startswith("decided otherwise, and no reason is given: ") for each in differences)


async def _keep(history: History, directory: Path) -> None:
    await (await embedded(history, directory)).close()


async def _shown(history: History, directory: Path) -> Shown:
    return await show(simulated(history), directory, registry())


# That differences are found.


async def test_whatever_comes_to_something_else_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = load("parts")
    shown = await _shown(history, tmp_path / "before")
    assert compared(history, shown) == []
    family = ROWS_FAMILY
    other = Family(shown.families[family].version, 0, "")
    changed = {
        "views, line 2: was ": shown._replace(views=[shown.views[0], "{}", *shown.views[2:]]),
        f"views, line {len(shown.views)}: was ": shown._replace(views=shown.views[:-1]),
        f"rows of {family}: were ": shown._replace(families={**shown.families, family: other}),
        "the audit finds: run_stuck was 0, and is 1": shown._replace(violations={"run_stuck": 1}),
    }
    for text, each in changed.items():
        (found,) = compared(history, each)
        assert found.startswith(text)
    # Rows are those of a version of their projection.
    later = shown._replace(families={**shown.families, family: other._replace(version=99)})
    assert compared(history, later) == []
    # With the limit of those days, nothing is decided otherwise.
    monkeypatch.setattr("engine.core.decide.COMMIT_EVENTS_MAX", 6)
    listed = compared(history, await _shown(history, tmp_path / "limit"))
    assert len(listed) == 2
    assert all(each.startswith("listed as decided otherwise, but is not: ") for each in listed)


async def test_a_decision_that_changes_is_named_unless_it_is_listed_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide(_: Switch, configuration: SwitchConfiguration, __: WireObject) -> Step:
        return Done(output=configuration.default)

    monkeypatch.setattr(Switch, "decide", decide)
    history = load("first-evening")
    shown = await _shown(history, tmp_path)
    found = compared(history, shown)
    assert found
    assert all("decided otherwise, and not listed: run" in each for each in found)
    reasons = {each.event_id: "switches go the default way now" for each in shown.decisions.differences}
    decisions = replace(history.about.decisions, differences=reasons)
    assert compared(replace(history, about=replace(history.about, decisions=decisions)), shown) == []
