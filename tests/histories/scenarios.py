"""What is recorded: engines at work, so that every kind of event is there, and of whatever else is on a log."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import pytest

from engine import ContextObject, EngineService, WorkflowBuilder, WorkflowDefinition
from engine.core.commands import CancelRun, CreateRun, StartRun, encode
from engine.core.identity import make_run_id
from engine.errors import RunlineError
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, Log, Record
from engine.ports import SystemClock, SystemIds
from examples import answer, dependency_audit
from tests.examples.distributions import install
from tests.histories.functions import Gate, registry
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock, until
from tests.support.workflows import END, chain, code, edit

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 60.0
_HOURS: Final = 3
_EXECUTORS: Final = 3


class Scenario(NamedTuple):
    """Something to record.

    Attributes:
        title: What is in it.
        write: Lets it happen, and returns the log.
    """

    title: str
    write: Callable[[], Awaitable[Log]]


class Hours(QuickClock):
    """The machine's time, put forward by hand, for engines and logs."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta()

    def seconds(self) -> float:
        """Return the time in seconds since 1970 UTC."""
        return (datetime.now(UTC) + self.ahead).timestamp()

    def milliseconds(self) -> int:
        """Return the time in milliseconds since 1970 UTC."""
        return int(self.seconds() * 1000)

    def now(self) -> str:
        """Return the time as RFC 3339 text."""
        return (datetime.now(UTC) + self.ahead).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@asynccontextmanager
async def engine(
    log: SimulatedLog, gate: Gate | None = None, clock: Hours | None = None
) -> AsyncIterator[EngineService]:
    """An engine with all functions, on a client of a log of its own."""
    time_ = clock or QuickClock()
    async with asyncio.timeout(SECONDS):
        async with EngineService.open(log.client(), registry(gate), clock=time_, ids=SystemIds(time_)) as service:
            yield service


async def publish(service: EngineService, *definitions: WorkflowDefinition) -> None:
    """Publish workflows."""
    for definition in definitions:
        await service.publish_workflow(definition)


async def refused(asked: Awaitable[object]) -> None:
    """Ask for what is not to be had."""
    try:
        await asked
    except RunlineError:
        return
    raise AssertionError("expected a refusal, but it was done")


async def _answer() -> Log:
    """The three ways of the first example, and a program without Runline that asks the same."""
    log = SimulatedLog()
    async with asyncio.timeout(SECONDS), EngineService.open(log.client(), answer.registry) as service:
        await service.publish_workflow(answer.WORKFLOW)
        workflow_id = await service.get_workflow_id("Example Workflow")
        for _ in range(2):
            run_id = await service.create_workflow_run(workflow_id)
            await service.start_workflow_run_and_wait(run_id, answer.question())
        run_id = await service.create_workflow_run(workflow_id)
        await service.start_workflow_run_and_notify(run_id, answer.question())
        await service.wait_for_workflow_run(run_id)
        run_id = SystemIds(SystemClock()).run_id()
        # As `examples/start_run.py` writes it.
        command = {"format": 1, "type": "run.start", "id": "start-0123456789abcdef", "run": run_id}
        command |= {"workflow": "example", "context": {"input": {"prompt": "Who?", "user_id": 7}}}
        log.land(COMMANDS, 0, Record(run_id, json.dumps(command).encode(), {}))
        await settled(log, service)
        await service.wait_for_workflow_run(run_id)
    return log


async def _dependency_audit() -> Log:
    """The larger example: an environment without problems, one with them, and one that is not there."""
    log = SimulatedLog()
    with tempfile.TemporaryDirectory() as directory:
        for kind in ("clean", "problems", "missing"):
            packages = Path(directory) / kind
            if kind != "missing":
                install(packages, "good", fields=["License-Expression: MIT"], files=["good.py"])
            if kind == "problems":
                install(packages, "user", "2.0", fields=["Requires-Dist: absent>=1", "Requires-Dist: good>=2"])
            inputs = {"path": [str(packages)], "report": str(Path(directory) / "audit.md")}
            async with asyncio.timeout(SECONDS), EngineService.open(log.client(), dependency_audit.registry) as service:
                await service.publish_workflow(ROOT / "examples" / "dependency_audit.yaml")
                await service.run_workflow("dependency_audit", {"input": inputs})
    return log


