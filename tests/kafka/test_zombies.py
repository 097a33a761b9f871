"""An executor that is stopped, replaced, and goes on later: what it still writes counts for nobody."""

import os
import signal
import time
from pathlib import Path

import pytest

from engine.log.kafka import KafkaLog
from tests.kafka.engines import SECONDS, client, eventually
from tests.kafka.foreign import Foreign
from tests.kafka.points import Point
from tests.kafka.workers import FEW, Load, Workers, check, everything, executors, late, workflow
from tests.support.logs import new_location

PARTITIONS = 2
STARTERS = 4


async def stopped(process: int) -> None:
    """Wait until a process stands still."""

    def look() -> bool:
        return os.waitid(os.P_PID, process, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None

    await eventually(look, "the executor stops itself")


async def more_fences(log: KafkaLog, least: int) -> int:
    """Return how many fences there are, when there are enough."""
    begun = time.monotonic()
    while (found := sum(len(executors(records)) for records in await everything(log))) < least:
        assert time.monotonic() < begun + SECONDS, f"{least} fences did not come, only {found}"
    return found


async def late_ones(log: KafkaLog, point: Point) -> None:
    """Wait until the zombie has written something under its old epoch."""
    kind = "runline.commit" if point is Point.COMMIT_DUE else "runline.checkpoint"
    begun = time.monotonic()
    while True:
        records = [record for partition in await everything(log) for record in late(partition)]
        if any(record.headers["ce_type"] == kind for record in records):
            return
        assert time.monotonic() < begun + SECONDS, f"no {kind} of the zombie came"


@pytest.mark.parametrize("point", [Point.FENCE_DUE, Point.COMMIT_DUE, Point.PART_DUE])
async def test_what_a_replaced_executor_still_writes_counts_for_nobody_and_it_finds_its_place_again(
    broker: str, tmp_path: Path, point: Point
) -> None:
    location = await new_location(broker, PARTITIONS)
    log = await KafkaLog.open(location)
    with Foreign(location) as foreign, Workers(location, tmp_path / "ledger") as workers:
        async with client(location) as engine:
            await engine.publish_workflow(workflow())
            load = Load(engine, foreign, PARTITIONS)
            zombie = workers.start((signal.SIGSTOP, point, 1))
            load.begin(STARTERS)
            await stopped(zombie.pid)
            before = await more_fences(log, 0)
            successor = workers.start()
            taken = await more_fences(log, before + PARTITIONS)
            acknowledged = len(load.acknowledged)
            await eventually(lambda: len(load.acknowledged) > acknowledged + FEW, "the successor works")
            zombie.send_signal(signal.SIGCONT)
            if point is Point.FENCE_DUE:
                await more_fences(log, taken + 1)
            else:
                await late_ones(log, point)
            acknowledged = len(load.acknowledged)
            await eventually(lambda: len(load.acknowledged) > acknowledged + FEW, "work goes on beside the zombie")
            await load.end(log)
            for process in (zombie, successor):
                assert process.poll() is None, "an executor has ended by itself"
                process.terminate()
                await workers.gone(process, 0)
        records = await check(log, load, workers.effects())
        print(
            f"{sum(len(late(each)) for each in records)} records too late, {[len(set(executors(r))) for r in records]}"
        )
        await log.close()
