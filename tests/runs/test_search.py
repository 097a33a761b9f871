"""Looking for runs in what lies before: in few passes for many, rightly, and leaving nothing behind."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import orjson
import pytest

import engine.executor.checkpointer
from engine import EngineService, RunStatus
from engine.core.commands import StartRun
from engine.core.identity import make_run_id
from engine.core.records import FENCE, commit_id, fence_epoch
from engine.core.view import Accepted
from engine.errors import ClosedError, LogDamagedError, LogError, RunlineError, RunNotFoundError, WaitTimeoutError
from engine.executor.beginning import begin
from engine.limits import SEARCH_RECORDS
from engine.log.errors import LogDeniedError, LogUnreachableError, OffsetOutOfRangeError, PlaceUnknownError
from engine.log.port import EVENTS, LogRecord, Record
from engine.runs import SharedRuns
from engine.runs.search import Search, Sought
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock, until
from tests.support.workflows import END, chain, code, registry

SECONDS = 60
MANY = 600
PASSES_MAX = 3
"""From the last checkpoint, through times near to the youngest, and through older ones."""
CHECKPOINT_BYTES = 50_000


class CountingLog(SimulatedLog):
    """A client that counts what is read of events, and can be made to fail or to keep readers waiting."""

    def __init__(self, records: SimulatedLog) -> None:
        super().__init__(records.partitions, shared=True)
        self._places = records._places
        self.read_records = 0
        self.open = asyncio.Event()
        self.open.set()
        self.failures: list[LogError] = []

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        await self.open.wait()
        if self.failures:
            raise self.failures.pop()
        records = await super().read(topic, partition, offset, count)
        self.read_records += len(records)
        return records


class World:
    """An executor, and a client that executes nothing."""

    def __init__(self, log: SimulatedLog, gate: asyncio.Event, executor: EngineService, client: EngineService) -> None:
        self.log = log
        self.gate = gate
        self.executor = executor
        self.client = client

    @property
    def reading(self) -> CountingLog:
        assert isinstance(self.client._log, CountingLog)
        return self.client._log

    @property
    def events(self) -> int:
        return sum(len(self.log.partition(EVENTS, number).records) for number in range(self.log.partitions))

    @property
    def runs(self) -> SharedRuns:
        assert isinstance(self.client._runs, SharedRuns)
        return self.client._runs

    async def ended(self, count: int) -> dict[str, int]:
        """Run so many runs to their end, each with a number of its own."""
        numbers = range(count)
        runs = await asyncio.gather(*(self.executor.run_workflow("chain", {"total": number}) for number in numbers))
        return dict(zip((run.run_id for run in runs), numbers, strict=True))

    async def created(self, workflow_id: str = "chain") -> str:
        return await self.executor.create_workflow_run(workflow_id)

    def nothing_is_left(self) -> None:
        assert len(self.client._waiters) == 0
        assert all(len(search) == 0 for search in self.runs._searches.values())
        assert not any(tail._followed for tail in self.runs._tails.values())


@asynccontextmanager
async def world(partitions: int = 2) -> AsyncIterator[World]:
    log = SimulatedLog(partitions, shared=True)
    functions, gate = registry(), asyncio.Event()

    @functions.node("gate")
    async def wait(_context: object, _call: object) -> None:
        await gate.wait()

    async with AsyncExitStack() as stack:
        executor = await stack.enter_async_context(EngineService.open(log.client(), functions, clock=QuickClock()))
        await executor.publish_workflow(chain(code("a", "add"), END))
        await executor.publish_workflow(chain(code("a", "gate"), END, workflow_id="gated"))
        reading = CountingLog(log)
        client = await stack.enter_async_context(EngineService.open(reading, executor=False, clock=QuickClock()))
        async with asyncio.timeout(SECONDS):
            yield World(log, gate, executor, client)


@pytest.fixture
def checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let checkpoints come much sooner than in use."""
    monkeypatch.setattr(engine.executor.checkpointer, "CHECKPOINT_BYTES_MIN", CHECKPOINT_BYTES)