def _every_node_type() -> WorkflowDefinition:
    """Return a workflow with every node type and everything that can be configured of it."""
    builder = WorkflowBuilder("types", "Every node type", description="All that can be configured").start(
        title="Take it",
        inputs=[
            {"path": "name", "type": "string"},
            {"path": "size", "type": "number", "required": False},
            {"path": "options.deep", "type": "any", "default": None},
            {"path": "n", "type": "integer", "default": 0},
            {"path": "on", "type": "date", "required": False},
        ],
    )
    builder.edit(
        "tidy",
        title="Tidy up",
        move=[{"from": "name", "to": "person.name"}, {"from": "absent", "to": "x", "optional": True}],
        copy=[{"from": "person.name", "to": "person.first"}],
        set=[
            {"path": "person.greeting", "expression": "join(' ', ['Hello', person.first])"},
            {"path": "list", "value": [1, 1.5, True, None, "text", {"a": []}]},
            {"path": "list[1]", "value": 2},
        ],
        delete=["size", "nothing.there"],
    )
    builder.code("count", function="count")
    builder.switch(
        "more", title="Go on?", cases=[{"output": "again", "when": "n < `3`"}, {"output": "even", "predicate": "even"}]
    )
    builder.after("more", "default").node("route", "route", key="looked")
    builder.after("route", "no").node("pause", "pause").end(
        "end", mappings=[{"from": "person", "to": "result.person"}, {"from": "absent", "to": "result.absent"}]
    )
    builder.connect("more", "count", "again")
    return builder.build(registry())


async def _node_types() -> Log:
    """Runs through every node type: loops by a back edge, predicates, node types of one's own, all kinds of ends."""
    log = SimulatedLog(2)
    async with engine(log) as service:
        await publish(
            service, _every_node_type(), chain(END, workflow_id="least"), chain(edit("e"), workflow_id="open")
        )
        for n in (0, 1, 3, 4):
            await service.run_workflow("types", {"name": "Zoë", "size": 1.5, "n": n}, tags=["a", f"n {n}"])
        await service.run_workflow("types", {"name": "Ada", "looked": 1, "on": date(2026, 3, 1), "n": 2})
        await service.run_workflow("types", {"size": "large"})
        for name in ("least", "open"):
            await service.run_workflow(name, {"kept": [1, {"two": 2}]})
        # A second version of a workflow, beside runs of the first.
        await publish(service, chain(edit("e", set=[{"path": "second", "value": True}]), END, workflow_id="least"))
        await service.run_workflow("least", {})
    return log


_FAILING: Final = ("fail", "fail_at_length", "leave_nowhere", "grow")
"""Functions that fail each in its way."""


async def _failures() -> Log:
    """Everything that a run fails of."""
    log = SimulatedLog()
    loop = WorkflowBuilder("endless", "Endless", node_execution_limit=7).start()
    loop.edit("e", set=[{"path": "x", "expression": "[x, `1`]"}]).connect("e", "e")
    workflows = [
        loop.build(),
        *(chain(code("a", name), END, workflow_id=name) for name in _FAILING),
        chain(edit("wrong", move=[{"from": "absent", "to": "x"}]), END, workflow_id="edit"),
        chain(edit("wrong", set=[{"path": "x", "expression": "sum(x)"}]), END, workflow_id="expression"),
        chain({"id": "s", "type": "switch", "configuration": {"cases": [{"output": "a", "when": "x"}]}},
              workflow_id="condition"),
        chain({"id": "end", "type": "end", "configuration": {"mappings": [
            {"from": "x", "to": "a"}, {"from": "x", "to": "a.b"}]}}, workflow_id="mapping"),
    ]  # fmt: skip
    async with engine(log) as service:
        await publish(service, *workflows)
        for definition in workflows:
            await service.run_workflow(definition.id, {"x": "text"})
    return log


