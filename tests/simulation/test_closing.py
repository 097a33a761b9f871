"""The end of an engine whose functions do not want to end."""

import asyncio

from engine import Call, ContextObject, EngineService
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import in_simulation
from tests.support.workflows import END, chain, code, registry

_HOURS = 5 * 3_600.0


async def _close_beside_a_stubborn_function() -> float:
    functions, begun = registry(), asyncio.Event()

    @functions.node("stubborn")
    async def stubborn(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - a node function's signature
        loop = asyncio.get_running_loop()
        until = loop.time() + _HOURS
        begun.set()
        while (left := until - loop.time()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                continue

    loop = asyncio.get_running_loop()
    async with EngineService.open(SimulatedLog(), functions) as engine:
        await engine.publish_workflow(chain(code("a", "stubborn"), END))
        run_id = await engine.create_workflow_run("chain")
        await engine.start_workflow_run_and_notify(run_id)
        await begun.wait()
        closing = loop.time()
    return loop.time() - closing


def test_an_engine_closes_although_a_function_catches_its_cancellation() -> None:
    assert in_simulation(1, _close_beside_a_stubborn_function) < _HOURS / 100
