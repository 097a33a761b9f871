"""Defects that a review found, each with the promise that it broke."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, cast

import orjson
import pytest

from engine import Call, ContextObject, EngineService, Registry, Run, RunStatus, Trace
from engine.context.values import WireObject
from engine.core.commands import CancelRun, CreateRun, StartRun, encode
from engine.core.records import Heading, PartHeading, commit_record, commit_value, part_record
from engine.core.soundness import text
from engine.core.view import View
from engine.errors import LogError, RunEndedError, RunlineError, RunNotCreatedError
from engine.executor import checkpointer
from engine.executor.beginning import begin
from engine.limits import RECORD_BYTES_MAX
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, WORKFLOWS, LogRecord, Record
from engine.nodes.node_type import Configuration, Done, Ended, Left, NodeType, Step, Work
from engine.ports import SystemIds
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock, executor_of, until
from tests.support.workflows import END, chain, code

SECONDS = 60
"""How long a test waits for what must happen; far longer than it takes."""


def engine(log: SimulatedLog, registry: Registry | None = None) -> EngineService:
    return EngineService.open(log, Registry() if registry is None else registry, clock=QuickClock())


def new_run_id() -> str:
    return SystemIds(QuickClock()).run_id()


def folded(log: SimulatedLog, partition: int = 0) -> View:
    view = View()
    for record in log.partition(EVENTS, partition).records:
        view.fold(record)
    return view


def fences(log: SimulatedLog) -> int:
    return sum(record.headers.get("ce_type") == "runline.fence" for record in log.partition(EVENTS, 0).records)


async def others_go_on(service: EngineService) -> None:
    """Check that the partition still works, for a run that has nothing to do with what went wrong."""
    await service.publish_workflow(chain(END, workflow_id="other"))
    assert (await service.run_workflow("other", timeout=SECONDS)).run_status is RunStatus.SUCCESS


class Gate:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.open = asyncio.Event()

    async def __call__(self, context: ContextObject, call: Call) -> None:  # noqa: ARG002 - a node function's signature
        self.calls.append(call)
        await self.open.wait()


def gated(gate: Gate) -> Registry:
    made = Registry()
    made.node("gate")(gate)
    return made


# A mistake of user code fails its node, no more.


class Odd(NodeType[Configuration]):
    """A node type from outside whose step is whatever the test wants."""

    name: ClassVar[str] = "odd"
    configuration = Configuration
    step: Callable[[], Step]

    def decide(self, configuration: Configuration, context: WireObject) -> Step:  # noqa: ARG002 - the same for all
        return self.step()


class TextlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class LeaveError(BaseException):
    """As test frameworks and other event loops raise them."""


def textless() -> Step:
    raise TextlessError


ODD_STEPS: dict[str, Callable[[], Step]] = {
    "no step at all": lambda: None,  # type: ignore[return-value, dict-item]  # the mistake
    "a set as a value": lambda: Done([{"op": "set", "path": ["x"], "value": {1, 2}}]),  # type: ignore[typeddict-item]
    "no list of changes": lambda: Done(5),  # type: ignore[arg-type]
    "an object as the message": lambda: Done(message=object()),  # type: ignore[arg-type]
    "a list as the output's name": lambda: Done(output=["next"]),  # type: ignore[arg-type]
    "a surrogate in the message": lambda: Done(message="\udcff"),
    "an enormous message": lambda: Done(message="x" * 2_000_000),
    "an enormous output": lambda: Ended({"x": "x" * 2_000_000}),
    "an error without text": textless,
}


@pytest.mark.parametrize("what", ODD_STEPS)
async def test_a_node_type_that_answers_nonsense_fails_its_run_and_stops_no_other(what: str) -> None:
    odd = Odd()
    odd.step = ODD_STEPS[what]
    registry = Registry()
    registry.node_type(odd)
    async with engine(SimulatedLog(), registry) as service:
        await service.publish_workflow(chain({"id": "odd", "type": "odd"}, END))
        try:
            run = await service.run_workflow("chain", timeout=SECONDS)
        finally:
            await others_go_on(service)
        # A message may also be cut or repaired.
        assert run.run_status is RunStatus.FAILED or what.endswith("message")


class Meddler(NodeType[Configuration]):
    """A node type from outside that changes the context it is given, which it must not."""

    name: ClassVar[str] = "meddler"
    configuration = Configuration
    value: object

    def decide(self, configuration: Configuration, context: WireObject) -> Step:  # noqa: ARG002 - the same for all
        cast("dict[str, object]", context)["meddled"] = self.value
        cast("dict[str, object]", context["given"])["inside"] = self.value
        return Done()


@pytest.mark.parametrize("value", [1, {1: 2}, object()])
async def test_a_step_that_changes_what_it_was_given_changes_nothing(value: object) -> None:
    meddler = Meddler()
    meddler.value = value
    registry = Registry()
    registry.node_type(meddler)
    log = SimulatedLog()
    async with engine(log, registry) as service:
        await service.publish_workflow(chain({"id": "m", "type": "meddler"}))
        run = await service.run_workflow("chain", {"given": {"kept": True}}, timeout=SECONDS)
    assert run.run_status is RunStatus.SUCCESS
    assert run.output_context is not None
    assert orjson.loads(run.output_context) == {"given": {"kept": True}}
    assert fences(log) == 1


async def test_a_step_that_wants_to_exit_fails_its_node() -> None:
    odd = Odd()

    def leave() -> Step:
        raise SystemExit(3)

    odd.step = leave
    registry = Registry()
    registry.node_type(odd)
    async with engine(SimulatedLog(), registry) as service:
        await service.publish_workflow(chain({"id": "odd", "type": "odd"}, END))
        run = await service.run_workflow("chain", timeout=SECONDS)
        await others_go_on(service)
    assert run.error is not None
    assert run.error.type == "SystemExit"


class OddWork(NodeType[Configuration]):
    """A node type from outside whose work ends as the test wants."""

    name: ClassVar[str] = "odd_work"
    configuration = Configuration
    left: object

    def decide(self, configuration: Configuration, context: WireObject) -> Step:  # noqa: ARG002 - the same for all
        return Work()

    async def execute(self, configuration: Configuration, context: ContextObject, call: Call) -> str | Left:  # noqa: ARG002
        return self.left  # type: ignore[return-value]  # the mistake


ODD_WORK: dict[str, object] = {
    "nothing": None,
    "a number": 5,
    "a list": ["next"],
    "a list as the output's name": Left(["next"]),  # type: ignore[arg-type]
    "an object as the message": Left("next", object()),  # type: ignore[arg-type]
    "a surrogate in the message": Left("next", "\udcff"),
    "an enormous message": Left("next", "x" * 2_000_000),
    "a message": Left("next", "done by hand"),
}
ODD_WORK_MESSAGES = {
    "a surrogate in the message": "\\udcff",
    "an enormous message": text("x" * 2_000_000),
    "a message": "done by hand",
}


@pytest.mark.parametrize("what", ODD_WORK)
async def test_a_node_type_whose_work_answers_nonsense_fails_its_run_and_stops_no_other(what: str) -> None:
    odd = OddWork()
    odd.left = ODD_WORK[what]
    registry = Registry()
    registry.node_type(odd)
    async with engine(SimulatedLog(), registry) as service:
        await service.publish_workflow(chain({"id": "odd", "type": "odd_work"}, END))
        try:
            run = await service.run_workflow("chain", timeout=SECONDS)
        finally:
            await others_go_on(service)
        message = (await service.get_traces(run.run_id))[1].message
    if what in ODD_WORK_MESSAGES:
        assert run.run_status is RunStatus.SUCCESS
        assert message == ODD_WORK_MESSAGES[what]
    else:
        assert run.run_status is RunStatus.FAILED
        assert run.error is not None
        assert run.error.node_id == "odd"


@pytest.mark.parametrize("where", ["configure", "check"])
async def test_a_node_type_whose_checks_raise_stops_no_other_run(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log, run_id = SimulatedLog(), new_run_id()

    class Wild(Odd):
        name = "wild"

    wild = Wild()
    wild.step = Done
    registry = Registry()
    registry.node_type(wild)
    definition = chain({"id": "wild", "type": "wild"}, END, workflow_id="wild")

    def fail(*_: object) -> None:
        raise LookupError("no")

    monkeypatch.setattr(Wild, where, fail)
    async with engine(log, registry) as service:
        log.land(WORKFLOWS, 0, Record("wild", definition.canonical(), {}))
        log.land(COMMANDS, 0, Record(run_id, encode(StartRun(id="c", run=run_id, workflow="wild")), {}))
        await others_go_on(service)


@pytest.mark.parametrize("error", [ValueError("no file \udcff"), TextlessError(), LeaveError("leave")])
async def test_whatever_a_function_raises_fails_its_run(error: BaseException) -> None:
    registry = Registry()

    @registry.node("raise")
    async def fail(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - a node function's signature
        raise error

    async with engine(SimulatedLog(), registry) as service:
        await service.publish_workflow(chain(code("a", "raise"), END))
        run = await service.run_workflow("chain", timeout=SECONDS)
    assert run.run_status is RunStatus.FAILED
    assert run.error is not None
    assert run.error.node_id == "a"


@pytest.mark.parametrize("behind_code", [False, True])
async def test_an_output_larger_than_a_context_fails_its_run_and_stops_no_other(*, behind_code: bool) -> None:
    registry = Registry()

    @registry.node("pass")
    async def work(context: ContextObject, call: Call) -> None:
        pass

    copies = [{"from": "big", "to": f"copies.c{number}"} for number in range(8)]
    nodes = [code("a", "pass")] if behind_code else []
    async with engine(SimulatedLog(), registry) as service:
        await service.publish_workflow(
            chain(*nodes, {"id": "end", "type": "end", "configuration": {"mappings": copies}})
        )
        try:
            run = await service.run_workflow("chain", {"big": "x" * 200_000}, timeout=SECONDS)
        finally:
            await others_go_on(service)
    assert run.run_status is RunStatus.FAILED


# Poison on the topics stops nothing else.


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"x" * (RECORD_BYTES_MAX - 10), id="as large as a record may be"),
        pytest.param(
            orjson.dumps(
                {"type": "run.cancel", "id": "c", "run": "01939d5c-0000-7000-8000-000000000001", "y" * 600_000: 1}
            ),
            id="a long name that the reason repeats",
        ),
    ],
)
async def test_a_large_command_that_cannot_be_read_is_refused_once_and_stops_nothing(value: bytes) -> None:
    log = SimulatedLog()
    async with engine(log) as service:
        log.land(COMMANDS, 0, Record("k", value, {}))
        await others_go_on(service)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(log.partition(REJECTIONS, 0).records) == 1
        assert fences(log) == 1


async def test_a_reason_for_a_rejection_keeps_the_commands_own_bytes() -> None:
    log, run_id = SimulatedLog(), new_run_id()
    value = b'{ "run": "%b", "type": "run.cancel",  "id": "c1" }' % run_id.encode()
    async with engine(log):
        log.land(COMMANDS, 0, Record(run_id, value, {}))
        await until(lambda: bool(log.partition(REJECTIONS, 0).records), 1_000)
    assert log.partition(REJECTIONS, 0).records[0].value == value


def dangling() -> bytes:
    data = orjson.loads(chain(END, workflow_id="bad").canonical())
    data["connections"][0]["to"] = "nowhere"
    return orjson.dumps(data)


def startless() -> bytes:
    data = orjson.loads(chain(END, workflow_id="bad").canonical())
    data["nodes"][0]["type"] = "end"
    return orjson.dumps(data)


@pytest.mark.parametrize("value", [b"{", b"{}", dangling(), startless()])
async def test_a_published_definition_that_cannot_run_stops_no_other_workflow(value: bytes) -> None:
    log, run_id = SimulatedLog(), new_run_id()
    async with engine(log) as service:
        await service.publish_workflow(chain(END, workflow_id="other"))
        log.land(WORKFLOWS, 0, Record("bad", value, {}))
        log.land(COMMANDS, 0, Record(run_id, encode(StartRun(id="c", run=run_id, workflow="bad")), {}))
        run = await service.run_workflow("other", timeout=SECONDS)
        assert run.run_status is RunStatus.SUCCESS
        await until(lambda: bool(log.partition(REJECTIONS, 0).records), 10_000)
    async with asyncio.timeout(SECONDS), engine(log.client()) as service:
        await others_go_on(service)


def forged(log: SimulatedLog, run_id: str, events: Sequence[bytes]) -> Record:
    view = folded(log)
    assert view.epoch is not None
    value = commit_value(run_id, "2026-01-01T00:00:00.000000Z", None, events)
    return commit_record(
        value,
        run_id=run_id,
        time="2026-01-01T00:00:00.000000Z",
        decided=None,
        prev=view.runs[run_id].head,
        epoch=view.epoch,
        types="run.improved",
        causation="",
        heading=Heading("/", run_id, "", "none"),
    )


@pytest.mark.parametrize("event", [b'{"type":"run.improved"}', b'{"kind":"run"}', b"5"])
async def test_an_event_from_the_future_stops_its_run_and_no_other(event: bytes) -> None:
    log = SimulatedLog()
    async with engine(log) as service:
        await service.publish_workflow(chain(END))
        run_id = await service.create_workflow_run("chain")
        log.land(EVENTS, 0, forged(log, run_id, [event]))
        await others_go_on(service)
    async with asyncio.timeout(SECONDS), engine(log.client()) as service:
        await others_go_on(service)


async def test_a_checkpoint_in_another_form_is_passed_over_for_the_one_before() -> None:
    log = SimulatedLog()
    async with engine(log) as service:
        await service.publish_workflow(chain(END))
        await service.create_workflow_run("chain")
        view = folded(log)
        assert view.epoch is not None
        heading = PartHeading(view.epoch, view.position, 0, 1, 0, -1)
        log.land(EVENTS, 0, part_record(b'{"later":[]}', heading, source="/", time="", checkpoint="none"))
        await service.create_workflow_run("chain")
    beginning = await begin(log.client(), 0)
    assert beginning.view.position == 0


async def test_a_command_on_a_foreign_partition_makes_no_run_that_nobody_can_find() -> None:
    log, run_id = SimulatedLog(2), new_run_id()
    async with engine(log) as service:
        await service.publish_workflow(chain(END))
        wrong = 1 - partition_of(run_id, 2)
        log.land(COMMANDS, wrong, Record(run_id, encode(StartRun(id="c", run=run_id, workflow="chain")), {}))
        for _ in range(200):
            await asyncio.sleep(0)
        assert not any(record.key == run_id for record in log.partition(EVENTS, wrong).records)


# Waiting.


async def test_a_cancellation_waits_for_itself_not_for_somebody_elses_start() -> None:
    gate = Gate()
    async with engine(SimulatedLog(), gated(gate)) as service:
        await service.publish_workflow(chain(code("a", "gate"), END))
        run_id = await service.create_workflow_run("chain")
        start = service.start_workflow_run_and_notify(run_id)
        cancel = service.cancel_workflow_run(run_id)
        answers = await asyncio.wait_for(asyncio.gather(start, cancel, return_exceptions=True), SECONDS)
        assert not any(answers)
        assert (await service.get_run(run_id)).run_status is RunStatus.CANCELLED


@pytest.mark.parametrize("outcome", ["lost", "unknown"])
async def test_a_rejection_that_may_not_have_arrived_is_written_again_and_the_caller_is_told(outcome: str) -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        await service.publish_workflow(chain(code("a", "gate"), END))
        run_id = await service.create_workflow_run("chain")
        await service.start_workflow_run_and_notify(run_id)
        await until(lambda: bool(gate.calls))
        # The outcome is there before the cancellation; beginning again, the engine reads the run's start once more.
        log.fail_next(REJECTIONS, 1, outcome)  # type: ignore[arg-type]  # one of the two words
        gate.open.set()
        with pytest.raises(RunEndedError):
            await asyncio.wait_for(service.cancel_workflow_run(run_id), SECONDS)
        assert len(log.partition(REJECTIONS, 0).records) == (2 if outcome == "unknown" else 1)


async def test_a_start_that_comes_after_a_cancellation_is_answered() -> None:
    async with engine(SimulatedLog()) as service:
        await service.publish_workflow(chain(END))
        run_id = await service.create_workflow_run("chain")
        cancel = asyncio.create_task(service.cancel_workflow_run(run_id))
        await asyncio.sleep(0)
        with pytest.raises((RunNotCreatedError, RunEndedError)):
            await asyncio.wait_for(service.start_workflow_run_and_wait(run_id), SECONDS)
        await cancel


@pytest.mark.parametrize("reason", ["x" * 5_000, "\udcff"])
async def test_a_reason_that_a_command_cannot_hold_is_refused_by_name(reason: str) -> None:
    log = SimulatedLog()
    async with engine(log) as service:
        await service.publish_workflow(chain(END))
        run_id = await service.create_workflow_run("chain")
        with pytest.raises(RunlineError, match="reason"):
            await service.cancel_workflow_run(run_id, reason)
        assert len(log.partition(COMMANDS, 0).records) == 1


class SlowHistory(SimulatedLog):
    """Reading a run's history takes until the test says so; what was read is what stood there at the beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: asyncio.Event | None = None

    async def read_key(self, topic: str, partition: int, key: str) -> Sequence[LogRecord]:
        found = await super().read_key(topic, partition, key)
        if self.slow is not None:
            await self.slow.wait()
        return found


