import time
from collections.abc import Sequence
from itertools import count

from engine import EngineService, WorkflowDefinition
from engine.context.values import WireObject
from engine.core.state import RunStatus
from engine.log.port import LogRecord
from projections.run_list import list_runs
from tests.simulation.log import SimulatedLog
from tests.support.workflows import END, chain, code, registry

EMPTY: WireObject = {}


class CountingLog(SimulatedLog):
    """Counts the records that are read by offset."""

    count = 0

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        records = await super().read(topic, partition, offset, count)
        self.count += len(records)
        return records


def stepping_log(partitions: int) -> SimulatedLog:
    """Return a log whose clock moves with every record, so that partitions can be told apart in time."""
    ticks, begin = count(), time.time()
    return SimulatedLog(partitions=partitions, clock=lambda: begin + next(ticks) / 100)


def workflow(workflow_id: str) -> WorkflowDefinition:
    return chain(END, workflow_id=workflow_id)


async def test_the_most_recently_active_run_comes_first() -> None:
    log = stepping_log(3)
    async with EngineService.open(log) as engine:
        await engine.publish_workflow(workflow("w"))
        created = [await engine.create_workflow_run("w") for _ in range(8)]
        started = [created[number] for number in (5, 0, 3)]
        for run_id in started:
            await engine.start_workflow_run_and_wait(run_id)
        found = await list_runs(log, limit=100)
        assert [run.run_id for run in found[:3]] == started[::-1]
        assert [run.run_id for run in found[3:]] == [run_id for run_id in created[::-1] if run_id not in started]
        assert [run.run_status for run in found[:4]] == [RunStatus.SUCCESS] * 3 + [RunStatus.CREATED]
        assert found[0] == await engine.get_run(started[-1])


async def test_filters_and_the_limit_count_what_is_found() -> None:
    log = stepping_log(2)
    async with EngineService.open(log) as engine:
        for name in ("v", "w"):
            await engine.publish_workflow(workflow(name))
        ended = [(await engine.run_workflow(name)).run_id for name in ("v", "w", "v", "w")]
        created = await engine.create_workflow_run("v")
        assert [run.run_id for run in await list_runs(log, limit=9, workflow="v")] == [created, ended[2], ended[0]]
        assert [run.run_id for run in await list_runs(log, limit=1, workflow="w")] == [ended[3]]
        both = await list_runs(log, limit=2, status=RunStatus.SUCCESS)
        assert [run.run_id for run in both] == [ended[3], ended[2]]
        created_runs = await list_runs(log, limit=9, status=RunStatus.CREATED, workflow="w")
        assert created_runs == []
        assert await list_runs(log, limit=0) == []


async def test_a_list_reads_no_more_of_the_log_than_it_needs() -> None:
    log = CountingLog(partitions=1)
    async with EngineService.open(log) as engine:
        await engine.publish_workflow(workflow("w"))
        for _ in range(400):
            await engine.create_workflow_run("w")
        log.count = 0
        assert len(await list_runs(log, limit=3)) == 3
        assert log.count <= 256
        log.count = 0
        assert len(await list_runs(log, limit=1000)) == 400
        assert log.count >= 400


async def test_an_empty_log_has_no_runs() -> None:
    assert await list_runs(SimulatedLog(partitions=4), limit=10) == []


async def test_a_failed_run_is_listed_with_its_error() -> None:
    log = SimulatedLog(partitions=1)
    async with EngineService.open(log, registry()) as engine:
        await engine.publish_workflow(chain(code("c", "fail"), END, workflow_id="f"))
        await engine.run_workflow("f", EMPTY)
        (run,) = await list_runs(log, limit=5)
    assert run.run_status is RunStatus.FAILED
    assert run.error is not None
    assert run.error.node_id == "c"
