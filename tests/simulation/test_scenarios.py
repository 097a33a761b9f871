"""What random faults seldom reach, staged: checkpoints that are cut, fences that come late, copies that come back."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random

import pytest

from engine import EngineService, RunStatus
from engine.core.commands import StartRun, encode
from engine.core.records import FENCE, PART, fence_record, read_part
from engine.core.view import View
from engine.executor.beginning import begin
from engine.limits import WINDOW_SECONDS
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, LogRecord, Record
from tests.checkers import check_runs
from tests.simulation.ledger import Ledger
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import in_simulation, until
from tests.simulation.ports import SimulatedClock, SimulatedIds
from tests.support.workflows import END, chain, code

WORKFLOW = chain(code("a", "step"), END)


class Stage:
    """One partition, and engines on it."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(asyncio.get_running_loop())
        self.ids = SimulatedIds(Random(1), self.clock)
        self.log = SimulatedLog(1, self.clock.seconds)
        self.ledger = Ledger(Random(2))
        self._begun = 0

    @asynccontextmanager
    async def engine(self, log: SimulatedLog | None = None) -> AsyncIterator[EngineService]:
        self._begun += 1
        functions = self.ledger.registry(f"engine {self._begun}")
        made = EngineService.open(log or self.log.client(), functions, clock=self.clock, ids=self.ids)
        async with made as engine:
            await engine.publish_workflow(WORKFLOW)
            yield engine

    @property
    def events(self) -> list[LogRecord]:
        return self.log.partition(EVENTS, 0).records

    def count(self, kind: str) -> int:
        return sum(record.headers.get("ce_type") == kind for record in self.events)

    def again(self, record: LogRecord, topic: str = EVENTS) -> None:
        """Let a record land once more."""
        self.log.land(topic, 0, Record(record.key, record.value, record.headers))

    async def same_for_every_reader(self) -> View:
        """Compare readers that begin anywhere with the one from zero, and return that one's view."""
        whole = View()
        for place in range(len(self.events) + 1):
            if place:
                whole.fold(self.events[place - 1])
            view = (await begin(self.log.client(), 0, place)).view
            for record in self.events[view.position : place]:
                view.fold(record)
            assert (view.runs, view.epoch, view.ended) == (whole.runs, whole.epoch, whole.ended), place
        assert check_runs(self.events, [], self.ledger.effects) == []
        return whole


def staged(play: Callable[[Stage], Coroutine[None, None, None]]) -> None:
    """Play a scenario under different orders of what happens at once."""

    async def played() -> None:
        async with asyncio.timeout(600):
            await play(Stage())

    for seed in range(5):
        in_simulation(seed, played)


