"""An unclean election takes records away between two reads: nobody may loop for ever, or fall over it."""

import asyncio
from collections.abc import Sequence

import pytest

from engine import EngineService, RunStatus
from engine.core.records import COMMIT, FENCE, PART, fence_record
from engine.executor.beginning import begin
from engine.log.port import EVENTS, Ends, LogRecord, Record
from tests.simulation.log import SimulatedLog, SimulatedReader
from tests.simulation.loop import in_simulation
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


class Slow(SimulatedReader):
    """Hands out parts of checkpoints late."""

    async def next(self) -> Sequence[LogRecord]:
        records = await super().next()
        if any(record.headers.get("ce_type") == PART for record in records):
            await asyncio.sleep(0.01)
        return records


class WatchingParts(SimulatedLog):
    """A client that notes, at each last part of a checkpoint, where the part before is and how far it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.service: EngineService | None = None
        self.seen: list[tuple[int, int]] = []
        self._part = -1

    def reader(self, topic: str, partition: int, offset: int) -> SimulatedReader:
        return Slow(self, topic, partition, offset, 0)

    async def append(self, topic: str, partition: int, record: Record) -> int:
        headers = record.headers
        if headers.get("ce_type") == PART and int(headers["part"]) + 1 == int(headers["parts"]):
            assert self.service is not None
            assert self.service._executor is not None
            term = self.service._executor._partitions[0]._term
            assert term is not None
            self.seen.append((self._part, term.view.position))
        offset = await super().append(topic, partition, record)
        if headers.get("ce_type") == PART:
            self._part = offset
        return offset


def test_no_checkpoint_is_complete_before_its_owner_has_read_what_stands_before_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_COMMANDS", 1)

    async def play() -> None:
        log = WatchingParts()
        async with EngineService.open(log, registry()) as log.service:
            await log.service.publish_workflow(chain(code("a", "add"), END))
            for _ in range(20):
                await log.service.run_workflow("chain")
            await until(lambda: len(log.seen) > 5)
        assert all(position > part for part, position in log.seen), log.seen

    in_simulation(1, play)


class LosingFences(SimulatedLog):
    """A client whose second fence is acknowledged, and then lost by the brokers."""

    def __init__(self, log: SimulatedLog) -> None:
        super().__init__(log.partitions, log.clock)
        self._share_with(log)
        self.fences = 0

    async def append(self, topic: str, partition: int, record: Record) -> int:
        offset = await super().append(topic, partition, record)
        if record.headers.get("ce_type") == FENCE:
            self.fences += 1
            if self.fences == 2:
                self.truncate_from(EVENTS, partition, offset)
        return offset


def test_an_owner_whose_acknowledged_fence_is_lost_fences_again() -> None:
    async def play() -> None:
        log = LosingFences(SimulatedLog())
        async with asyncio.timeout(600):
            async with EngineService.open(log, registry()) as engine:
                await engine.publish_workflow(chain(code("a", "add"), END))
                foreign = fence_record(
                    "nonce", executor="x", source="/x", time="2026-01-01T00:00:00Z", checkpoint="none"
                )
                log.land(EVENTS, 0, foreign)
                assert (await engine.run_workflow("chain")).run_status is RunStatus.SUCCESS
        assert log.fences == 3

    for seed in range(3):
        in_simulation(seed, play)


class LosingCommits(SimulatedLog):
    """A client whose third commit lands, and is lost by the brokers before anybody has read it."""

    def __init__(self, log: SimulatedLog) -> None:
        super().__init__(log.partitions, log.clock)
        self._share_with(log)
        self.commits = 0

    def land(self, topic: str, partition: int, record: Record) -> int:
        offset = super().land(topic, partition, record)
        if record.headers.get("ce_type") == COMMIT:
            self.commits += 1
            if self.commits == 3:
                self.truncate_from(EVENTS, partition, offset)
        return offset


def test_an_owner_whose_commit_is_lost_before_it_was_read_does_not_wait_for_it_for_ever() -> None:
    async def play() -> None:
        log = LosingCommits(SimulatedLog())
        async with asyncio.timeout(600):
            async with EngineService.open(log, registry()) as engine:
                await engine.publish_workflow(chain(code("a", "add"), code("b", "add"), END))
                assert (await engine.run_workflow("chain")).run_status is RunStatus.SUCCESS
        assert log.commits > 3

    for seed in range(3):
        in_simulation(seed, play)


class LosingEnds(SimulatedLog):
    """A client of a log that loses what its end was when somebody has just asked for it."""

    def __init__(self, log: SimulatedLog) -> None:
        super().__init__(log.partitions, log.clock, shared=True)
        self._share_with(log)
        self.loses = False

    async def ends(self, topic: str, partition: int) -> Ends:
        ends = await super().ends(topic, partition)
        if topic == EVENTS and self.loses:
            self.loses = False
            self.truncate_from(EVENTS, partition, ends.end - 1)
        return ends


def test_waiters_begin_anew_when_the_end_that_they_read_up_to_is_lost() -> None:
    async def play() -> None:
        log = SimulatedLog(shared=True)
        client = LosingEnds(log)
        async with EngineService.open(log.client(), registry()) as engine:
            await engine.publish_workflow(chain(code("a", "add"), END))
            run = await engine.run_workflow("chain")
            await engine.create_workflow_run("chain")
            client.loses = True
        async with asyncio.timeout(600), EngineService.open(client, executor=False) as waiting:
            assert await waiting.wait_for_workflow_run(run.run_id) == run
        assert not client.loses

    for seed in range(3):
        in_simulation(seed, play)