async def test_many_who_wait_for_runs_of_the_past_share_few_passes_and_get_their_own_results() -> None:
    async with world() as at:
        numbers = await at.ended(MANY)
        going = [await at.created() for _ in range(MANY // 10)]
        run_ids = [*numbers, *going]
        random.Random(1).shuffle(run_ids)
        waiting = [asyncio.create_task(at.client.wait_for_workflow_run(run_id)) for run_id in run_ids]
        await until(lambda: sum(task.done() for task in waiting) == MANY)
        assert at.reading.read_records <= PASSES_MAX * at.events
        for number, run_id in enumerate(going, MANY):
            await at.executor.start_workflow_run_and_notify(run_id, {"total": number})
            numbers[run_id] = number
        runs = await asyncio.gather(*waiting)
        assert [run.run_id for run in runs] == run_ids
        assert [orjson.loads(run.output_context or "") for run in runs] == [
            {"total": numbers[run_id] + 1} for run_id in run_ids
        ]
        at.nothing_is_left()


@pytest.mark.usefixtures("checkpoints")
async def test_runs_that_ended_before_the_last_checkpoint_are_found_in_few_passes() -> None:
    async with world() as at:
        numbers = await at.ended(MANY)
        await at.ended(MANY)
        assert (await begin(at.log, 0)).view.position > 0, "a log without a checkpoint is searched as a whole"
        runs = await asyncio.gather(*(at.client.wait_for_workflow_run(run_id) for run_id in numbers))
        assert {run.run_id: orjson.loads(run.output_context or "")["total"] - 1 for run in runs} == numbers
        # Each look for a checkpoint reads what lies before its parts once more.
        assert at.reading.read_records <= 2 * PASSES_MAX * at.events
        at.nothing_is_left()


async def test_many_who_ask_how_runs_stand_share_passes_too() -> None:
    async with world() as at:
        numbers = await at.ended(MANY)
        runs = await asyncio.gather(*(at.client.get_run(run_id) for run_id in numbers))
        assert {run.run_id for run in runs} == numbers.keys()
        assert at.reading.read_records <= PASSES_MAX * at.events
        at.nothing_is_left()


@pytest.mark.usefixtures("checkpoints")
@pytest.mark.parametrize("minutes", [-30, 30])
async def test_a_run_is_found_whose_id_was_made_by_a_clock_that_is_half_an_hour_off(minutes: int) -> None:
    async with world(partitions=1) as at:
        run_id = make_run_id(int((time.time() + minutes * 60) * 1000), 1)
        version = at.executor._catalogue.newest("chain").version
        command = StartRun(id="off", run=run_id, workflow="chain", version=version, context={"total": 7})
        await at.executor._requests.ask(command, None, until_end=True)
        await at.ended(MANY)
        await at.ended(1)
        assert (await begin(at.log, 0)).view.position > 0, "a log without a checkpoint is searched as a whole"
        run = await at.client.wait_for_workflow_run(run_id)
        assert (run.run_status, run.output_context) == (RunStatus.SUCCESS, '{"total":8}')


async def test_ids_that_no_run_has_are_refused_after_one_pass() -> None:
    async with world() as at:
        await at.ended(MANY)
        unknown = [make_run_id(int(time.time() * 1000), number) for number in range(MANY)]
        calls = [at.client.wait_for_workflow_run(run_id) for run_id in unknown]
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in found} == {RunNotFoundError}
        assert at.reading.read_records <= PASSES_MAX * at.events
        at.nothing_is_left()


async def test_whoever_gives_up_during_a_pass_is_taken_out_of_it_and_without_anybody_it_ends() -> None:
    async with world(partitions=1) as at:
        numbers = await at.ended(MANY)
        await at.client.run_workflow("chain")
        before = asyncio.all_tasks()
        at.reading.open.clear()
        patient = asyncio.create_task(at.client.wait_for_workflow_run(next(iter(numbers))))
        cancelled = [asyncio.create_task(at.client.wait_for_workflow_run(run_id)) for run_id in numbers]
        timed_out = [asyncio.create_task(at.client.wait_for_workflow_run(run_id, timeout=0.01)) for run_id in numbers]
        await asyncio.gather(*timed_out, return_exceptions=True)
        for task in cancelled:
            task.cancel()
        await asyncio.gather(*cancelled, return_exceptions=True)
        assert {type(task.exception()) for task in timed_out} == {WaitTimeoutError}
        assert all(task.cancelled() for task in cancelled)
        (search,) = at.runs._searches.values()
        assert len(search) == len(at.client._waiters) == 1
        patient.cancel()
        await asyncio.gather(patient, return_exceptions=True)
        at.nothing_is_left()
        at.reading.open.set()
        read = at.reading.read_records
        await until(lambda: search._task is None)
        assert asyncio.all_tasks() == before
        assert at.reading.read_records <= read + 2 * SEARCH_RECORDS


async def test_what_is_asked_during_a_pass_waits_for_one_more() -> None:
    async with world(partitions=1) as at:
        numbers = iter((await at.ended(MANY)).items())
        await at.client.run_workflow("chain")
        at.reading.open.clear()
        first = asyncio.create_task(at.client.wait_for_workflow_run(next(numbers)[0]))
        await until(lambda: bool(at.runs._searches) and at.runs._searches[0]._pass is not None)
        later = [asyncio.create_task(at.client.wait_for_workflow_run(run_id)) for run_id, _ in numbers]
        await until(lambda: len(at.runs._searches[0]) == MANY)
        at.reading.open.set()
        await asyncio.gather(first, *later)
        assert at.reading.read_records <= 2 * PASSES_MAX * at.events
        at.nothing_is_left()


async def test_a_wait_outlasts_brokers_that_are_away_and_a_command_is_told() -> None:
    async with world(partitions=1) as at:
        (run_id,) = await at.ended(1)
        other = await at.created()
        third = await at.created("gated")
        at.reading.failures = [
            PlaceUnknownError("a broker that has just come back knows no topics"),
            OffsetOutOfRangeError("nor how far they go"),
            LogUnreachableError("no broker answers"),
            LogError("or whatever else the client calls it"),
        ]
        assert (await at.client.wait_for_workflow_run(run_id)).run_status is RunStatus.SUCCESS
        assert not at.reading.failures
        await at.executor.start_workflow_run_and_wait(other)
        at.reading.failures = [LogUnreachableError("no broker answers")]
        with pytest.raises(LogUnreachableError):
            await at.client.start_workflow_run_and_notify(other)
        at.reading.failures = [LogUnreachableError("no broker answers") for _ in range(100)]
        await at.executor.cancel_workflow_run(third)
        with pytest.raises(WaitTimeoutError):
            await at.client.wait_for_workflow_run(third, timeout=0.01)
        at.nothing_is_left()


async def test_several_who_wait_for_one_run_outlast_brokers_that_are_away() -> None:
    async with world() as at:
        (run_id,) = await at.ended(1)
        at.reading.failures = [LogUnreachableError("no broker answers") for _ in range(3)]
        runs = await asyncio.gather(*(at.client.wait_for_workflow_run(run_id) for _ in range(3)))
        assert {run.run_status for run in runs} == {RunStatus.SUCCESS}
        at.nothing_is_left()


@pytest.mark.parametrize("kind", [LogDamagedError, LogDeniedError])
async def test_a_log_that_cannot_be_read_is_an_error_for_all_who_wait_for_it_and_for_nobody_later(
    kind: type[LogError],
) -> None:
    async with world(partitions=1) as at:
        numbers = await at.ended(10)
        await at.client.run_workflow("chain")
        at.reading.failures = [kind("it cannot be read")]
        calls = [at.client.wait_for_workflow_run(run_id) for run_id in numbers]
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert {str(each) for each in found} == {"it cannot be read"}
        at.nothing_is_left()
        for run_id, number in numbers.items():
            run = await at.client.wait_for_workflow_run(run_id)
            assert orjson.loads(run.output_context or "") == {"total": number + 1}


async def test_whoever_looks_for_a_run_while_the_engine_closes_is_told() -> None:
    async with world(partitions=1) as at:
        numbers = await at.ended(10)
        await at.client.run_workflow("chain")
        at.reading.open.clear()
        calls = [asyncio.create_task(at.client.wait_for_workflow_run(run_id)) for run_id in numbers]
        calls += [asyncio.create_task(at.client.get_run(run_id)) for run_id in numbers]
        await until(lambda: sum(map(len, at.runs._searches.values())) == 2 * len(numbers))
        await at.client.__aexit__(None, None, None)
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in found} == {ClosedError}