@pytest.fixture
def small_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let checkpoints come soon, in many parts."""
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_COMMANDS", 4)
    monkeypatch.setattr("engine.core.checkpoint.CHECKPOINT_PART_BYTES", 100)


async def create(engine: EngineService, count: int) -> list[str]:
    return [await engine.create_workflow_run("chain") for _ in range(count)]


def parts(stage: Stage) -> list[tuple[int, str, int, int]]:
    """Return offset, epoch, number and count of all parts."""
    found = [(record.offset, read_part(record.headers)) for record in stage.events if record.headers["ce_type"] == PART]
    return [(offset, part.epoch, part.part, part.parts) for offset, part in found if part is not None]


class SlowParts(SimulatedLog):
    """A client that keeps all parts of checkpoints but the first ones on their way until it is told to go on."""

    def __init__(self, log: SimulatedLog) -> None:
        super().__init__(log.partitions, log.clock)
        self._share_with(log)
        self.going = asyncio.Event()

    async def append(self, topic: str, partition: int, record: Record) -> int:
        if record.headers.get("ce_type") == PART and record.headers["part"] != "0":
            await self.going.wait()
        return await super().append(topic, partition, record)


@pytest.mark.usefixtures("small_checkpoints")
def test_a_checkpoint_that_a_fence_cuts_is_named_by_nobody_although_its_parts_go_on_landing() -> None:
    async def play(stage: Stage) -> None:
        zombie = SlowParts(stage.log)
        async with stage.engine(zombie) as first:
            await create(first, 6)
            await until(lambda: len(parts(stage)) == 1)
            async with stage.engine() as second:
                await create(second, 1)
                zombie.going.set()
                await until(lambda: len(parts(stage)) > 1)
                await create(second, 1)
        offset, epoch, _, count = parts(stage)[0]
        fence = next(record.offset for record in stage.events if record.offset > offset and _is_fence(record))
        assert sum(part[1] == epoch and part[0] < fence for part in parts(stage)) < count, "nothing was cut"
        assert str(offset) not in _named(stage)
        await stage.same_for_every_reader()

    staged(play)


def _is_fence(record: LogRecord) -> bool:
    return record.headers["ce_type"] == FENCE


def _named(stage: Stage) -> list[str]:
    return [record.headers["checkpoint"] for record in stage.events if record.headers["checkpoint"] != "none"]


@pytest.mark.usefixtures("small_checkpoints")
def test_the_last_record_is_a_zombies_that_names_an_older_checkpoint_and_beginning_there_is_exact() -> None:
    async def play(stage: Stage) -> None:
        zombie = stage.log.client()
        async with stage.engine(zombie) as first:
            runs = await create(first, 6)
            await until(lambda: len(parts(stage)) == parts(stage)[-1][3] if parts(stage) else False)
            await create(first, 1)
            zombie.hold()
            late = asyncio.create_task(first.cancel_workflow_run(runs[0]))
            await until(lambda: any(flight.topic == COMMANDS for flight in zombie.in_flight))
            zombie.release()
            await until(lambda: bool(zombie.in_flight) or late.done())
            zombie.hold()
            async with stage.engine() as second:
                await create(second, 8)
            zombie.release()
            await asyncio.gather(late, return_exceptions=True)
        await stage.same_for_every_reader()

    staged(play)


def test_an_own_fence_that_lands_twice_is_foreign_the_second_time_and_the_owner_fences_again() -> None:
    async def play(stage: Stage) -> None:
        async with stage.engine() as engine:
            (run_id,) = await create(engine, 1)
            own = next(record for record in stage.events if record.headers["ce_type"] == FENCE)
            stage.again(own)
            await until(lambda: stage.count(FENCE) == 3)
            nonces = [record.headers["nonce"] for record in stage.events if record.headers["ce_type"] == FENCE]
            assert nonces[0] == nonces[1] != nonces[2]
            run = await engine.start_workflow_run_and_wait(run_id)
            assert run.run_status is RunStatus.SUCCESS
        await stage.same_for_every_reader()

    staged(play)


def test_a_fence_whose_acknowledgement_was_lost_lands_behind_the_next_one_of_the_same_executor() -> None:
    async def play(stage: Stage) -> None:
        log = stage.log.client()
        async with stage.engine(log) as engine:
            (run_id,) = await create(engine, 1)
            executor = json.loads(next(record for record in stage.events if _is_fence(record)).value)["executor"]
            # The owner falls and sends a fence that is lost for now; it fences again and goes on.
            log.fail_next(EVENTS, 2, "lost")
            await engine.cancel_workflow_run((await create(engine, 1))[0])
            fences = stage.count(FENCE)
            late = fence_record("late", executor=executor, source="/runline", time=stage.clock.now(), checkpoint="none")
            stage.log.land(EVENTS, 0, late)
            await until(lambda: stage.count(FENCE) >= fences + 2)
            run = await engine.start_workflow_run_and_wait(run_id)
            assert run.run_status is RunStatus.SUCCESS
        await stage.same_for_every_reader()

    staged(play)


@pytest.mark.usefixtures("small_checkpoints")
def test_whoever_begins_while_another_one_takes_the_partition_over_gets_it_or_goes_on_behind() -> None:
    async def play(stage: Stage) -> None:
        async with stage.engine() as engine:
            runs = await create(engine, 5)
        async with stage.engine() as one, stage.engine() as other:
            for number, run_id in enumerate(runs):
                await (one, other)[number % 2].start_workflow_run_and_notify(run_id)
            for run_id in runs:
                async with asyncio.timeout(500):
                    # On a log for one process it may be the other one that hears of the end.
                    while (await one.get_run(run_id)).run_status is not RunStatus.SUCCESS:  # noqa: ASYNC110 - time is simulated
                        await asyncio.sleep(0.5)
        view = await stage.same_for_every_reader()
        assert view.ended.keys() == set(runs)

    staged(play)


@pytest.mark.usefixtures("small_checkpoints")
def test_a_late_copy_of_a_first_commit_does_not_revive_a_run_whose_id_was_forgotten() -> None:
    async def play(stage: Stage) -> None:
        async with stage.engine() as engine:
            run = await engine.run_workflow("chain")
            first = next(record for record in stage.events if record.key == run.run_id)
            stage.clock.jump(WINDOW_SECONDS * 3)
            await create(engine, 12)
            await until(lambda: any(part[2] == part[3] - 1 for part in parts(stage)))
            await create(engine, 6)
            before = len(stage.events)
            # In its own epoch, as an idempotent producer would never let it.
            stage.again(first)
            await create(engine, 6)
        view = await stage.same_for_every_reader()
        assert run.run_id not in view.ended, "it is still remembered, so nothing is shown"
        assert run.run_id not in view.runs
        assert before < len(stage.events)

    staged(play)


def test_a_refused_command_that_is_delivered_again_is_refused_once_more_or_recognised_and_never_applied() -> None:
    async def play(stage: Stage) -> None:
        async with stage.engine() as engine:
            (run_id,) = await create(engine, 1)
            # It has another workflow than the run: refused by the open run.
            wrong = StartRun(id="wrong", run=run_id, workflow="another")
            stage.log.land(COMMANDS, 0, Record(run_id, encode(wrong), {}))
            rejections = stage.log.partition(REJECTIONS, 0).records
            await until(lambda: len(rejections) == 1)
            stage.again(stage.log.partition(COMMANDS, 0).records[-1], COMMANDS)
        async with stage.engine() as engine:
            await until(lambda: len(rejections) == 2)
            run = await engine.start_workflow_run_and_wait(run_id)
            assert run.run_status is RunStatus.SUCCESS
            # The same again, when the run has ended.
            stage.again(stage.log.partition(COMMANDS, 0).records[-2], COMMANDS)
            await until(lambda: len(rejections) == 3)
        assert {record.headers["causationid"] for record in rejections} == {"wrong"}
        await stage.same_for_every_reader()

    staged(play)


@pytest.mark.usefixtures("small_checkpoints")
def test_the_clock_of_a_checkpoint_is_that_of_the_commands_below_it_and_a_takeover_goes_on_from_there() -> None:
    async def play(stage: Stage) -> None:
        async with stage.engine() as engine:
            run_id = stage.ids.run_id()
            stage.clock.jump(WINDOW_SECONDS * 2)
            await create(engine, 8)
            await until(lambda: bool(parts(stage)))
        # The brokers' time steps back: what was too old must stay too old for the next owner.
        stage.clock.jump(-WINDOW_SECONDS * 2)
        stale = StartRun(id="stale", run=run_id, workflow="chain")
        stage.log.land(COMMANDS, 0, Record(run_id, encode(stale), {}))
        async with stage.engine():
            rejections = stage.log.partition(REJECTIONS, 0).records
            await until(lambda: len(rejections) == 1)
        assert rejections[0].headers["causationid"] == "stale"
        heading = [read_part(record.headers) for record in stage.events if record.headers["ce_type"] == PART][-1]
        assert heading is not None
        below = [record.timestamp for record in stage.log.partition(COMMANDS, 0).records[: heading.commands]]
        assert heading.clock == max(below)
        await stage.same_for_every_reader()

    staged(play)