async def test_a_start_that_reaches_a_run_which_has_just_ended_is_answered() -> None:
    log = SlowHistory()
    async with engine(log) as service:
        await service.publish_workflow(chain(END))
        run_id = await service.create_workflow_run("chain")
        # Between two terms a run is looked up in its history; meanwhile another producer starts it and it ends.
        log.slow = asyncio.Event()
        log.fail_next(EVENTS, 2)
        log.land(COMMANDS, 0, Record(run_id, encode(CreateRun(id="x", run=new_run_id(), workflow="chain")), {}))
        await until(lambda: executor_of(service).view(run_id) is None, 1_000)
        late = asyncio.create_task(service.start_workflow_run_and_wait(run_id, {"late": True}))
        await asyncio.sleep(0)
        log.land(COMMANDS, 0, Record(run_id, encode(StartRun(id="first", run=run_id)), {}))
        await until(lambda: run_id in folded(log).ended, 10_000)
        log.slow.set()
        with pytest.raises((RunNotCreatedError, RunEndedError)):
            await asyncio.wait_for(late, SECONDS)


async def test_a_waiter_hears_of_an_end_that_lies_before_the_checkpoint_its_engine_begins_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, gate, other_gate = SimulatedLog(), Gate(), Gate()
    other_gate.open.set()
    first = engine(log, gated(gate))
    async with first:
        await first.publish_workflow(chain(code("a", "gate"), END))
        run_id = await first.create_workflow_run("chain")
        waits = asyncio.create_task(first.start_workflow_run_and_wait(run_id))
        await until(lambda: bool(gate.calls))
        # The first engine falls asleep in its pause between two terms while a second one does its work.
        asleep = asyncio.Event()

        async def sleep(_: float) -> None:
            await asleep.wait()

        monkeypatch.setattr(first._clock, "sleep", sleep)
        monkeypatch.setattr(checkpointer, "CHECKPOINT_BYTES_MIN", 500)
        async with engine(log.client(), gated(other_gate)) as second:
            await second.publish_workflow(chain(END, workflow_id="short"))
            await second.wait_for_workflow_run(run_id, timeout=SECONDS)
            for _ in range(20):
                await second.run_workflow("short", timeout=SECONDS)
            await until(lambda: run_id in (folded(log)).ended)
        assert (await begin(log.client(), 0)).view.ended.get(run_id) is not None
        asleep.set()
        run = await asyncio.wait_for(waits, SECONDS)
        assert run.run_status is RunStatus.SUCCESS


