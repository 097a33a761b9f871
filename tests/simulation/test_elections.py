"""An unclean election takes records away between two reads: nobody may loop for ever, or fall over it."""

import asyncio
from collections.abc import Sequence

import pytest

from engine import EngineService
from engine.executor.beginning import begin
from engine.log.port import EVENTS, LogRecord
from tests.simulation.log import SimulatedLog
from tests.simulation.world import Hearing
from tests.support.engines import QuickClock, until
from tests.support.workflows import END, chain, code, registry


class Losing(SimulatedLog):
    """A client during whose first read the partition loses its end."""

    def __init__(self, log: SimulatedLog, kept: int) -> None:
        super().__init__(log.partitions, log.clock)
        self._share_with(log)
        self._kept: int | None = kept

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        if topic == EVENTS and self._kept is not None:
            records = await super().read(topic, partition, offset, count)
            self.truncate_from(EVENTS, partition, self._kept)
            self._kept = None
            return [record for record in records if record.offset < self.partition(topic, partition).end]
        return await super().read(topic, partition, offset, count)


async def _log(monkeypatch: pytest.MonkeyPatch) -> SimulatedLog:
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_COMMANDS", 3)
    monkeypatch.setattr("engine.core.checkpoint.CHECKPOINT_PART_BYTES", 100)
    log = SimulatedLog()
    async with EngineService.open(log.client(), registry(), clock=QuickClock()) as engine:
        await engine.publish_workflow(chain(code("a", "add"), END))
        for _ in range(6):
            await engine.create_workflow_run("chain")
        parts = log.partition(EVENTS, 0).records
        await until(lambda: sum(record.headers["ce_type"] == "runline.checkpoint" for record in parts) > 3)
    return log


async def test_beginning_goes_further_back_when_the_checkpoint_loses_its_end_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = await _log(monkeypatch)
    records = log.partition(EVENTS, 0).records
    # Between the parts of the checkpoint that the last record names.
    named = max(int(record.headers["checkpoint"]) for record in records if record.headers["checkpoint"] != "none")
    found = await begin(Losing(log, named + 1), 0)
    whole = await begin(log.client(), 0)
    assert found.view.runs.keys() <= whole.view.runs.keys()
    assert found.view.position <= named


@pytest.mark.parametrize("lost", [1, 4])
async def test_a_progress_service_begins_at_an_end_that_is_lost_meanwhile(
    lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await _log(monkeypatch)
    hearing = Hearing()
    losing = Losing(log, log.partition(EVENTS, 0).end - lost)
    async with asyncio.timeout(60):
        async with EngineService.open(losing, registry(), progress_services=[hearing], clock=QuickClock()) as engine:
            run = await engine.run_workflow("chain")
    assert run.run_id in {getattr(heard, "run_id", "") for heard in hearing.heard}
