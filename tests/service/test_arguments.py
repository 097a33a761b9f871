"""Arguments that make no sense are refused before anything is done."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from engine import ArgumentError, EngineService, Registry, RegistryError
from engine.arguments import check_workflow
from engine.errors import CommandRefusedError, RunIdInvalidError
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX, RUN_TAGS_MAX, TAG_CHARACTERS_MAX
from engine.log.port import COMMANDS
from engine.workflow.definition import WorkflowDefinition
from tests.simulation.log import SimulatedLog
from tests.support.workflows import END, chain


class Service:
    async def run_progress(self, run: object) -> None:
        """Hear nothing."""

    async def trace_progress(self, trace: object) -> None:
        """Hear nothing."""


class Yields(Service):
    def run_progress(self, run: object) -> Iterator[object]:  # type: ignore[override]  # the mistake
        yield run


WRONG: dict[str, Callable[[], EngineService]] = {
    "a Registry": lambda: EngineService.open("data", math),  # type: ignore[arg-type]  # the mistake
    "a directory or an open log": lambda: EngineService.open(5),  # type: ignore[arg-type]  # the mistake
    "'fsync' or 'process'": lambda: EngineService.open("data", durability="fast"),  # type: ignore[arg-type]  # the mistake
    "at least 1 as nodes_running_max": lambda: EngineService.open("data", nodes_running_max=0),
    "at least 1 as nodes_running_per": lambda: EngineService.open("data", nodes_running_per_workflow_max=True),
    "the class Service": lambda: EngineService.open("data", progress_services=[Service]),  # type: ignore[list-item]  # the mistake
    "that run when they are called": lambda: EngineService.open("data", progress_services=[Yields()]),  # type: ignore[list-item]  # the mistake
    "a sequence of objects": lambda: EngineService.open("data", progress_services=Service()),  # type: ignore[arg-type]  # the mistake
}


@pytest.mark.parametrize("text", WRONG)
def test_what_an_engine_cannot_be_opened_with_is_said(text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        WRONG[text]()


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("", r"a directory or kafka://HOST:PORT,\.\.\./PREFIX, but found an empty text"),
        ("http://x", r"a directory or kafka://HOST:PORT,\.\.\./PREFIX, but found 'http://x'"),
        (300 * "x", "at most 255 bytes, but found one with 300"),
        (Path(300 * "x"), "at most 255 bytes, but found one with 300"),
        ("a\0b", "no null characters"),
        ("\udcff", "in UTF-8"),
    ],
)
def test_a_place_where_no_log_can_be_is_refused_before_anything_is_made(location: str | Path, said: str) -> None:
    with pytest.raises(ArgumentError, match=f"Expected .*{said}"):
        EngineService.open(location)


@pytest.mark.parametrize("workflow", [3, None, b"order.yaml", {"id": "order"}, WorkflowDefinition])
def test_what_is_no_workflow_is_said(workflow: object) -> None:
    with pytest.raises(ArgumentError, match="a workflow's file or a WorkflowDefinition, but found"):
        check_workflow(workflow)


def test_a_workflow_is_a_file_or_a_definition() -> None:
    for workflow in ("order.yaml", Path("order.yaml"), chain(END)):
        check_workflow(workflow)


@pytest.mark.parametrize("reason", [3, None, "x" * (ERROR_MESSAGE_CHARACTERS_MAX + 1), "\udcff"])
async def test_a_reason_that_cannot_be_recorded_cancels_nothing(reason: str) -> None:
    log = SimulatedLog()
    async with EngineService.open(log) as engine:
        await engine.publish_workflow(chain(END))
        run_id = await engine.create_workflow_run("chain")
        with pytest.raises(CommandRefusedError, match=f"Expected a reason .* of type {type(reason).__name__}: "):
            await engine.cancel_workflow_run(run_id, reason)
    assert len(log.partition(COMMANDS, 0).records) == 1


@pytest.mark.parametrize(
    "timeout",
    ["soon", -1, math.nan, True, 10**400, 10**5000, -(10**400)],
    ids=["text", "negative", "nan", "truth", "large", "unprintable", "negative and large"],
)
async def test_a_timeout_that_is_none_starts_nothing(timeout: float) -> None:
    log = SimulatedLog()
    async with EngineService.open(log) as engine:
        await engine.publish_workflow(chain(END))
        run_id = await engine.create_workflow_run("chain")
        for call in (
            engine.start_workflow_run_and_wait(run_id, None, timeout),
            engine.run_workflow("chain", None, timeout),
            engine.wait_for_workflow_run(run_id, timeout),
        ):
            with pytest.raises(ArgumentError, match="seconds from 0 on"):
                await call
    assert len(log.partition(COMMANDS, 0).records) == 1


async def test_a_context_and_a_run_id_of_another_type_are_refused_with_a_hint() -> None:
    async with EngineService.open(SimulatedLog()) as engine:
        await engine.publish_workflow(chain(END))
        with pytest.raises(ArgumentError, match="deserialize"):
            await engine.run_workflow("chain", '{"x": 1}')  # type: ignore[arg-type]  # the mistake
        with pytest.raises(RunIdInvalidError, match="7"):
            await engine.get_run(7)  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize(
    "tags",
    [
        "urgent", b"urgent", 5, {"urgent"}, [5], [""], ["x" * (TAG_CHARACTERS_MAX + 1)], ["a\nb"], ["\x85"], ["\udcff"],
        ["a", "a"], [f"{number}" for number in range(RUN_TAGS_MAX + 1)],
    ],
)  # fmt: skip
async def test_tags_that_no_run_can_have_are_refused_with_the_limits(tags: Sequence[str]) -> None:
    log = SimulatedLog()
    async with EngineService.open(log) as engine:
        await engine.publish_workflow(chain(END))
        for call in (engine.create_workflow_run("chain", tags=tags), engine.run_workflow("chain", tags=tags)):
            with pytest.raises(ArgumentError, match=r"Expected (a sequence of texts as|at most 20 different) tags"):
                await call
    assert log.partition(COMMANDS, 0).records == []


def test_a_decorator_without_its_name_is_refused() -> None:
    registry = Registry()
    with pytest.raises(RegistryError, match=r'@registry.node\("score"\)'):

        @registry.node  # type: ignore[arg-type]  # the mistake
        def score() -> None:
            pass


@pytest.mark.parametrize("workflow_id", [None, 5, [], {}, b"chain"])
async def test_what_is_no_text_is_no_workflow_s_id(workflow_id: str) -> None:
    async with EngineService.open(SimulatedLog(), Registry()) as service:
        for call in (service.create_workflow_run, service.run_workflow):
            with pytest.raises(ArgumentError, match="a workflow's id, a text"):
                await call(workflow_id)
