"""Runs on simulated logs, and commits that nobody has decided."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Sequence

import orjson

from engine import EngineService
from engine.core.records import Heading, commit_record, commit_value
from engine.core.state import GENESIS
from engine.core.view import View
from engine.log.partitioner import partition_of
from engine.log.port import EVENTS, Log
from engine.ports import SystemClock, SystemIds
from projections import Projector
from tests.simulation.log import SimulatedLog
from tests.support.workflows import END, chain, code, registry

TIME = "2026-01-01T00:00:00.000000Z"
SECONDS = 60
ids = SystemIds(SystemClock())


async def make_runs(log: Log, count: int) -> list[str]:
    """Let an engine create so many runs, at least two in each partition, and start most of them; return their ids."""
    async with EngineService.open(log, registry()) as engine:
        await engine.publish_workflow(chain(code("a", "add"), code("b", "add"), END, workflow_id="w"))
        await engine.publish_workflow(chain(code("a", "fail"), END, workflow_id="v"))
        runs: list[str] = []
        for number in itertools.count():
            places = Counter(partition_of(run, log.partitions) for run in runs)
            if number >= count and all(places[each] > 1 for each in range(log.partitions)):
                break
            runs.append(await engine.create_workflow_run("v" if number % 5 == 4 else "w"))
            if number % 3:
                await engine.start_workflow_run_and_wait(runs[-1])
    return runs


def run_in(partition: int, partitions: int) -> str:
    """Return the id of a new run that lives there."""
    while partition_of(run_id := ids.run_id(), partitions) != partition:
        pass
    return run_id


def view_of(log: SimulatedLog, partition: int) -> View:
    """Return the fold of a partition as it is now."""
    view = View()
    for record in log.partition(EVENTS, partition).records:
        view.fold(record)
    return view


def forge(log: SimulatedLog, run_id: str, events: Sequence[dict[str, object]], time: str = TIME) -> int:
    """Land a commit that counts, whatever its events are; return its offset."""
    partition = partition_of(run_id, log.partitions)
    view = view_of(log, partition)
    before = view.runs.get(run_id)
    assert view.epoch is not None
    return _land(log, partition, run_id, events, GENESIS if before is None else before.head, view.epoch, time)


def forge_runs(log: SimulatedLog, count: int, events: Sequence[dict[str, object]], time: str = TIME) -> None:
    """Land the first commits of new runs in a log with one partition."""
    epoch = view_of(log, 0).epoch
    assert epoch is not None
    for _ in range(count):
        _land(log, 0, ids.run_id(), events, GENESIS, epoch, time)


def _land(  # noqa: PLR0917 - what a commit consists of
    log: SimulatedLog,
    partition: int,
    run_id: str,
    events: Sequence[dict[str, object]],
    prev: str,
    epoch: str,
    time: str,
) -> int:
    record = commit_record(
        commit_value(run_id, time, None, [orjson.dumps(event) for event in events]),
        run_id=run_id,
        time=time,
        decided=None,
        prev=prev,
        epoch=epoch,
        types=",".join(str(event["type"]) for event in events),
        causation="",
        heading=Heading("/elsewhere", run_id, "", "none"),
    )
    return log.land(EVENTS, partition, record)


def created(workflow: str = "w") -> dict[str, object]:
    """Return the first event of a run."""
    return {"type": "run.created", "workflow": workflow, "version": "1", "correlation": "c", "command": "c"}


async def moved_until(projector: Projector, condition: Callable[[], bool]) -> None:
    """Wait until a projector has come so far."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await projector.moved()
