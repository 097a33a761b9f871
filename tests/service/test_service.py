"""The calls a program makes, from the seed page's point of view."""

import asyncio
import threading
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from uuid import UUID

import pytest

from engine import (
    Call,
    ContextObject,
    ContextUnregisteredError,
    EngineService,
    Registry,
    Run,
    RunStatus,
    Trace,
    WorkflowBuilder,
    WorkflowDefinition,
)
from engine.context import ContextError
from engine.errors import (
    ClosedError,
    DefinitionError,
    LogLockedError,
    LoopRunningError,
    RunIdInvalidError,
    RunNotFoundError,
    WaitTimeoutError,
    WorkflowAmbiguousError,
    WorkflowNotFoundError,
)
from engine.limits import CONTEXT_BYTES_MAX, RUN_TAGS_MAX, TAG_CHARACTERS_MAX, TRACEBACK_CHARACTERS_MAX
from engine.log.port import COMMANDS, EVENTS
from tests.simulation.log import SimulatedLog
from tests.support.workflows import END, chain, code, registry

NEVER = "01939d5c-0000-7000-8000-000000000001"


def one(function: str, workflow_id: str = "one", name: str | None = None) -> WorkflowDefinition:
    return WorkflowBuilder(workflow_id, name or workflow_id).start().code("a", function=function).end().build()


