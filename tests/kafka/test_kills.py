"""Executors killed at every point, one after the other: what was asked is done, once, with unbroken chains."""

import random
import signal
import time
from pathlib import Path

from engine.log.kafka import KafkaLog
from tests.kafka.engines import client
from tests.kafka.foreign import Foreign
from tests.kafka.points import Point
from tests.kafka.workers import Load, Workers, check, workflow
from tests.support.logs import new_location

PARTITIONS = 2
STARTERS = 4
ONCE = {Point.ASSIGNED, Point.REVOKING, Point.REVOKED, Point.LEAVING}
"""Reached once in an executor's life; the others are reached a few times before it dies."""
ANOTHER = {Point.REVOKING, Point.REVOKED}
"""Reached when another executor comes."""
A_FEW = PARTITIONS
"""An executor that is left alone sends one fence for each partition."""


async def test_an_executor_killed_at_any_point_leaves_nothing_undone_nothing_double_and_nothing_torn(
    broker: str, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    location = await new_location(broker, PARTITIONS)
    points = list(Point)
    chance.shuffle(points)
    log = await KafkaLog.open(location)
    with Foreign(location) as foreign, Workers(location, tmp_path / "ledger") as workers:
        async with client(location) as engine:
            await engine.publish_workflow(workflow())
            load = Load(engine, foreign, PARTITIONS)
            load.begin(STARTERS)
            begun = time.monotonic()
            for point in points:
                count = 1 if point in ONCE else chance.randint(1, A_FEW)
                print(f"{time.monotonic() - begun:.1f} s: {point.name}, the {count}. time")
                victim = workers.start((signal.SIGKILL, point, count))
                if point in ANOTHER:
                    await workers.owning(victim)
                    other = workers.start()
                    await workers.gone(victim, -signal.SIGKILL)
                    other.terminate()
                    await workers.gone(other, 0)
                elif point is Point.LEAVING:
                    await workers.ready(victim)
                    victim.terminate()
                await workers.gone(victim, -signal.SIGKILL)
            last = workers.start()
            await load.end(log)
            last.terminate()
            await workers.gone(last, 0)
        assert workers.met(signal.SIGKILL) == points
        effects = workers.effects()
        records = await check(log, load, effects)
        await log.close()
    kinds = [record.headers["ce_type"] for partition in records for record in partition]
    retried = sum(effect.attempt > 1 for effect in effects)
    print(f"{len(points)} kills, {kinds.count('runline.fence')} fences, {retried} attempts retried")
    assert retried > 0, "no kill hit a run at work"
