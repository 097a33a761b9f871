"""What user code raises, and what it does to the context that it gets, as the whole engine shows it."""

import asyncio
import logging
from collections.abc import Callable, Iterator

import pytest

from engine import Call, ContextList, ContextObject, EngineService, Registry, RunStatus
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock
from tests.support.unruly import OddError, OddStopError, Unruly, unruly
from tests.support.workflows import END, chain, code


def engine(registry: Registry) -> EngineService:
    return EngineService.open(SimulatedLog(), registry, clock=QuickClock(), nodes_running_max=2)


def raising(make: Callable[[], BaseException]) -> Registry:
    """Return a registry with a function that raises, one that does so in a thread, and one that does not."""
    registry = Registry()

    @registry.node("raise")
    async def raise_(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        raise make()

    @registry.node("raise_in_thread")
    def raise_in_thread(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
        raise make()

    @registry.node("set")
    async def set_(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
        context.set("done", True)

    return registry


@pytest.mark.parametrize("number", range(len(unruly())))
async def test_an_exception_that_cannot_be_told_fails_its_run_and_leaves_the_others_alone(number: int) -> None:
    def case() -> Unruly:
        return unruly()[number]

    async with engine(raising(lambda: case().error)) as service:
        for name in ("raise", "raise_in_thread", "set"):
            await service.publish_workflow(chain(code("a", name), END, workflow_id=name))
        bad = [await service.run_workflow(name, None, 60) for name in ("raise", "raise_in_thread") for _ in range(3)]
        good = await asyncio.gather(*(service.run_workflow("set", None, 60) for _ in range(3)))
    assert {run.run_status for run in bad} == {RunStatus.FAILED}
    assert {(run.error.type, run.error.message) for run in bad if run.error} == {(case().type, case().message)}
    assert {run.run_status for run in good} == {RunStatus.SUCCESS}


async def test_a_stop_iteration_that_cannot_be_told_comes_out_of_its_thread() -> None:
    async with engine(raising(lambda: OddStopError(SystemExit(3)))) as service:
        await service.publish_workflow(chain(code("a", "raise_in_thread"), END))
        run = await service.run_workflow("chain", None, 60)
    assert str(run.error) == "RuntimeError in node a: OddStopError: OddStopError without a text"


async def test_an_exception_is_asked_for_its_text_once_and_a_long_one_is_cut_before_it_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[str] = []

    class SlowError(Exception):
        def __str__(self) -> str:
            asked.append("x")
            return "y" * 1_000_000

    async with engine(raising(SlowError)) as service:
        await service.publish_workflow(chain(code("a", "raise"), END))
        run = await service.run_workflow("chain", None, 60)
    assert run.error is not None
    assert len(asked) == 1
    assert run.error.message.endswith("y... (cut from 1000000 characters)")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "runline.executor"]
    assert line.endswith(f"SlowError: {run.error.message}\n")


@pytest.fixture
def bad_handler() -> Iterator[None]:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise SystemExit(record.getMessage())

    handler = Handler()
    logging.getLogger("runline.executor").addHandler(handler)
    yield
    logging.getLogger("runline.executor").removeHandler(handler)


@pytest.mark.usefixtures("bad_handler")
async def test_a_log_that_takes_no_line_keeps_no_run_open() -> None:
    async with engine(raising(lambda: ValueError("no"))) as service:
        await service.publish_workflow(chain(code("a", "raise"), END))
        assert str((await service.run_workflow("chain", None, 60)).error) == "ValueError in node a: no"


@pytest.mark.parametrize("hidden", [1, {1: 2}, object()])
async def test_what_a_function_does_to_a_wire_form_changes_nothing_but_its_copy(hidden: object) -> None:
    registry = Registry()
    seen: list[str] = []

    @registry.node("hide")
    async def hide(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the signature of a node function
        context.to_wire()["hidden"] = hidden  # type: ignore[assignment]  # user code may do anything
        context.to_wire()["order"]["hidden"] = hidden  # type: ignore[index,call-overload,assignment]  # the same
        context.get("order", ContextObject).to_wire()["hidden"] = hidden  # type: ignore[assignment]  # the same
        context.get("lines", ContextList).to_wire().append(hidden)  # type: ignore[arg-type]  # the same

    @registry.node("look")
    async def look(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
        seen.append(context.serialize())

    given = {"order": {"id": 1}, "lines": [1]}
    async with engine(registry) as service:
        await service.publish_workflow(chain(code("a", "hide"), code("b", "look"), END))
        run = await service.run_workflow("chain", given, 60)
        traces = await service.get_traces(run.run_id)
    assert run.run_status is RunStatus.SUCCESS
    plain = '{"order":{"id":1},"lines":[1]}'
    assert seen == [plain]
    assert {run.output_context, *(trace.output_context for trace in traces)} == {plain}


async def test_a_wire_form_that_a_function_has_set_is_its_own_no_longer() -> None:
    registry = Registry()
    kept: list[dict[str, object]] = []

    @registry.node("keep")
    async def keep(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - the same
        wire: dict[str, object] = {"n": 1}
        kept.append(wire)
        context.set("a", ContextObject.from_wire(wire))  # type: ignore[arg-type]  # a wire form, as it happens
        wire["n"] = object()

    @registry.node("change")
    async def change(context: ContextObject, call: Call) -> None:
        kept[0]["n"] = object()
        context.set("b", call.attempt)

    async with engine(registry) as service:
        await service.publish_workflow(chain(code("a", "keep"), code("b", "change"), END))
        run = await service.run_workflow("chain", None, 60)
    assert run.output_context == '{"a":{"n":1},"b":1}'


def test_odd_exceptions_are_odd() -> None:
    with pytest.raises(SystemExit):
        str(OddError(SystemExit(3)))