async def test_a_call_that_reaches_the_log_while_the_engine_closes_does_not_hang() -> None:
    log = SlowHistory()
    service = engine(log)
    async with service:
        await service.publish_workflow(chain(END))
        run_id = await service.create_workflow_run("chain")
        log.slow = asyncio.Event()
        log.fail_next(EVENTS, 2)
        log.land(COMMANDS, 0, Record(run_id, encode(CreateRun(id="x", run=new_run_id(), workflow="chain")), {}))
        await until(lambda: executor_of(service).view(run_id) is None, 1_000)
        late = asyncio.create_task(service.start_workflow_run_and_wait(run_id))
        await asyncio.sleep(0)
    log.slow.set()
    with pytest.raises(RunlineError):
        await asyncio.wait_for(late, SECONDS)


class Delayed(SimulatedLog):
    """Rejections are on their way until the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.arrive = asyncio.Event()

    async def append(self, topic: str, partition: int, record: Record) -> int:
        if topic == REJECTIONS:
            await self.arrive.wait()
        return await super().append(topic, partition, record)


class FixedIds(SystemIds):
    def __init__(self, run_id: str) -> None:
        super().__init__(QuickClock())
        self._fixed = run_id

    def run_id(self) -> str:
        return self._fixed


async def test_a_creation_that_shares_its_commit_with_somebody_elses_start_is_answered() -> None:
    log, run_id = Delayed(), new_run_id()
    async with EngineService.open(log, Registry(), clock=QuickClock(), ids=FixedIds(run_id)) as service:
        await service.publish_workflow(chain(END))
        log.land(COMMANDS, 0, Record(run_id, encode(CancelRun(id="early", run=run_id)), {}))
        created = asyncio.create_task(service.create_workflow_run("chain"))
        await until(lambda: len(log.partition(COMMANDS, 0).records) == 2)
        log.land(COMMANDS, 0, Record(run_id, encode(StartRun(id="start", run=run_id)), {}))
        for _ in range(20):
            await asyncio.sleep(0)
        log.arrive.set()
        assert await asyncio.wait_for(created, SECONDS) == run_id
        log.land(COMMANDS, 0, Record("k", b"{", {}))
        await until(lambda: len(log.partition(REJECTIONS, 0).records) == 2, 1_000)


# Nothing is forgotten on the way.


class Hooked(SimulatedLog):
    """Something happens just before the fence of this client's owner lands."""

    before_fence: Callable[[], Awaitable[None]] | None = None

    async def append(self, topic: str, partition: int, record: Record) -> int:
        if topic == EVENTS and self.before_fence is not None:
            hook, self.before_fence = self.before_fence, None
            await hook()
        return await super().append(topic, partition, record)


