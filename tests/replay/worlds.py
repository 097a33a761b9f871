"""Logs and views to replay."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from engine import Call, ContextObject, EngineService, Registry
from engine.errors import LogError
from engine.log.port import Log, LogRecord
from engine.ports import SystemIds
from engine.store.rocks import RocksStore
from projections import VIEWS
from projections.directory import ViewsDirectory
from projections.replay import ReplayReport
from tests.decisions.test_replay import Hours
from tests.projections.folding import families, fold
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock
from tests.support.workflows import END, chain, code, registry

SECONDS = 60


class BreakingLog(SimulatedLog):
    """A log that cannot be read any more after some reads."""

    reads_left = -1

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        """Read, or fail."""
        if self.reads_left == 0:
            raise LogError("planted: the log went away.")
        self.reads_left -= 1
        return await super().read(topic, partition, offset, count)


def breaking(log: SimulatedLog) -> BreakingLog:
    """Return a log with the same records that can go away."""
    other = BreakingLog(log.partitions)
    other.__dict__.update(log.__dict__)
    return other


def hanging(begun: asyncio.Event) -> Registry:
    """Return a registry with a function that goes on until its process ends."""
    made = registry()

    @made.node("hang")
    async def hang(context: ContextObject, call: Call) -> None:
        del context, call
        begun.set()
        await asyncio.Event().wait()

    return made


async def full_log(log: Log, clock: Hours | QuickClock | None = None) -> dict[str, str]:
    """Write runs of every kind; return their ids by what is special about them."""
    clock = clock or QuickClock()
    runs: dict[str, str] = {}
    begun = asyncio.Event()
    async with EngineService.open(log, hanging(begun), clock=clock, ids=SystemIds(clock)) as service:
        for name, function in (("chain", "add"), ("failing", "fail"), ("hanging", "hang")):
            await service.publish_workflow(chain(code("a", function), END, workflow_id=name))
        for name in ("chain", "failing"):
            runs[name] = (await service.run_workflow(name, tags=["a tag", "b"], timeout=SECONDS)).run_id
        for name in ("chain", "hanging", "chain"):
            run_id = await service.create_workflow_run(name, tags=["b"])
            runs["hanging" if name == "hanging" else "cancelled" if "created" in runs else "created"] = run_id
        await service.cancel_workflow_run(runs["cancelled"], "enough")
        await service.start_workflow_run_and_notify(runs["hanging"])
        await begun.wait()
    return runs


async def folded_log(log: Log, path: Path) -> dict[str, str]:
    """Write runs of every kind, and fold them; return their ids by what is special about them."""
    runs = await full_log(log)
    await fold(log, path)
    return runs


def change(path: Path, family: str, key: bytes, value: bytes | None) -> None:
    """Set or remove a row of views that nobody folds."""
    entry = ViewsDirectory(path, VIEWS).complete()
    assert entry is not None
    store = RocksStore.open(path / entry.store, families(VIEWS), together=True)
    batch = store.batch()
    if value is None:
        batch.delete(family, key)
    else:
        batch.put(family, key, value)
    store.write(batch)
    store.close()


def essence(report: ReplayReport) -> object:
    """Return all that a replay found, to be compared."""
    views = report.views
    partitions = [(each.position, each.trouble) for each in views.partitions]
    return views.why_not, partitions, views.rows, report.decisions


def differences(report: ReplayReport) -> list[tuple[str, str, str | None]]:
    """Return which rows differ, how, and of which run they are."""
    return [(each.family, each.kind.value, each.run_id) for each in report.views.rows.differences]
