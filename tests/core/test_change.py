"""What callers are told of a commit names the commit, so that they can ask for something at least as fresh."""

from engine import EngineService, Run, Trace
from engine.change import changes_of
from engine.core.view import View
from engine.log.port import EVENTS
from engine.run import run_of
from tests.simulation.log import SimulatedLog
from tests.support.workflows import END, chain, code, registry


async def test_every_change_names_the_commit_that_made_it_and_not_the_one_before() -> None:
    log = SimulatedLog()
    async with EngineService.open(log, registry()) as service:
        await service.publish_workflow(chain(code("a", "add"), code("b", "add"), END, workflow_id="good"))
        await service.publish_workflow(chain(code("a", "add"), code("b", "fail"), END, workflow_id="bad"))
        ended = [await service.run_workflow(workflow, {"x": 1}) for workflow in ("good", "bad")]
        cancelled = await service.create_workflow_run("good")
        await service.cancel_workflow_run(cancelled)
        told = [*ended, await service.get_run(cancelled)]
        traces = [trace for run in told for trace in await service.get_traces(run.run_id)]
    view = View()
    accepted = [found for record in log.partition(EVENTS, 0).records if (found := view.fold(record)) is not None]
    assert any(len(commit.value["events"]) > 1 for commit in accepted)
    last: dict[str, Run | Trace] = {}
    for commit in accepted:
        assert run_of(commit.after).commit_id == commit.id
        for change in changes_of(commit):
            assert change.subject.commit_id == commit.id
            assert change.event_id.startswith(commit.id)
            subject = change.subject
            last[subject.run_id if isinstance(subject, Run) else subject.trace_id] = subject
    assert [last[run.run_id] for run in told] == told
    assert [last[trace.trace_id] for trace in traces] == traces
    assert [run.commit_id for run in told] == [
        [commit.id for commit in accepted if commit.after.run_id == run.run_id][-1] for run in told
    ]