async def test_commands_below_the_checkpoint_read_during_a_takeover_are_not_decided_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpointer, "CHECKPOINT_BYTES_MIN", 500)
    passed = [1_750_000_000.0]

    class Time(QuickClock):
        def milliseconds(self) -> int:
            return int(passed[0] * 1000)

    log = SimulatedLog(clock=lambda: passed[0])
    first = EngineService.open(log, Registry(), clock=Time())
    await first.__aenter__()
    await first.publish_workflow(chain(END))
    run = await first.run_workflow("chain", timeout=SECONDS)
    assert folded(log).checkpoint is None
    other = Hooked()
    other._places = log._places

    async def forget() -> None:
        # The second engine has found no checkpoint; before it fences, the first one writes one and forgets the run.
        passed[0] += 10_000
        for _ in range(20):
            await first.run_workflow("chain", timeout=SECONDS)
            if run.run_id not in folded(log).ended:
                break
        assert run.run_id not in folded(log).ended
        log.abandon()

    other.before_fence = forget
    async with EngineService.open(other, Registry(), clock=Time()) as second:
        await first.__aexit__(None, None, None)
        before = len(log.partition(EVENTS, 0).records)
        for _ in range(300):
            await asyncio.sleep(0)
        written = log.partition(EVENTS, 0).records[before:]
        assert [record.headers.get("types") for record in written if record.key == run.run_id] == []
        term = executor_of(second)._partitions[0]._term
        assert term is not None
        assert (term._pending, len(term._intake)) == ({}, 0)


