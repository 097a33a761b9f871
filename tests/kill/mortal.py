"""A process that dies at a crash point: engine, views and a progress service on one log.

Usage: mortal.py LOCATION DIRECTORY POINT VISIT; with `-` for POINT it ends when all that was started has ended, and its
views and its service know of it.
"""

import asyncio
import os
import signal
import sys
from collections import Counter
from itertools import count
from pathlib import Path

import engine.log.kafka.member
from consumers.host import Delivery, ServiceHost, Start, open_progress
from engine import EngineService, Run, RunStatus, Trace, crash_points
from engine.crash_points import CrashPoint
from engine.log.opening import is_kafka
from projections import Views
from tests.support.ledger import Ledger, working
from tests.support.workflows import END, chain, code

RUNS = 12
"""Runs of the last life, which dies of nothing."""
OFFSETS_SECONDS = 0.05


class Heard:
    """Notes each change, with its event id."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def run_progress(self, run: Run, delivery: Delivery) -> None:
        """Hear of a run."""
        self._ledger.note("heard", run.run_id, delivery.event_id, run.run_status.value)

    def trace_progress(self, trace: Trace, delivery: Delivery) -> None:
        """Hear of a trace."""
        self._ledger.note("heard", trace.run_id, delivery.event_id, "trace")


def die_at(point: CrashPoint, visit: int) -> None:
    """Let this process die at that visit of the point."""
    visits: Counter[CrashPoint] = Counter()

    def reached(at: CrashPoint) -> None:
        visits[at] += 1
        if at is point and visits[at] == visit:
            os.kill(os.getpid(), signal.SIGKILL)

    crash_points.reached = reached


async def main(location: str, directory: Path, *, dies: bool) -> None:
    """Start runs until this process dies, or wait until all that were started are over."""
    vars(engine.log.kafka.member)["_COMMIT_SECONDS"] = OFFSETS_SECONDS
    ledger = Ledger(directory / "ledger")
    group = None if is_kafka(location) else directory / "group"
    views = Views.folded(directory / "views")
    async with EngineService.open(location, working(ledger.effect, 0.001), views=views, executor=True) as service:
        log = service._log
        await service.publish_workflow(chain(code("a", "quick"), code("b", "blocking"), END))
        progress = open_progress(log, "mortal") if group is None else open_progress(log, "mortal", group)
        async with ServiceHost(log, {"heard": Heard(ledger)}, progress, start=Start.beginning()):
            for number in count():
                if not dies and number == RUNS:
                    break
                run_id = await service.create_workflow_run("chain")
                await service.start_workflow_run_and_notify(run_id)
                ledger.note("started", run_id)
                await service.wait_for_workflow_run(run_id)
                await service.get_run(run_id)
            await over(service, directory / "ledger")


async def over(service: EngineService, ledger: Path) -> None:
    """Wait until every run that was started has ended, in the views too, and the service has heard of it."""
    executor = service._executor
    assert executor is not None
    views = [partition.view for partition in executor._partitions.values()]
    # Started, but not noted before the process died; those that were only created stay as they are.
    while any(state.started for view in views if view is not None for state in view.runs.values()):  # noqa: ASYNC110 - the same
        await asyncio.sleep(0.01)
    started = {words[1] for words in noted(ledger) if words[0] == "started"}
    for run_id in started:
        run = await service.wait_for_workflow_run(run_id, timeout=120)
        assert run.run_status is RunStatus.SUCCESS
        assert await service.get_run(run_id) == run
    async with asyncio.timeout(120):
        while not started <= heard_ends(ledger):  # noqa: ASYNC110 - the ledger is a file
            await asyncio.sleep(0.01)


def noted(ledger: Path) -> list[list[str]]:
    """Return the words of all lines."""
    return [line.split() for line in ledger.read_text().splitlines()]


def heard_ends(ledger: Path) -> set[str]:
    """Return the runs of whose success the service has heard."""
    return {words[1] for words in noted(ledger) if words[0] == "heard" and words[3] == RunStatus.SUCCESS.value}


if __name__ == "__main__":
    if sys.argv[3] != "-":
        die_at(CrashPoint[sys.argv[3]], int(sys.argv[4]))
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), dies=sys.argv[3] != "-"))
