"""The owner of a partition: fences, reading back, trouble, takeover, checkpoints."""

import asyncio
from collections.abc import Callable

import pytest

from engine import Call, ContextObject, EngineService, Registry, RunStatus
from engine.core.records import Heading, commit_record
from engine.core.view import View
from engine.errors import LogDamagedError, LogError, RunEndedError, RunNotCreatedError, RunNotFoundError
from engine.executor import checkpointer
from engine.executor.beginning import begin
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, Record
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock, executor_of, until
from tests.support.workflows import END, chain, code

SECONDS = 20
"""How long a test waits for what must happen; far longer than it takes."""
NEVER = "01939d5c-0000-7000-8000-000000000001"


class Gate:
    """A node function that waits until it is let through, and remembers who came."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.open = asyncio.Event()

    async def __call__(self, context: ContextObject, call: Call) -> None:
        self.calls.append(call)
        await self.open.wait()
        context.set("done_by", call.attempt)


def gated(gate: Gate) -> Registry:
    made = Registry()
    made.node("gate")(gate)
    return made


def engine(log: SimulatedLog, registry: Registry) -> EngineService:
    return EngineService.open(log, registry, clock=QuickClock())


def kinds(log: SimulatedLog) -> list[str]:
    return [record.headers["ce_type"].removeprefix("runline.") for record in log.partition(EVENTS, 0).records]


def folded(log: SimulatedLog) -> View:
    view = View()
    for record in log.partition(EVENTS, 0).records:
        view.fold(record)
    return view


async def started(service: EngineService, gate: Gate, count: int = 1) -> list[str]:
    await service.publish_workflow(chain(code("a", "gate"), END))
    runs = []
    for _ in range(count):
        run_id = await service.create_workflow_run("chain")
        await service.start_workflow_run_and_notify(run_id)
        runs.append(run_id)
    await until(lambda: len(gate.calls) >= count)
    return runs


async def test_the_first_record_of_an_owner_is_its_fence() -> None:
    log = SimulatedLog()
    async with engine(log, Registry()):
        assert kinds(log) == ["fence"]


async def test_an_executor_that_gets_a_partition_back_at_once_ends_the_runs_that_began_meanwhile() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        await service.publish_workflow(chain(code("a", "gate"), END))
        run = asyncio.create_task(service.run_workflow("chain"))
        await until(lambda: len(log.partition(COMMANDS, 0).records) == 1)
        log.hold()
        await until(lambda: any(flight.topic == EVENTS for flight in log.in_flight))
        executor, loop = executor_of(service), asyncio.get_running_loop()
        # The commit lands, and before anybody was told of it the group takes the partition away, and gives it back.
        log.release()
        loop.call_soon(executor.lost, [0])
        loop.call_soon(executor.assigned, [0])
        await until(lambda: kinds(log).count("fence") == 2 and bool(gate.calls))
        for _ in range(100):
            await asyncio.sleep(0)
        gate.open.set()
        assert (await asyncio.wait_for(run, SECONDS)).run_status is RunStatus.SUCCESS


async def test_a_nodes_code_runs_only_after_its_start_was_read_back() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        await service.publish_workflow(chain(code("a", "gate"), END))
        run_id = await service.create_workflow_run("chain")
        start = asyncio.create_task(service.start_workflow_run_and_notify(run_id))
        await until(lambda: len(log.partition(COMMANDS, 0).records) == 2)
        log.hold()
        await until(lambda: bool(log.in_flight))
        for _ in range(100):
            await asyncio.sleep(0)
        assert gate.calls == []
        log.release()
        await start
        await until(lambda: len(gate.calls) == 1)
        gate.open.set()


@pytest.mark.parametrize("outcome", ["lost", "unknown"])
async def test_an_append_that_fails_is_never_sent_again_blindly_and_the_run_ends_once(outcome: str) -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        (run_id,) = await started(service, gate)
        log.fail_next(EVENTS, 1, outcome)  # type: ignore[arg-type]  # one of the two words
        gate.open.set()
        run = await service.wait_for_workflow_run(run_id, timeout=60)
        assert run.run_status is RunStatus.SUCCESS
        assert len(gate.calls) == 1, "the attempt was kept, not run again"
        await until(lambda: kinds(log).count("fence") == 2)
    view = folded(log)
    assert (view.runs, list(view.ended)) == ({}, [run_id])


async def test_an_owner_that_was_replaced_writes_nothing_that_counts_and_the_next_attempt_is_another() -> None:
    log, gate = SimulatedLog(), Gate()
    other, other_gate = log.client(), Gate()
    first = engine(log, gated(gate))
    await first.__aenter__()
    (run_id,) = await started(first, gate)
    log.hold()
    gate.open.set()
    await until(lambda: bool(log.in_flight))
    async with engine(other, gated(other_gate)) as second:
        await until(lambda: len(other_gate.calls) == 1)
        for flight in log.in_flight:
            other.land(flight.topic, flight.partition, flight.record)
        other_gate.open.set()
        run = await second.wait_for_workflow_run(run_id, timeout=60)
        assert ContextObject.deserialize(run.output_context).get("done_by", int) == 2
        assert other_gate.calls[0].idempotency_key == gate.calls[0].idempotency_key
        log.abandon()
        await first.__aexit__(None, None, None)


async def test_an_owner_fences_again_when_it_reads_a_foreign_fence() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        (run_id,) = await started(service, gate)
        log.land(
            EVENTS, 0, Record("fence", b"{}", {"ce_type": "runline.fence", "nonce": "foreign", "checkpoint": "none"})
        )
        await until(lambda: kinds(log).count("fence") == 3)
        gate.open.set()
        assert (await service.wait_for_workflow_run(run_id, timeout=60)).run_status is RunStatus.SUCCESS
        assert len(gate.calls) == 1


async def test_a_restart_goes_on_with_every_open_run_under_the_next_attempt() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        runs = await started(service, gate, 5)
    again = Gate()
    again.open.set()
    async with engine(log.client(), gated(again)) as service:
        for run_id in runs:
            run = await service.wait_for_workflow_run(run_id, timeout=60)
            assert ContextObject.deserialize(run.output_context).get("done_by", int) == 2
    assert [call.cancelled for call in gate.calls] == [True] * 5


async def test_a_created_run_survives_a_restart_and_starts_later() -> None:
    log = SimulatedLog()
    async with engine(log, Registry()) as service:
        await service.publish_workflow(chain(END))
        run_id = await service.create_workflow_run("chain")
    async with engine(log.client(), Registry()) as service:
        run = await service.start_workflow_run_and_wait(run_id, {"x": 1}, timeout=60)
    assert run.output_context == '{"x":1}'


async def test_a_command_delivered_again_is_recognised_by_its_offset() -> None:
    log = SimulatedLog()
    async with engine(log, Registry()) as service:
        await service.publish_workflow(chain(END))
        run = await service.run_workflow("chain")
    events = len(log.partition(EVENTS, 0).records)
    async with engine(log.client(), Registry()) as service:
        assert (await service.get_run(run.run_id)) == run
        await service.run_workflow("chain")
    assert len(log.partition(EVENTS, 0).records) == events + 2, "one fence, one run; the first start was not done again"
    assert log.partition(REJECTIONS, 0).records == []


async def test_commands_that_cannot_be_read_are_kept_with_a_reason_and_stop_nothing() -> None:
    log = SimulatedLog()
    poison = [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"type":"run.fly"}',
        b'{"type":"run.start","id":"x","run":"no id"}',
        b"9" * 100,
    ]
    async with engine(log, Registry()) as service:
        await service.publish_workflow(chain(END))
        for value in poison:
            log.land(COMMANDS, 0, Record("k", value, {}))
        run = await service.run_workflow("chain", timeout=60)
        assert run.run_status is RunStatus.SUCCESS
        await until(lambda: len(log.partition(REJECTIONS, 0).records) == len(poison))
    rejected = log.partition(REJECTIONS, 0).records
    assert [record.value for record in rejected] == poison
    assert {record.headers["code"] for record in rejected} == {"undecodable"}
    assert all("expected" in record.headers["reason"] for record in rejected)


async def test_a_run_is_started_once_however_many_start_it() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        await service.publish_workflow(chain(code("a", "gate"), END))
        run_id = await service.create_workflow_run("chain")
        calls = [service.start_workflow_run_and_notify(run_id, {"n": n}) for n in range(4)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results].count(RunNotCreatedError) == 3
        gate.open.set()
        await service.wait_for_workflow_run(run_id, timeout=60)
        assert len(gate.calls) == 1
        before = len(log.partition(COMMANDS, 0).records)
        with pytest.raises(RunNotCreatedError, match="Success"):
            await service.start_workflow_run_and_wait(run_id)
        with pytest.raises(RunNotFoundError):
            await service.start_workflow_run_and_wait(NEVER)
        with pytest.raises(RunEndedError):
            await service.cancel_workflow_run(run_id)
        assert len(log.partition(COMMANDS, 0).records) == before, "nothing was written for what was refused"


async def test_a_cancelled_run_tells_its_function_and_ends() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        (run_id,) = await started(service, gate)
        await service.cancel_workflow_run(run_id, "enough")
        run = await service.wait_for_workflow_run(run_id, timeout=60)
        assert run.run_status is RunStatus.CANCELLED
        await until(lambda: gate.calls[0].cancelled)
        (start, trace) = await service.get_traces(run_id)
        assert (start.trace_status, trace.trace_status) == ("Success", "Cancelled")


async def test_a_log_that_cannot_be_written_at_the_start_is_an_error_and_later_it_is_waited_out() -> None:
    log = SimulatedLog()
    log.fail_next(EVENTS)
    with pytest.raises(LogError, match="planted"):
        async with engine(log, Registry()):
            pass
    log = SimulatedLog()
    async with engine(log, Registry()) as service:
        await service.publish_workflow(chain(END))
        log.fail_next(EVENTS, 6)
        run = await service.run_workflow("chain", timeout=60)
        assert run.run_status is RunStatus.SUCCESS
        assert service.trouble == ""


class TestCheckpoints:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checkpointer, "CHECKPOINT_BYTES_MIN", 3_000)
        monkeypatch.setattr("engine.core.checkpoint.CHECKPOINT_PART_BYTES", 1_500)

    async def history(self, count: int = 40) -> tuple[SimulatedLog, Gate, list[str]]:
        log, gate = SimulatedLog(), Gate()
        async with engine(log, gated(gate)) as service:
            runs = await started(service, gate, 10)
            await service.publish_workflow(chain(END, workflow_id="short"))
            for _ in range(count):
                await service.run_workflow("short")
            await until(lambda: kinds(log)[-1] == "commit")
        return log, gate, runs

    async def test_checkpoints_are_written_and_a_beginner_gets_the_same_view_as_a_reader_from_zero(self) -> None:
        log, _, runs = await self.history()
        assert kinds(log).count("checkpoint") > 4
        beginning = await begin(log.client(), 0)
        view = beginning.view
        assert view.position > 0
        for record in log.partition(EVENTS, 0).records[view.position :]:
            view.fold(record)
        whole = folded(log)
        assert view.runs == whole.runs
        assert view.ended == whole.ended
        assert sorted(view.runs) == sorted(runs)

    async def test_a_restart_reads_from_the_last_checkpoint_even_when_the_log_before_it_is_gone(self) -> None:
        log, _, runs = await self.history()
        beginning = await begin(log.client(), 0)
        log.truncate_before(EVENTS, 0, beginning.view.position)
        again = Gate()
        async with engine(log.client(), gated(again)) as service:
            waits = [asyncio.create_task(service.wait_for_workflow_run(run_id, timeout=60)) for run_id in runs]
            await until(lambda: len(again.calls) == len(runs))
            again.open.set()
            assert {(await wait).run_status for wait in waits} == {RunStatus.SUCCESS}

    @pytest.mark.parametrize("damage", ["cut", "missing", "renamed", "fenced"])
    async def test_a_checkpoint_that_cannot_be_used_costs_time_never_truth(self, damage: str) -> None:
        log, _, _ = await self.history()
        whole = folded(log)
        records = log.partition(EVENTS, 0).records
        named = (await begin(log.client(), 0)).view.checkpoint
        assert named is not None
        record = records[named]
        replacement: dict[str, Callable[[], None]] = {
            "cut": lambda: records.__setitem__(named, record._replace(value=record.value[:20])),
            "missing": lambda: records.__setitem__(named, record._replace(headers={"ce_type": "other"})),
            "renamed": lambda: records.__setitem__(
                named, record._replace(headers=dict(record.headers) | {"parts": "9", "checkpoint": "zero"})
            ),
            "fenced": lambda: records.__setitem__(
                named - 1, records[named - 1]._replace(headers={"ce_type": "runline.fence", "nonce": "x"})
            ),
        }
        replacement[damage]()
        view = (await begin(log.client(), 0)).view
        assert view.position < named
        if damage != "fenced":
            for each in records[view.position :]:
                view.fold(each)
            assert view.runs == whole.runs

    async def test_a_log_without_beginning_and_checkpoint_is_refused_by_name(self) -> None:
        log = SimulatedLog()
        async with engine(log, Registry()) as service:
            await service.publish_workflow(chain(END))
            await service.run_workflow("chain")
        log.truncate_before(EVENTS, 0, 1)
        with pytest.raises(LogDamagedError, match="partition 0 of events"):
            async with engine(log.client(), Registry()):
                pass


async def test_a_late_commit_of_a_zombie_is_skipped_by_every_reader() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        (run_id,) = await started(service, gate)
        state = folded(log).runs[run_id]
        value = b'{"run":"%b","time":"x","decided":null,"events":[{"type":"run.succeeded","output":{}}]}'
        late = commit_record(
            value % run_id.encode(),
            run_id=run_id,
            time="x",
            decided=None,
            prev=state.head,
            epoch="0:somebody else",
            types="run.succeeded",
            causation="",
            heading=Heading("/", run_id, "", "none"),
        )
        log.land(EVENTS, 0, late)
        await until(lambda: len(log.partition(EVENTS, 0).records) > 3)
        assert (await service.get_run(run_id)).run_status is RunStatus.RUNNING
        gate.open.set()
        assert (await service.wait_for_workflow_run(run_id, timeout=60)).run_status is RunStatus.SUCCESS