async def test_commands_that_retention_removed_keep_no_partition_from_being_taken_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = SimulatedLog()
    async with engine(log) as service:
        await service.publish_workflow(chain(END, workflow_id="short"))
        await service.run_workflow("short", timeout=SECONDS)
        left_over = await service.create_workflow_run("short")
    # No checkpoint was due yet, so nothing on the log says that these are decided.
    log.truncate_before(COMMANDS, 0, 2)
    async with engine(log) as service:
        assert (await service.start_workflow_run_and_wait(left_over, timeout=SECONDS)).run_status is RunStatus.SUCCESS
        await others_go_on(service)
    assert "the commands from offset 0 to 1 are gone" in caplog.text


async def test_a_run_of_a_version_published_during_a_takeover_goes_on() -> None:
    log, gate, other_gate = SimulatedLog(), Gate(), Gate()
    first = engine(log, gated(gate))
    await first.__aenter__()
    other = Hooked()
    other._places = log._places
    runs: list[str] = []

    async def publish_and_start() -> None:
        await first.publish_workflow(chain(code("a", "gate"), END))
        runs.append(await first.create_workflow_run("chain"))
        await first.start_workflow_run_and_notify(runs[0])
        log.abandon()

    other.before_fence = publish_and_start
    other_gate.open.set()
    async with engine(other, gated(other_gate)) as second:
        await first.__aexit__(None, None, None)
        run = await second.wait_for_workflow_run(runs[0], timeout=SECONDS)
        assert run.run_status is RunStatus.SUCCESS


