"""A backlog of commands is taken a little at a time, whatever it is made of, and every command is answered."""

import asyncio

import orjson
import pytest

from engine import Call, ContextObject, EngineService, Registry
from engine.catalogue import Catalogue
from engine.core.commands import CancelRun, StartRun, decode, encode
from engine.core.plan import Plan
from engine.core.rejection import RUN_NOT_CREATED, UNDECODABLE, Rejection
from engine.executor import intake as module
from engine.executor.intake import Intake
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX
from engine.log.held import held_bytes
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, LogRecord, Record
from engine.ports import SystemClock, SystemIds
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock, until
from tests.support.workflows import END, chain, code

COUNT = 6
BYTES = 4_000
COMMANDS_SENT = 200

ids = SystemIds(SystemClock())


class Held:
    """The most that any intake has held."""

    def __init__(self) -> None:
        self.intakes: list[Intake] = []
        self.count = 0
        self.bytes = 0
        self.largest = 0


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    monkeypatch.setattr(module, "COMMANDS_UNDECIDED_MAX", COUNT)
    monkeypatch.setattr(module, "COMMANDS_UNDECIDED_BYTES_MAX", BYTES)
    most, take = Held(), Intake.take

    def counted(intake: Intake, record: LogRecord) -> None:
        take(intake, record)
        if intake not in most.intakes:
            most.intakes.append(intake)
        most.largest = max(most.largest, held_bytes(record))
        most.count = max(most.count, intake.held)
        most.bytes = max(most.bytes, intake.held_bytes)

    monkeypatch.setattr(Intake, "take", counted)
    return most


def engine(log: SimulatedLog, registry: Registry) -> EngineService:
    return EngineService.open(log, registry, clock=QuickClock())


def put(log: SimulatedLog, value: bytes, key: str = "") -> int:
    return log.land(COMMANDS, 0, Record(key, value, {}))


def start(run_id: str, size: int = 0) -> bytes:
    return encode(StartRun(id=ids.command_id(), run=run_id, workflow="chain", context={"text": "x" * size}))


def refused(log: SimulatedLog) -> list[int]:
    return [int(record.headers["offset"]) for record in log.partition(REJECTIONS, 0).records]


def have(log: SimulatedLog, event: str) -> set[str]:
    """Return the runs that have an event of this type."""
    records = log.partition(EVENTS, 0).records
    return {record.key for record in records if event in record.headers.get("types", "")}


async def test_a_backlog_of_all_kinds_is_held_within_the_limits_and_answered_in_order(held: Held) -> None:
    log = SimulatedLog()
    async with engine(log, Registry()) as service:
        await service.publish_workflow(chain(END))
    garbage, runs = [], []
    for number in range(COMMANDS_SENT):
        run_id = ids.run_id()
        match number % 4:
            case 0:
                garbage.append(put(log, b"x" * 900))
            case 1:
                garbage.append(put(log, encode(CancelRun(id="c", run=run_id))))
            case _:
                runs.append(run_id)
                put(log, start(run_id, 700))
    async with engine(log, Registry()):
        await until(lambda: have(log, "run.succeeded") == set(runs))
        await until(lambda: len(refused(log)) == len(garbage))
    assert sorted(refused(log)) == garbage
    assert [offset for offset in refused(log) if offset % 4 == 0] == garbage[::2]
    assert 0 < held.count <= COUNT
    assert 0 < held.bytes <= BYTES + held.largest
    assert (held.intakes[-1].held, held.intakes[-1].held_bytes, len(held.intakes[-1])) == (0, 0, 0)


async def test_while_nothing_is_acknowledged_no_more_is_read_and_then_it_goes_on(held: Held) -> None:
    log = SimulatedLog()
    async with engine(log, Registry()):
        log.hold()
        offsets = [put(log, b"not a command") for _ in range(COMMANDS_SENT)]
        await until(lambda: len(log.in_flight) == COUNT)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(log.in_flight) == COUNT
        assert held.intakes[-1].position == COUNT
        log.release()
        await until(lambda: len(refused(log)) == COMMANDS_SENT)
        assert refused(log) == offsets
        assert held.count == COUNT


