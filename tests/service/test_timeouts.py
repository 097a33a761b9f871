"""A wait that takes too long says what is true of the run, whatever it is."""

import asyncio
from functools import partial

import pytest

from engine import Call, ContextObject, EngineService, Registry, WaitTimeoutError
from engine.catalogue import Catalogue
from engine.runs import LocalRuns
from tests.simulation.log import SimulatedLog
from tests.support.workflows import END, chain, code


async def away(*_: object, **__: object) -> None:
    """Stand for whoever asks brokers that are away."""
    await asyncio.Event().wait()


async def test_a_run_that_was_only_created_is_not_said_to_go_on() -> None:
    async with EngineService.open(SimulatedLog(), Registry()) as engine:
        await engine.publish_workflow(chain(END))
        run_id = await engine.create_workflow_run("chain")
        with pytest.raises(WaitTimeoutError, match="it was created, and not started when the wait began") as error:
            await engine.wait_for_workflow_run(run_id, timeout=0)
        assert "start_workflow_run_and_wait" in error.value.hint


async def test_a_run_that_nothing_was_heard_of_is_not_said_to_go_on() -> None:
    async with EngineService.open(SimulatedLog(), Registry()) as engine:
        await engine.publish_workflow(chain(END))
        with pytest.raises(WaitTimeoutError, match="; it was asked for, and nothing was heard of that in the time"):
            await engine.run_workflow("chain", timeout=0)


async def test_a_run_that_is_known_to_be_started_goes_on() -> None:
    functions = Registry()

    @functions.node("hang")
    async def hang(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - a node function's signature
        await call.wait_cancelled()

    async with EngineService.open(SimulatedLog(), functions) as engine:
        await engine.publish_workflow(chain(code("a", "hang"), END))
        with pytest.raises(WaitTimeoutError, match="; it goes on"):
            await engine.run_workflow("chain", timeout=0.3)


async def test_a_workflow_that_cannot_be_looked_up_in_time_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with EngineService.open(SimulatedLog(), Registry()) as engine:
        monkeypatch.setattr(Catalogue, "refresh", away)
        with pytest.raises(WaitTimeoutError, match="Workflow nowhere was not found out about within 0 s; nothing was"):
            await engine.run_workflow("nowhere", timeout=0)


async def test_what_could_not_be_looked_at_in_time_is_not_said_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with EngineService.open(SimulatedLog(), Registry()) as engine:
        await engine.publish_workflow(chain(END))
        run_id = await engine.create_workflow_run("chain")
        monkeypatch.setattr(LocalRuns, "follow", away)
        for call, said in (
            (partial(engine.wait_for_workflow_run, run_id), "what has become of it was not found out"),
            (partial(engine.start_workflow_run_and_wait, run_id), "nothing was asked of it"),
        ):
            with pytest.raises(WaitTimeoutError, match=said):
                await call(timeout=0)
        assert (await engine.get_run(run_id)).run_status.value == "Created"