async def test_a_refusal_by_an_open_run_stands_on_rejections_too() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        await service.publish_workflow(chain(code("a", "gate"), END))
        run_id = await service.create_workflow_run("chain")
        await service.start_workflow_run_and_notify(run_id)
        log.land(COMMANDS, 0, Record(run_id, encode(StartRun(id="again", run=run_id, context={"x": 1})), {}))
        await until(lambda: any("refused" in r.headers.get("types", "") for r in log.partition(EVENTS, 0).records))
        for _ in range(50):
            await asyncio.sleep(0)
        assert [r.headers.get("causationid") for r in log.partition(REJECTIONS, 0).records] == ["again"]
        gate.open.set()


async def test_a_fence_under_another_key_counts_the_same_in_every_reader() -> None:
    log, gate = SimulatedLog(), Gate()
    async with engine(log, gated(gate)) as service:
        await service.publish_workflow(chain(code("a", "gate"), END))
        run_id = await service.create_workflow_run("chain")
        await service.start_workflow_run_and_notify(run_id)
        late = forged(log, run_id, [b'{"type":"run.cancelled","reason":"","output":{},"command":"late"}'])
        fence = {"ce_type": "runline.fence", "nonce": "foreign", "checkpoint": "none"}
        log.land(EVENTS, 0, Record("other", b"{}", fence))
        log.land(EVENTS, 0, late)
        gate.open.set()
        run = await service.wait_for_workflow_run(run_id, timeout=SECONDS)
        assert await service.get_run(run_id) == run