async def test_a_tail_that_begins_anew_during_a_pass_lets_everybody_be_sought_again() -> None:
    async with world(partitions=1) as at:
        numbers = await at.ended(10)
        await at.client.run_workflow("chain")
        waited = await at.created("gated")
        await at.executor.start_workflow_run_and_notify(waited)
        waiting = asyncio.create_task(at.client.wait_for_workflow_run(waited))
        (tail,) = at.runs._tails.values()
        await until(lambda: waited in tail._followed and tail._followed[waited].sure)
        at.reading.open.clear()
        calls = [asyncio.create_task(at.client.wait_for_workflow_run(run_id)) for run_id in numbers]
        search = at.runs._searches[0]
        await until(lambda: len(search) == len(numbers))
        at.gate.set()
        await at.executor.wait_for_workflow_run(waited)
        tail._reader._position = 10**9  # type: ignore[attr-defined]  # as when the log was truncated
        tail._reader.wake()  # type: ignore[attr-defined]  # the same
        at.reading.open.set()
        runs = await asyncio.gather(*calls)
        assert {run.run_id: orjson.loads(run.output_context or "")["total"] - 1 for run in runs} == numbers
        assert (await waiting).run_status is RunStatus.SUCCESS
        at.nothing_is_left()


class Noting(Sought):
    """Notes what it hears."""

    __slots__ = ("heard",)

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id, whole=False)
        self.heard: list[str] = []

    def told(self, accepted: Accepted) -> None:
        self.heard.append(accepted.id)

    def known(self) -> None:
        self.heard.append("known")

    def failed(self, error: RunlineError) -> bool:
        raise error