async def _refusals() -> Log:
    """Commands that are refused, for every reason there is, and commands that come twice."""
    clock = Hours()
    log = SimulatedLog(2, clock.seconds)
    gate = Gate()
    async with engine(log, gate, clock) as service:
        await publish(service, chain(END, workflow_id="quick"), chain(code("a", "wait"), END, workflow_id="waiting"))
        ended = (await service.run_workflow("quick", {"x": 1})).run_id
        await refused(service.start_workflow_run_and_wait(ended, {"x": 2}))
        await refused(service.cancel_workflow_run(ended, "too late"))
        waiting = await service.create_workflow_run("waiting", tags=["a"])
        await service.start_workflow_run_and_notify(waiting, {"x": 1})
        await gate.begun.wait()
        await refused(service.start_workflow_run_and_wait(waiting, {"x": 2}))
        unknown, raw, old = (
            SystemIds(clock).run_id(),
            SystemIds(clock).run_id(),
            make_run_id(clock.milliseconds() - 7_200_000, 1),
        )
        commands: list[tuple[str, bytes]] = [
            (unknown, encode(CancelRun(id="cancel of nothing", run=unknown))),
            (unknown, encode(StartRun(id="start of nothing", run=unknown))),
            (ended, encode(CancelRun(id="too late", run=ended))),
            (ended, encode(StartRun(id="once more", run=ended, context={"x": 2}))),
            (ended, encode(StartRun(id="the same once more", run=ended, context={"x": 1}))),
            (waiting, encode(StartRun(id="started twice", run=waiting, context={"x": 2}))),
            (raw, encode(CreateRun(id="no workflow", run=raw, workflow="absent"))),
            (old, encode(CreateRun(id="too old", run=old, workflow="quick"))),
            (waiting, encode(CreateRun(id="another workflow", run=waiting, workflow="quick"))),
            (waiting, encode(CreateRun(id="the same again", run=waiting, workflow="waiting", tags=["a"]))),
            (raw, b"no JSON"),
            (raw, b"\xff\xfe"),
            (raw, b'{"format":2,"id":"x","run":"' + raw.encode() + b'","type":"run.create"}'),
            (
                raw,
                encode(StartRun(id="s", run=raw, workflow="quick", context={"x": {"$type": "never heard of", "v": 1}})),
            ),
        ]
        for key, value in commands:
            log.land(COMMANDS, partition_of(key, 2), Record(key, value, {}))
        stray = SystemIds(clock).run_id()
        wrong = 1 - partition_of(stray, 2)
        log.land(COMMANDS, wrong, Record(stray, encode(StartRun(id="stray", run=stray, workflow="quick")), {}))
        again = encode(StartRun(id="stray twice", run=stray, workflow="quick"))
        log.land(COMMANDS, wrong, Record(stray, again, {"forwarded": "0/0"}))
        await service.wait_for_workflow_run((await service.run_workflow("quick", {})).run_id)
        await settled(log, service)
        gate.open.set()
        await service.wait_for_workflow_run(waiting)
    return log


async def settled(log: SimulatedLog, service: EngineService) -> None:
    """Wait until an engine has decided all commands."""
    executor = service._executor
    assert executor is not None
    ends = {number: log.partition(COMMANDS, number).end for number in range(log.partitions)}
    await until(lambda: all(executor._partitions[number].decided == end for number, end in ends.items()))


async def _cancels() -> Log:
    """Runs that are cancelled: before their start, while a node works, with and without a reason."""
    log = SimulatedLog()
    for reason in ("enough", ""):
        gate = Gate()
        async with engine(log, gate) as service:
            await publish(service, chain(edit("e"), code("a", "wait"), code("b", "count"), END))
            for started in (True, False):
                run_id = await service.create_workflow_run("chain", tags=["to be cancelled"])
                if started:
                    await service.start_workflow_run_and_notify(run_id, {"x": 1})
                    await gate.begun.wait()
                await service.cancel_workflow_run(run_id, reason)
            await service.create_workflow_run("chain")
    return log


async def _attempts() -> Log:
    """Executors that die, replace each other and write on when they are replaced; attempts that are tried again."""
    log = SimulatedLog(2, shared=True)
    runs: list[str] = []
    for number in range(_EXECUTORS):
        gate = Gate()
        client = log.client()
        service = EngineService.open(client, registry(gate), executor=True, clock=QuickClock())
        await service.__aenter__()
        if not number:
            await publish(service, chain(code("a", "count"), code("b", "wait"), code("c", "count"), END))
        for _ in range(2):
            runs.append(await service.create_workflow_run("chain"))
            await service.start_workflow_run_and_notify(runs[-1], {"executor": number})
        async with asyncio.timeout(SECONDS):
            await gate.begun.wait()
            await turns(200)
            # What it still writes lands behind its successor's fence, or never.
            client.hold()
            gate.open.set()
            await turns(200)
            async with engine(log, Gate()):
                if number % 2:
                    client.release()
                    await turns(20)
        client.abandon()
        await asyncio.gather(service.__aexit__(None, None, None), return_exceptions=True)
    gate = Gate()
    gate.open.set()
    async with engine(log, gate) as service:
        for run_id in runs:
            await service.wait_for_workflow_run(run_id)
    return log