class Notes:
    """A progress service that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.ended = asyncio.Event()

    async def run_progress(self, run: Run) -> None:
        self.heard.append(f"run {run.run_status.value}")
        if run.run_status.terminal:
            self.ended.set()

    async def trace_progress(self, trace: Trace) -> None:
        self.heard.append(f"{trace.node_id} {trace.trace_status.value}")


async def test_typed_values_go_in_and_come_out_as_they_were(tmp_path: Path) -> None:
    class Colour(Enum):
        RED = 1

    functions = Registry()
    functions.converters.register_enum(Colour, "colour")
    seen: list[object] = []

    @functions.node("look")
    def look(context: ContextObject, call: Call) -> dict[str, object]:
        seen.extend(context["input"].values())  # type: ignore[attr-defined]  # a context in a context
        return {"output.attempt": call.attempt, "output.colour": Colour.RED}

    given: dict[str, object] = {
        "now": datetime.now(UTC),
        "price": Decimal("1.10"),
        "id": UUID(int=5),
        "bytes": b"\x00\xff",
        "colour": Colour.RED,
    }
    async with EngineService.open(tmp_path / "data", functions) as engine:
        await engine.publish_workflow(one("look"))
        run = await engine.run_workflow("one", {"input": given}, timeout=60)
    assert run.run_status is RunStatus.SUCCESS, run.error
    assert seen == list(given.values())
    output = ContextObject.deserialize(run.output_context, functions.converters)
    assert output.get("input.now", datetime) == given["now"]
    assert output.get("output.colour", Colour) is Colour.RED
    assert output.get("output.attempt", int) == 1


async def test_none_and_several_matches_of_a_name_are_two_errors() -> None:
    async with EngineService.open(SimulatedLog(), registry()) as engine:
        with pytest.raises(WorkflowNotFoundError, match="'Twin'"):
            await engine.get_workflow_id("Twin")
        await engine.publish_workflow(one("add", "a", "Twin"))
        assert await engine.get_workflow_id("Twin") == "a"
        await engine.publish_workflow(one("add", "b", "Twin"))
        with pytest.raises(WorkflowAmbiguousError, match="a, b"):
            await engine.get_workflow_id("Twin")
        with pytest.raises(WorkflowNotFoundError, match="twin"):
            await engine.create_workflow_run("twin")


async def test_a_run_has_the_tags_it_was_created_with_for_good() -> None:
    most = [f"{number:>{TAG_CHARACTERS_MAX}}" for number in range(RUN_TAGS_MAX)]
    log = SimulatedLog()
    async with EngineService.open(log, registry()) as engine:
        await engine.publish_workflow(one("add"))
        created = await engine.create_workflow_run("one", tags=("zeta", "customer 42 ✓"))
        assert (await engine.get_run(created)).tags == ("zeta", "customer 42 ✓")
        started = await engine.start_workflow_run_and_wait(created, timeout=60)
        assert started.tags == ("zeta", "customer 42 ✓")
        assert (await engine.run_workflow("one", timeout=60, tags=most)).tags == tuple(most)
        plain = await engine.run_workflow("one", timeout=60)
        assert plain.tags == ()
    for record in (*log.partition(COMMANDS, 0).records, *log.partition(EVENTS, 0).records):
        assert record.key != plain.run_id or b"tags" not in record.value
    async with EngineService.open(log.client(), registry()) as engine:
        assert (await engine.get_run(created)).tags == ("zeta", "customer 42 ✓")


async def test_a_run_keeps_the_version_it_was_created_with() -> None:
    async with EngineService.open(SimulatedLog(), registry()) as engine:
        first = await engine.publish_workflow(one("add"))
        old = await engine.create_workflow_run("one")
        second = await engine.publish_workflow(one("fail"))
        assert first.version != second.version
        assert (await engine.start_workflow_run_and_wait(old, timeout=60)).run_status is RunStatus.SUCCESS
        new = await engine.run_workflow("one", timeout=60)
        assert (new.run_status, new.workflow_version) == (RunStatus.FAILED, second.version)


async def test_publishing_the_same_definition_again_writes_nothing() -> None:
    log = SimulatedLog()
    async with EngineService.open(log, registry()) as engine:
        assert await engine.publish_workflow(one("add")) == await engine.publish_workflow(one("add"))
        assert len(log.partition("workflows", 0).records) == 1


async def test_a_definition_that_cannot_run_is_refused_with_all_its_problems() -> None:
    broken = WorkflowDefinition.model_validate(
        {"id": "w", "name": "w", "nodes": [code("a", "nope")], "connections": [{"from": "a", "to": "b"}]}
    )
    async with EngineService.open(SimulatedLog(), registry()) as engine:
        with pytest.raises(DefinitionError) as error:
            await engine.publish_workflow(broken)
        for word in ("start", "nope", "'b'"):
            assert word in str(error.value)


async def test_failure_is_a_status_with_type_message_and_node_never_an_exception() -> None:
    async with EngineService.open(SimulatedLog(), registry()) as engine:
        await engine.publish_workflow(one("fail"))
        run = await engine.run_workflow("one", {"x": 1}, timeout=60)
        assert run.run_status is RunStatus.FAILED
        assert run.error is not None
        assert (run.error.type, run.error.message, run.error.node_id) == ("ValueError", "no", "a")
        assert run.output_context == '{"x":1}'
        (_, trace) = await engine.get_traces(run.run_id)
        assert trace.error == run.error
        assert trace.output_context is None
        assert run.created <= (run.started or run.created) <= (run.stopped or run.created)


@pytest.mark.parametrize(
    ("result", "word"),
    [
        ({"a": object()}, "object"),
        (42, "int"),
        ({"a": float("nan")}, "nan"),
        ({1: 2}, "int"),
        ({"a": "x" * 300_000}, "262,144"),
    ],
)
async def test_a_function_that_returns_what_cannot_be_stored_fails_its_node(result: object, word: str) -> None:
    functions = Registry()

    @functions.node("bad")
    async def bad(context: ContextObject, call: Call) -> object:  # noqa: ARG001 - the signature of a node function
        return result

    async with EngineService.open(SimulatedLog(), functions) as engine:
        await engine.publish_workflow(one("bad"))
        run = await engine.run_workflow("one", timeout=60)
    assert run.run_status is RunStatus.FAILED
    assert run.error is not None
    assert word in run.error.message
    assert run.error.node_id == "a"


@pytest.mark.parametrize(
    "error", [SystemExit(3), asyncio.CancelledError(), StopIteration(), RecursionError("x" * 10_000_000)]
)
async def test_whatever_a_function_raises_fails_its_run_and_no_other(error: BaseException) -> None:
    functions = registry()

    @functions.node("raise")
    async def raise_(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        raise error

    @functions.node("raise_in_thread")
    def raise_in_thread(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
        raise error

    async with EngineService.open(SimulatedLog(), functions) as engine:
        for name in ("raise", "raise_in_thread", "add"):
            await engine.publish_workflow(one(name, name))
        runs = [await engine.run_workflow(name, timeout=60) for name in ("raise", "raise_in_thread", "add")]
    assert [run.run_status.value for run in runs] == ["Failed", "Failed", "Success"]
    assert all(len(str(run.error)) < 5_000 for run in runs)


async def test_a_context_that_cannot_be_stored_is_refused_before_anything_is_written() -> None:
    log = SimulatedLog()
    async with EngineService.open(log, registry()) as engine:
        await engine.publish_workflow(one("add"))
        run_id = await engine.create_workflow_run("one")
        before = len(log.partition(COMMANDS, 0).records)
        for context in ({"x": object()}, {"x": "y" * CONTEXT_BYTES_MAX}, {"$type": 1}, {"x": 2**63}):
            with pytest.raises(ContextError):
                await engine.start_workflow_run_and_wait(run_id, context)
        assert len(log.partition(COMMANDS, 0).records) == before
        assert (await engine.get_run(run_id)).run_status is RunStatus.CREATED


@pytest.mark.parametrize("text", ["", "x", NEVER.upper(), NEVER.replace("7000", "4000"), "../" * 30])
async def test_a_run_id_that_is_none_is_said_to_be_none(text: str) -> None:
    async with EngineService.open(SimulatedLog()) as engine:
        for call in (engine.get_run, engine.get_traces, engine.start_workflow_run_and_wait, engine.cancel_workflow_run):
            with pytest.raises(RunIdInvalidError, match="UUID of version 7"):
                await call(text)
        with pytest.raises(RunNotFoundError):
            await engine.get_run(NEVER)


async def test_a_wait_gives_up_after_its_timeout_leaves_nothing_behind_and_the_run_goes_on() -> None:
    functions, gate = Registry(), asyncio.Event()

    @functions.node("gate")
    async def wait(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        await gate.wait()

    async with EngineService.open(SimulatedLog(), functions) as engine:
        await engine.publish_workflow(one("gate"))
        run_id = await engine.create_workflow_run("one")
        with pytest.raises(WaitTimeoutError, match="goes on"):
            await engine.start_workflow_run_and_wait(run_id, timeout=0.01)
        with pytest.raises(WaitTimeoutError):
            await engine.wait_for_workflow_run(run_id, timeout=0.01)
        assert len(engine._waiters) == 0
        gate.set()
        assert (await engine.wait_for_workflow_run(run_id, timeout=60)).run_status is RunStatus.SUCCESS
        assert (await engine.wait_for_workflow_run(run_id, timeout=60)).run_status is RunStatus.SUCCESS


async def test_closing_the_engine_tells_those_who_wait() -> None:
    functions = Registry()

    @functions.node("never")
    async def never(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        await call.wait_cancelled()

    async with EngineService.open(SimulatedLog(), functions) as engine:
        await engine.publish_workflow(one("never"))
        run = asyncio.create_task(engine.run_workflow("one"))
        await asyncio.sleep(0.05)
    with pytest.raises(ClosedError):
        await run
    with pytest.raises(ClosedError):
        await engine.get_run(NEVER)


def test_a_program_without_a_loop_runs_a_workflow_synchronously(tmp_path: Path) -> None:
    with EngineService.open(tmp_path, registry()) as engine:
        engine.synchronously(engine.publish_workflow(one("add")))
        run_id = engine.synchronously(engine.create_workflow_run("one"))
        run = engine.start_workflow_run_synchronously(run_id, {"total": 41}, timeout=60)
    assert run.output_context == '{"total":42}'


async def test_a_blocking_call_inside_a_loop_is_refused_with_a_hint() -> None:
    async with EngineService.open(SimulatedLog(), registry()) as engine:
        with pytest.raises(LoopRunningError, match="Await"):
            engine.start_workflow_run_synchronously(NEVER)
    with pytest.raises(LoopRunningError, match="async with"), EngineService.open(SimulatedLog()):
        pass


async def test_a_blocking_call_from_a_node_functions_thread_runs_another_workflow() -> None:
    functions = registry()

    async with EngineService.open(SimulatedLog(), functions) as engine:

        @functions.node("outer")
        def outer(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
            run = engine.synchronously(engine.run_workflow("one", timeout=60))
            context.set("inner", run.run_status.value)

        await engine.publish_workflow(one("add"))
        await engine.publish_workflow(one("outer", "outer"))
        run = await engine.run_workflow("outer", timeout=60)
    assert run.output_context == '{"inner":"Success"}'


async def test_a_second_engine_on_the_same_directory_is_told_who_has_it(tmp_path: Path) -> None:
    async with EngineService.open(tmp_path):
        with pytest.raises(LogLockedError, match=str(tmp_path)):
            async with EngineService.open(tmp_path):
                pass


async def test_a_function_that_hangs_does_not_stop_other_runs_and_a_limit_is_kept() -> None:
    functions, running, most, release = registry(), 0, 0, threading.Event()
    together = asyncio.Event()

    @functions.node("hang")
    def hang(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        release.wait()

    @functions.node("count")
    async def count(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
        nonlocal running, most
        running += 1
        most = max(most, running)
        # As many as the limit allows are there together, however slowly they come.
        if running == 2:
            together.set()
        await together.wait()
        await asyncio.sleep(0.002)
        running -= 1

    async with EngineService.open(
        SimulatedLog(), functions, nodes_running_max=4, nodes_running_per_workflow_max=2
    ) as engine:
        await engine.publish_workflow(one("hang", "hang"))
        await engine.publish_workflow(one("count"))
        stuck = await engine.create_workflow_run("hang")
        await engine.start_workflow_run_and_notify(stuck)
        runs = await asyncio.gather(*(engine.run_workflow("one", timeout=60) for _ in range(20)))
        assert {run.run_status for run in runs} == {RunStatus.SUCCESS}
        assert most == 2
        assert (await engine.get_run(stuck)).run_status is RunStatus.RUNNING
        release.set()


async def test_the_traceback_of_a_failed_function_is_logged_with_its_end(caplog: pytest.LogCaptureFixture) -> None:
    functions = Registry()

    @functions.node("missing")
    def missing(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - a node function's signature
        context.get("nothing.here")  # the line to look for

    @functions.node("deep")
    def deep(context: ContextObject, call: Call, depth: int = 0) -> None:
        if depth == 300:
            raise RuntimeError("at the very bottom")
        # Two calls by turns, which a traceback does not shorten.
        (deep if depth % 2 else other)(context, call, depth + 1)

    def other(context: ContextObject, call: Call, depth: int) -> None:
        deep(context, call, depth + 1)

    async with EngineService.open(SimulatedLog(), functions) as engine:
        for function in ("missing", "deep"):
            await engine.publish_workflow(one(function))
            assert (await engine.run_workflow("one", timeout=60)).run_status is RunStatus.FAILED
    first, second = (record.getMessage() for record in caplog.records if record.name == "runline.executor")
    assert "# the line to look for" in first
    assert "... (cut from " in second
    assert "Traceback (most recent call last)" in second
    assert second.rstrip().endswith("RuntimeError: at the very bottom")
    assert len(second) < TRACEBACK_CHARACTERS_MAX + 200


async def test_a_run_that_stands_at_what_this_process_does_not_have_is_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = SimulatedLog()
    async with EngineService.open(log, registry()) as engine:
        await engine.publish_workflow(one("add"))
    async with EngineService.open(log) as engine:
        for _ in range(2):
            run_id = await engine.create_workflow_run("one")
            with pytest.raises(WaitTimeoutError):
                await engine.start_workflow_run_and_wait(run_id, timeout=0.2)
    (said,) = [record.getMessage() for record in caplog.records if record.name == "runline.executor"]
    assert said.startswith("Run ")
    assert "cannot go on here at node a: No function 'add' is registered" in said


async def test_a_context_with_types_that_the_registry_does_not_have_is_refused_at_the_start() -> None:
    class Colour(Enum):
        RED = "red"

    others = Registry()
    others.converters.register_enum(Colour, "colour")
    context = ContextObject({"colour": Colour.RED}, converters=others.converters)
    async with EngineService.open(SimulatedLog(), registry()) as engine:
        await engine.publish_workflow(one("add"))
        with pytest.raises(ContextUnregisteredError, match="at 'colour'"):
            await engine.run_workflow("one", context, timeout=60)
        # A registry of the same types will do, and so will a process that only passes contexts on.
        engine.registry.converters.register_enum(Colour, "colour")
        assert (await engine.run_workflow("one", context, timeout=60)).run_status is RunStatus.SUCCESS


async def test_progress_services_hear_every_change_in_order_one_after_the_other() -> None:
    first, second = Notes(), Notes()
    async with EngineService.open(SimulatedLog(), registry(), progress_services=[first, second]) as engine:
        await engine.publish_workflow(one("add"))
        run_id = await engine.create_workflow_run("one")
        await engine.start_workflow_run_and_notify(run_id)
        await asyncio.wait_for(second.ended.wait(), 60)
    expected = ["run Created", "run Running"]
    expected += [f"{node} {status}" for node in ("start", "a", "end") for status in ("Running", "Success")]
    assert first.heard == second.heard == [*expected, "run Success"]


async def test_a_progress_service_that_throws_or_stalls_harms_neither_runs_nor_others(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.progress.PROGRESS_STALL_SECONDS", 0.02)
    monkeypatch.setattr("engine.progress.PROGRESS_RETRY_SECONDS", 0.001)
    monkeypatch.setattr("engine.progress.DRAIN_SECONDS", 0.2)

    class Thrower(Notes):
        async def run_progress(self, run: Run) -> None:  # noqa: ARG002 - it never looks
            raise RuntimeError("observer broke")

    class Staller(Notes):
        async def trace_progress(self, trace: Trace) -> None:  # noqa: ARG002 - it never looks
            await asyncio.Event().wait()

    fine = Notes()
    services = [Thrower(), Staller(), fine]
    async with EngineService.open(SimulatedLog(), registry(), progress_services=services) as engine:
        await engine.publish_workflow(one("add"))
        runs = await asyncio.gather(*(engine.run_workflow("one", timeout=60) for _ in range(5)))
        assert {run.run_status for run in runs} == {RunStatus.SUCCESS}
        async with asyncio.timeout(60):
            while fine.heard.count("run Success") < 5:  # noqa: ASYNC110 - the list has no event
                await asyncio.sleep(0.01)
    assert "observer broke" in caplog.text
    assert "Staller stalls" in caplog.text
    assert "Staller has not seen everything" in caplog.text


async def test_a_service_behind_one_that_always_throws_hears_everything_before_the_engine_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Whoever waited for another attempt would wait for ever.
    monkeypatch.setattr("engine.progress.PROGRESS_RETRY_SECONDS", 3600)
    monkeypatch.setattr("engine.progress.PROGRESS_STALL_SECONDS", 3600)

    class Thrower(Notes):
        async def run_progress(self, run: Run) -> None:  # noqa: ARG002 - it never looks
            raise RuntimeError("observer broke")

    fine = Notes()
    async with EngineService.open(SimulatedLog(), registry(), progress_services=[Thrower(), fine]) as engine:
        await engine.publish_workflow(one("add"))
        await asyncio.gather(*(engine.run_workflow("one", timeout=60) for _ in range(5)))
    assert fine.heard.count("run Success") == 5


async def test_closing_waits_for_services_that_are_slow_as_long_as_they_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.progress.DRAIN_SECONDS", 0.5)
    monkeypatch.setattr("engine.progress.PROGRESS_STALL_SECONDS", 0.05)

    class Slow(Notes):
        async def run_progress(self, run: Run) -> None:
            await asyncio.sleep(0.1)
            await super().run_progress(run)

    slow, fine = Slow(), Notes()
    async with EngineService.open(SimulatedLog(), registry(), progress_services=[slow, fine]) as engine:
        await engine.publish_workflow(one("add"))
        await asyncio.gather(*(engine.run_workflow("one", timeout=60) for _ in range(4)))
    assert slow.heard.count("run Success") == fine.heard.count("run Success") == 4


async def test_progress_services_may_be_written_without_async() -> None:
    heard: list[str] = []

    class Plain:
        def run_progress(self, run: Run) -> None:
            heard.append(run.run_status.value)

        def trace_progress(self, trace: Trace) -> None:
            assert trace.run_id

    async with EngineService.open(SimulatedLog(), registry(), progress_services=[Plain()]) as engine:
        await engine.publish_workflow(chain(END))
        await engine.run_workflow("chain", timeout=60)
    assert heard == ["Created", "Running", "Success"]