async def test_whoever_begins_again_during_a_pass_hears_all_of_it_once_and_then_what_is_known() -> None:
    async with world(partitions=1) as at:
        numbers = await at.ended(2)
        search = Search(at.reading, 0)
        at.reading.open.clear()
        one, other = map(Noting, numbers)
        search.add(one)
        search.add(other)
        await until(lambda: search._pass is not None and len(search._pass) == 2)
        search.add(one)
        assert (len(search), len(search._waiting)) == (2, 1)
        at.reading.open.set()
        await until(lambda: search._task is None)
        for sought in (one, other):
            commits = [record for record in at.log.partition(EVENTS, 0).records if record.key == sought.run_id]
            assert sought.heard == [*(commit.headers["ce_id"] for commit in commits), "known"]
        await search.close()


@pytest.mark.usefixtures("checkpoints")
async def test_a_start_is_recognised_although_the_tail_missed_it_and_begins_behind_it() -> None:
    async with world(partitions=1) as at:
        run_id = await at.client.create_workflow_run("gated")
        at.reading.hold()
        starting = asyncio.create_task(at.client.start_workflow_run_and_wait(run_id, {"total": 1}))
        await until(lambda: bool(at.reading.in_flight))
        tail = at.runs._tails[0]
        at.reading.open.clear()
        tail._reader._position = 10**9  # type: ignore[attr-defined]  # as when the log was truncated
        tail._reader.wake()  # type: ignore[attr-defined]  # the same
        await until(lambda: not tail._ready.done())
        at.reading.release()
        await at.ended(MANY)
        await at.ended(1)
        assert run_id in (await begin(at.log, 0)).view.runs
        at.reading.open.set()
        await until(lambda: tail._beginnings == 2)
        at.gate.set()
        run = await starting
        assert (run.run_status, run.output_context) == (RunStatus.SUCCESS, '{"total":1}')


@pytest.mark.parametrize("when", ["before the wait", "during the pass", "after the pass"])
async def test_what_an_executor_that_was_replaced_says_of_an_end_is_no_answer(when: str) -> None:
    async with world(partitions=1) as at:
        await at.client.run_workflow("chain")
        run_id = await at.created("gated")
        partition = at.log.partition(EVENTS, 0)
        # Somebody else's run, ended; its last commit is told once more of this run, under an epoch that is over.
        (other,) = await at.ended(1)
        end = next(record for record in reversed(partition.records) if record.key == other)
        mine = next(record for record in partition.records if record.key == run_id)
        stale = next(record for record in partition.records if record.headers["ce_type"] == FENCE)
        assert mine.headers["epoch"] == fence_epoch(stale.offset, stale.headers)
        value = end.value.replace(other.encode(), run_id.encode())
        forged = _commit(run_id, value, end, prev=mine.headers["ce_id"], epoch="0:nobody")
        if when == "before the wait":
            at.log.land(EVENTS, 0, forged)
        at.reading.open.clear()
        waiting = asyncio.create_task(at.client.wait_for_workflow_run(run_id))
        if when == "during the pass":
            await until(lambda: len(at.runs._searches[0]) == 1)
            at.log.land(EVENTS, 0, forged)
        at.reading.open.set()
        await until(lambda: bool(at.runs._tails) and bool(at.runs._tails[0]._followed))
        (followed,) = at.runs._tails[0]._followed.values()
        await until(lambda: followed.sure)
        if when == "after the pass":
            at.log.land(EVENTS, 0, forged)
        await at.executor.start_workflow_run_and_notify(run_id)
        assert not waiting.done()
        at.gate.set()
        run = await waiting
        assert (run.run_status, run.output_context) == (RunStatus.SUCCESS, "{}")


def _commit(run_id: str, value: bytes, like: LogRecord, *, prev: str, epoch: str) -> Record:
    headers = {
        **like.headers,
        "ce_subject": run_id,
        "prev": prev,
        "epoch": epoch,
        "ce_id": commit_id(prev, epoch, value),
    }
    return Record(run_id, value, headers)
