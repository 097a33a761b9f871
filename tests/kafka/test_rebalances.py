"""Executors that come and go: partitions move, also in the middle of being taken over, and the work goes on."""

import random
import signal
import subprocess
import time
from pathlib import Path

from engine.log.kafka import KafkaLog
from tests.kafka.engines import client, eventually
from tests.kafka.foreign import Foreign
from tests.kafka.points import Point
from tests.kafka.workers import FEW, Load, Workers, check, executors, workflow
from tests.support.logs import new_location

PARTITIONS = 6
STARTERS = 4
MOVES = 8
INHERITANCES = 3
MEMBERS_MAX = 3
TAKING_OVER = (Point.ASSIGNED, Point.FENCE_DUE, Point.FENCE_SENT, Point.FENCE_ACKNOWLEDGED, Point.FENCE_READ_BACK)


async def test_executors_that_come_leave_and_die_at_random_share_the_work_and_lose_nothing(
    broker: str, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    location = await new_location(broker, PARTITIONS)
    log = await KafkaLog.open(location)
    with Foreign(location) as foreign, Workers(location, tmp_path / "ledger") as workers:
        async with client(location) as engine:
            await engine.publish_workflow(workflow())
            load = Load(engine, foreign, PARTITIONS)
            load.begin(STARTERS)
            members: list[subprocess.Popen[bytes]] = []
            for move in range(MOVES):
                # One or two come, so that another one comes while partitions are being taken over.
                while len(members) < chance.randint(2, MEMBERS_MAX):
                    members.append(workers.start())
                acknowledged = len(load.acknowledged)
                await eventually(lambda there=acknowledged: len(load.acknowledged) > there + FEW, "work goes on")  # type: ignore[misc]  # bound now
                # At first the oldest, so that those behind it own something in turn.
                leaving = members.pop(0 if move < INHERITANCES else chance.randrange(len(members)))
                await workers.ready(leaving)
                if chance.random() < 0.5:
                    leaving.terminate()
                    await workers.gone(leaving, 0)
                else:
                    leaving.kill()
                    await workers.gone(leaving, -signal.SIGKILL)
            await load.end(log)
            begun = time.monotonic()
            for member in members:
                member.terminate()
            for member in members:
                await workers.gone(member, 0)
            print(f"{len(members)} executors drained and left in {time.monotonic() - begun:.1f} s")
        records = await check(log, load, workers.effects())
        await log.close()
    owners = {owner for partition in records for owner in executors(partition)}
    fences = sum(len(executors(partition)) for partition in records)
    print(f"{fences} fences of {len(owners)} executors")
    assert len(owners) > 2


async def test_a_rebalance_in_the_middle_of_a_takeover_ends_in_bounded_time(broker: str, tmp_path: Path) -> None:
    location = await new_location(broker, PARTITIONS)
    log = await KafkaLog.open(location)
    with Foreign(location) as foreign, Workers(location, tmp_path / "ledger") as workers:
        async with client(location) as engine:
            await engine.publish_workflow(workflow())
            load = Load(engine, foreign, PARTITIONS)
            load.begin(STARTERS)
            for point in TAKING_OVER:
                # It stands still while it takes over, until the group has given its partitions to another one.
                halted = workers.start((signal.SIGSTOP, point, 2 if point is not Point.ASSIGNED else 1))
                begun = time.monotonic()
                await eventually(lambda there=point: there in workers.met(signal.SIGSTOP), f"it stops at {point}")  # type: ignore[misc]  # bound now
                successor = workers.start()
                await workers.ready(successor)
                acknowledged = len(load.acknowledged)
                await eventually(lambda there=acknowledged: len(load.acknowledged) > there + FEW, "work goes on")  # type: ignore[misc]  # bound now
                halted.send_signal(signal.SIGCONT)
                successor.terminate()
                await workers.gone(successor, 0)
                acknowledged = len(load.acknowledged)
                await eventually(lambda there=acknowledged: len(load.acknowledged) > there + FEW, "work goes on")  # type: ignore[misc]  # bound now
                halted.terminate()
                await workers.gone(halted, 0)
                print(f"{point.name}: over and back in {time.monotonic() - begun:.1f} s")
            last = workers.start()
            await load.end(log)
            last.terminate()
            await workers.gone(last, 0)
        await check(log, load, workers.effects())
        await log.close()
    assert workers.met(signal.SIGSTOP) == list(TAKING_OVER)