async def test_two_owners_that_take_a_partition_from_each_other_do_it_less_and_less_often() -> None:
    delays: list[float] = []

    class Slow(QuickClock):
        async def sleep(self, seconds: float) -> None:
            delays.append(seconds)
            await asyncio.sleep(0)

    log = SimulatedLog()
    async with (
        EngineService.open(log, Registry(), clock=Slow()),
        EngineService.open(log.client(), Registry(), clock=Slow()),
    ):
        await until(lambda: len(delays) > 40)
    assert max(delays[-10:]) > 4 * max(delays[:2])


# Progress services.


class Hearing:
    def __init__(self, error: BaseException | None = None) -> None:
        self.heard: list[RunStatus] = []
        self.error = error

    async def run_progress(self, run: Run) -> None:
        self.heard.append(run.run_status)
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    async def trace_progress(self, trace: Trace) -> None:
        pass


async def test_a_progress_service_that_raises_a_cancellation_hears_of_what_comes_after() -> None:
    service = Hearing(asyncio.CancelledError())
    async with EngineService.open(SimulatedLog(), Registry(), progress_services=[service]) as opened:
        await opened.publish_workflow(chain(END))
        await opened.run_workflow("chain", timeout=SECONDS)
    assert RunStatus.SUCCESS in service.heard