async def test_runs_whose_functions_take_long_hold_nothing(held: Held) -> None:
    log, registry, gate = SimulatedLog(), Registry(), asyncio.Event()

    @registry.node("wait")
    async def wait(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        await gate.wait()

    async with engine(log, registry) as service:
        await service.publish_workflow(chain(code("a", "wait"), END))
        runs = [ids.run_id() for _ in range(10 * COUNT)]
        for run_id in runs:
            put(log, start(run_id))
        cancelled = runs[::2]
        for run_id in cancelled:
            put(log, encode(CancelRun(id=ids.command_id(), run=run_id)))
        # All of them are cancelled while the functions of most of them have no place to run in.
        await until(lambda: have(log, "run.cancelled") == set(cancelled))
        gate.set()
        await until(lambda: have(log, "run.succeeded") == set(runs[1::2]))
    assert held.count <= COUNT


async def test_commands_of_a_run_whose_version_is_not_known_here_hold_no_other_back(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, registry, gate = SimulatedLog(), Registry(), asyncio.Event()

    @registry.node("wait")
    async def wait(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        await gate.wait()

    run_id = ids.run_id()
    async with engine(log, registry) as service:
        lost = (await service.publish_workflow(chain(code("a", "wait"), END, workflow_id="lost"))).version
        await service.publish_workflow(chain(END))
        put(log, encode(StartRun(id="s", run=run_id, workflow="lost")))
        await until(lambda: have(log, "trace.started") == {run_id})
    known = Catalogue.plan

    def plan(catalogue: Catalogue, workflow: str | None, version: str | None) -> Plan | None:
        return None if version == lost else known(catalogue, workflow, version)

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "plan", plan)
        async with engine(log, registry) as service:
            for _ in range(3 * COUNT):
                put(log, encode(StartRun(id=ids.command_id(), run=run_id, context={"other": True})))
            other = ids.run_id()
            put(log, start(other))
            await until(lambda: have(log, "run.succeeded") == {other})
            await until(lambda: (held.intakes[-1].held, len(held.intakes[-1])) == (0, 3 * COUNT))
    # Whoever knows the version answers all of them.
    async with engine(log, registry):
        await until(lambda: len(log.partition(REJECTIONS, 0).records) == 3 * COUNT)
        assert {record.headers["code"] for record in log.partition(REJECTIONS, 0).records} == {RUN_NOT_CREATED}


async def test_refusals_that_a_run_has_recorded_hold_their_commands_until_they_are_repeated(held: Held) -> None:
    log, registry, gate = SimulatedLog(), Registry(), asyncio.Event()

    @registry.node("wait")
    async def wait(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        await gate.wait()

    run_id = ids.run_id()
    async with engine(log, registry) as service:
        await service.publish_workflow(chain(code("a", "wait"), END))
        put(log, start(run_id))
        await until(lambda: have(log, "trace.started") == {run_id})
        offsets = [put(log, start(run_id, 300)) for _ in range(COMMANDS_SENT)]
        await until(lambda: len(refused(log)) == COMMANDS_SENT)
        assert refused(log) == offsets
        assert held.count <= COUNT
        await until(lambda: len(held.intakes[-1]) == 0)


async def test_a_recorded_refusal_is_repeated_before_an_engine_closes() -> None:
    log, registry = SimulatedLog(), Registry()

    @registry.node("wait")
    async def wait(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
        await asyncio.Event().wait()

    run_id = ids.run_id()
    async with engine(log, registry) as service:
        await service.publish_workflow(chain(code("a", "wait"), END))
        put(log, start(run_id))
        await until(lambda: have(log, "trace.started") == {run_id})
        offset = put(log, start(run_id, 300))
        await until(lambda: have(log, "command.refused") == {run_id})
    assert refused(log) == [offset]


def test_a_rejection_holds_no_more_of_the_senders_text_than_is_recorded() -> None:
    tag = "x" * 900_000
    rejection = decode(orjson.dumps({"type": tag}))
    assert isinstance(rejection, Rejection)
    assert rejection.code == UNDECODABLE
    assert len(rejection.reason) == ERROR_MESSAGE_CHARACTERS_MAX
    assert rejection.reason.startswith("expected a command, but at command: Input tag 'xxxx")
