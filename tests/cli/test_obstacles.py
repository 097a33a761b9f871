import asyncio

from engine import EngineService
from engine.cli.obstacles import OpenRuns
from engine.cli.workflows import make_catalogue
from engine.core.commands import StartRun, encode
from engine.log.port import COMMANDS, Record
from engine.ports import SystemClock, SystemIds
from tests.simulation.log import SimulatedLog
from tests.support.workflows import END, chain

IDS = SystemIds(SystemClock())


async def send_start(log: SimulatedLog, workflow: str) -> None:
    command = StartRun(id=IDS.nonce(), run=IDS.run_id(), workflow=workflow)
    await log.append(COMMANDS, 0, Record(command.run, encode(command), {"ce_type": command.type, "ce_id": command.id}))


async def settle() -> None:
    """Give everything that can happen without the engine the time to happen."""
    for _ in range(200):
        await asyncio.sleep(0)


async def left_after_the_engine_came(log: SimulatedLog) -> tuple[bool, dict[str, str]]:
    waiting = asyncio.create_task(OpenRuns(log, make_catalogue(log)).until(None))
    await settle()
    early = waiting.done()
    async with EngineService.open(log), asyncio.timeout(30):
        return early, await waiting


async def test_a_start_that_nobody_has_decided_is_waited_for() -> None:
    log = SimulatedLog()
    await make_catalogue(log).publish(chain(END, workflow_id="w"))
    await send_start(log, "w")
    assert await left_after_the_engine_came(log) == (False, {})


async def test_a_command_that_is_refused_is_not_waited_for_any_longer() -> None:
    log = SimulatedLog()
    await send_start(log, "unknown")
    await log.append(COMMANDS, 0, Record("nonsense", b"{", {}))
    assert await left_after_the_engine_came(log) == (False, {})


async def test_a_log_without_open_runs_is_left_at_once() -> None:
    assert await left_after_the_engine_came(SimulatedLog()) == (True, {})