class Unreadable(SimulatedLog):
    """A reader fails once, as when a broker is away."""

    failing = False

    def reader(self, topic: str, partition: int, offset: int):  # type: ignore[no-untyped-def]  # noqa: ANN201 - below
        reader = super().reader(topic, partition, offset)
        if topic == EVENTS and not self.failing:
            self.failing = True
            following = reader.next

            async def once() -> Sequence[LogRecord]:
                reader.next = following  # type: ignore[method-assign]  # only the first call fails
                await following()
                raise RunlineError("a planted failure")

            reader.next = once  # type: ignore[method-assign]  # the same
        return reader


async def test_a_progress_service_follows_on_after_a_log_that_could_not_be_read_for_a_moment() -> None:
    service = Hearing()
    log = Unreadable()
    opened = EngineService.open(log, Registry(), clock=QuickClock(), progress_services=[service])
    async with opened:
        await opened.publish_workflow(chain(END))
        await opened.run_workflow("chain", timeout=SECONDS)
        await opened.run_workflow("chain", timeout=SECONDS)
    assert service.heard.count(RunStatus.SUCCESS) == 2


async def test_a_progress_service_hears_of_what_was_on_its_way_when_the_engine_closed() -> None:
    log, gate, service = SimulatedLog(), Gate(), Hearing()
    opened = EngineService.open(log, gated(gate), clock=QuickClock(), progress_services=[service])
    async with opened:
        await opened.publish_workflow(chain(code("a", "gate"), END))
        run_id = await opened.create_workflow_run("chain")
        await opened.start_workflow_run_and_notify(run_id)
        await until(lambda: bool(gate.calls))
        log.hold()
        gate.open.set()
        await until(lambda: bool(log.in_flight))
        asyncio.get_running_loop().call_later(0.05, log.release)
    assert service.heard == [RunStatus.CREATED, RunStatus.RUNNING, RunStatus.SUCCESS]


class Twice(SimulatedLog):
    """A log that takes two copies of every command, one right behind the other."""

    def send(
        self,
        topic: str,
        partition: int,
        record: Record,
        failed: Callable[[LogError], None],
        *,
        patient: bool = False,
    ) -> None:
        for _ in range(2 if topic == COMMANDS else 1):
            super().send(topic, partition, record, failed, patient=patient)


async def test_whose_command_lands_twice_is_told_what_became_of_it_not_that_it_was_done_before() -> None:
    log = Twice()
    async with engine(log) as service:
        await service.publish_workflow(chain(END))
        run_id = await service.create_workflow_run("chain")
        run = await service.start_workflow_run_and_wait(run_id, timeout=SECONDS)
        assert (run.run_id, run.run_status) == (run_id, RunStatus.SUCCESS)
    types = [
        event["type"]
        for record in log.partition(EVENTS, 0).records
        for event in orjson.loads(record.value).get("events", [])
    ]
    assert (types.count("run.created"), types.count("run.started")) == (1, 1)
