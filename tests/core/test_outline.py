"""An outline of a run says of the run itself what the whole fold says."""

import pytest

from engine import EngineService, RunStatus
from engine.core.outline import Outline
from engine.core.records import commit_id
from engine.core.view import View
from engine.errors import RunlineError
from engine.log.port import EVENTS, LogRecord
from engine.run import run_of
from tests.simulation.log import SimulatedLog
from tests.support.workflows import END, chain, code, registry


async def records_of_runs() -> list[LogRecord]:
    log = SimulatedLog()
    async with EngineService.open(log, registry()) as service:
        await service.publish_workflow(chain(code("a", "add"), code("b", "add"), END, workflow_id="good"))
        await service.publish_workflow(chain(code("a", "add"), code("b", "fail"), END, workflow_id="bad"))
        for workflow in ("good", "bad"):
            assert (await service.run_workflow(workflow, {"x": 1})).run_status.terminal
        await service.cancel_workflow_run(await service.create_workflow_run("good"), "no more")
    return log.partition(EVENTS, 0).records


async def test_an_outline_begun_anywhere_comes_to_the_same_end_as_the_whole_fold() -> None:
    records = await records_of_runs()
    view = View()
    accepted = [found for record in records if (found := view.fold(record)) is not None]
    runs = {found.after.run_id for found in accepted}
    assert {found.after.status for found in accepted if found.after.status.terminal} == {
        RunStatus.SUCCESS,
        RunStatus.FAILED,
        RunStatus.CANCELLED,
    }
    for run_id in runs:
        commits = [found for found in accepted if found.after.run_id == run_id]
        for begun in range(len(commits)):
            outline = Outline(None if begun == 0 else commits[begun - 1].after)
            told = [outline.accept(records[found.offset]) for found in commits[begun:]]
            assert outline.head == commits[-1].id
            assert outline.state is not None
            assert run_of(outline.state) == run_of(commits[-1].after)
            assert told[-1] is not None


async def test_commits_about_nodes_alone_are_followed_and_not_told() -> None:
    records = await records_of_runs()
    view = View()
    good = next(found for record in records if (found := view.fold(record)) is not None).after.run_id
    outline = Outline()
    told = [outline.accept(record) is not None for record in records if record.key == good]
    assert told == [True, False, True]


async def test_an_outline_skips_what_the_rule_skips() -> None:
    records = await records_of_runs()
    view = View()
    first = next(record for record in records if view.fold(record) is not None)
    outline = Outline()
    assert outline.accept(first._replace(value=first.value.replace(b'"x":1', b'"x":2'))) is None
    assert outline.accept(first._replace(headers={**first.headers, "prev": "else"})) is None
    assert outline.accept(first) is not None
    assert outline.accept(first) is None


async def test_a_commit_from_a_newer_version_is_told_as_an_error() -> None:
    records = await records_of_runs()
    view = View()
    first = next(record for record in records if view.fold(record) is not None)
    value = first.value.replace(b"run.created", b"run.imagined")
    headers = {**first.headers, "ce_id": commit_id("genesis", first.headers["epoch"], value)}
    with pytest.raises(RunlineError, match=r"run.imagined"):
        Outline().accept(first._replace(value=value, headers=headers))
