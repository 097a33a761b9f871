"""A process to be killed: goes on with what is open, starts more, and writes down outside what was acknowledged.

Usage: worker.py DIRECTORY RUNS; with RUNS = 0 it ends when no run is open any more.
"""

import asyncio
import sys
from pathlib import Path

from engine import EngineService, WorkflowBuilder
from tests.support.ledger import Ledger, working

LEDGER = Path(sys.argv[1]) / "ledger"
SLOW_SECONDS = 0.02

ledger = Ledger(LEDGER)


async def main(directory: Path, runs: int) -> None:
    """Start runs until killed, or wait until all that were started have ended."""
    workflow = WorkflowBuilder("killed", "Killed").start()
    for name, function in (("a", "quick"), ("b", "slow"), ("c", "blocking")):
        workflow = workflow.code(name, function=function)
    async with EngineService.open(directory / "data", working(ledger.effect, SLOW_SECONDS)) as engine:
        await engine.publish_workflow(workflow.end().build())
        if not runs:
            for line in LEDGER.read_text().splitlines():
                kind, run_id, *_ = line.split()
                if kind == "started":
                    await engine.wait_for_workflow_run(run_id, timeout=240)
            assert engine._executor is not None
            view = engine._executor._partitions[0].view
            assert view is not None
            # Started, but not acknowledged before the kill; those that were only created stay as they are.
            while any(state.started for state in view.runs.values()):  # noqa: ASYNC110 - there is no event outside
                await asyncio.sleep(0.01)
            return

        async def start() -> None:
            run_id = await engine.create_workflow_run("killed")
            await engine.start_workflow_run_and_notify(run_id)
            ledger.note("started", run_id)

        for _ in range(runs // 4):
            await asyncio.gather(start(), start(), start(), start())
            await asyncio.sleep(0.005)
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