async def turns(count: int) -> None:
    """Let the event loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def _checkpoints() -> Log:
    """Checkpoints of several parts, begun from again and again; ids of ended runs that are forgotten."""
    clock = Hours()
    log = SimulatedLog(1, clock.seconds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.executor.checkpointer.CHECKPOINT_BYTES_MIN", 12_000)
        patch.setattr("engine.core.checkpoint.CHECKPOINT_PART_BYTES", 1_000)
        for _ in range(_HOURS):
            async with engine(log, Gate(), clock) as service:
                await publish(service, chain(edit("e"), code("a", "wait"), END), chain(END, workflow_id="quick"))
                for number in range(3):
                    context = {"number": number, "at": datetime(2026, 3, 1, tzinfo=UTC)}
                    run_id = await service.create_workflow_run("chain", tags=["open"])
                    if number:
                        await service.start_workflow_run_and_notify(run_id, context)
                    for _ in range(2):
                        await service.run_workflow("quick", context)
                await turns(500)
            clock.ahead += timedelta(hours=2)
    return log


def _typed() -> ContextObject:
    """Return a context with a value of every type there is."""
    context = ContextObject()
    values: Mapping[str, object] = {
        "none": None,
        "true": True,
        "int": -(2**63),
        "float": 1e-7,
        "whole float": 1.0,
        "text": 'ü "quoted" \\ \n \u2028',
        "list": [1, [2, [3]], {}],
        "object": {"": 0, "a b": {"c": []}},
        "datetime": datetime(2026, 3, 1, 9, 30, 0, 5, UTC),
        "without a zone": datetime(2026, 3, 1, 9, 30),  # noqa: DTZ001 - that is another value
        "with a zone": datetime.fromisoformat("2026-03-01T09:30:00+01:00"),
        "date": date(1, 1, 1),
        "time": time(23, 59, 59, 999_999),
        "timedelta": timedelta(days=-1, microseconds=7),
        "uuid": UUID(int=5),
        "decimal": Decimal("1.50"),
        "large decimal": Decimal("-1E+20"),
        "bytes": bytes(range(256)),
    }
    for number, value in enumerate(values.values()):
        context.set(f"values.v{number}", value)
    context.set("names", list(values))
    return context


async def _contexts() -> Log:
    """Contexts with values of all types, deep ones, and a large one; changes of every kind."""
    log = SimulatedLog()
    deep: object = "bottom"
    for _ in range(50):
        deep = [deep] if isinstance(deep, dict) else {"in": deep}
    async with engine(log) as service:
        steps = [
            edit("copy", copy=[{"from": "values", "to": "again.values"}], delete=["values.v0"]),
            code("a", "count"),
            edit("part", set=[{"path": "again.values.v1", "expression": "again.values.v6[1]"}], delete=["names[0]"]),
        ]
        await publish(service, chain(*steps, END))
        typed = _typed()
        await service.run_workflow("chain", typed)
        typed.set("deep", deep)
        await service.run_workflow("chain", typed)
        await service.run_workflow("chain", {"values": {"v6": [1, 2]}, "names": ["ü" * 20] * 300, "n": 41})
    return log


async def _parts() -> Log:
    """Runs whose decisions need several commits: a limit of events is reached, and inputs wait for the next commit."""
    log = SimulatedLog()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.core.decide.COMMIT_EVENTS_MAX", 6)
        loop = (
            WorkflowBuilder("loop", "Loop")
            .start()
            .edit("count", set=[{"path": "n", "expression": "sum([n || `0`, `1`])"}])
        )
        loop.switch("more", cases=[{"output": "again", "when": "n < `9`"}]).after("more", "default").end()
        async with engine(log) as service:
            await publish(service, loop.connect("more", "count", "again").build())
            for n in (0, 7):
                await service.run_workflow("loop", {"n": n})
    return log


SCENARIOS: Final[Mapping[str, Scenario]] = {
    name: Scenario((write.__doc__ or "").removesuffix("."), write)
    for name, write in {
        "answer": _answer,
        "attempts": _attempts,
        "cancels": _cancels,
        "checkpoints": _checkpoints,
        "contexts": _contexts,
        "dependency-audit": _dependency_audit,
        "failures": _failures,
        "node-types": _node_types,
        "parts": _parts,
        "refusals": _refusals,
    }.items()
}
"""What can be recorded, by name."""
