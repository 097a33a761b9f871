"""Waits outlast the death of brokers and of executors, and a zombie; none is answered wrongly, none hangs."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence

import pytest

from engine import Run
from engine.broker import Cluster
from engine.broker.jvm import JvmCluster
from engine.errors import WaitTimeoutError
from engine.log.kafka import KafkaLog
from tests.kafka.engines import client, eventually
from tests.kafka.waiting import (
    ASK,
    PATIENCE_SECONDS,
    Executors,
    Producer,
    check_on_the_log,
    nothing_is_left,
    on_the_log,
    wait,
    waiting,
)
from tests.support.logs import new_location

PARTITIONS = 2
ASKED, CREATED = 800, 400
"""Runs that are under way when something dies, and runs that are started afterwards; all are waited for before."""
SOME = 50
"""So many waits are over when it does."""
HASTE_SECONDS = 0.5


@pytest.fixture
def mortal() -> Iterator[Cluster]:
    with JvmCluster() as cluster:
        yield cluster


def over(calls: Sequence[asyncio.Task[Run]]) -> int:
    return sum(call.done() for call in calls)


async def test_waits_outlast_a_broker_that_is_killed_and_comes_back(mortal: Cluster) -> None:
    (node,) = mortal.nodes
    location = await new_location(mortal.bootstrap, PARTITIONS)
    log = await KafkaLog.open(location)
    producer = Producer(log)
    with Executors(location) as executors:
        executors.start()
        async with client(location) as publisher:
            await publisher.publish_workflow(ASK)
        created, asked = producer.create("ask", CREATED), producer.run("ask", ASKED)
        await on_the_log(log, [*created, *asked])
        async with waiting(location) as engine:
            calls = [wait(engine, run_id) for run_id in (*asked, *created)]
            await eventually(lambda: over(calls) >= SOME, "waits that are over", PATIENCE_SECONDS)
            await asyncio.to_thread(mortal.kill, node)
            print(f"{over(calls)} of {len(calls)} waits were over when the broker died")
            late = [wait(engine, run_id) for run_id in (*asked, *created)]
            hasty = [wait(engine, run_id, HASTE_SECONDS) for run_id in created]
            found = await asyncio.gather(*hasty, return_exceptions=True)
            assert {type(each) for each in found} == {WaitTimeoutError}
            await asyncio.to_thread(mortal.restart, node)
            producer.start(created)
            producer.check(await asyncio.gather(*calls, *late))
            nothing_is_left(engine)
            runs = [call.result() for call in calls]
        await check_on_the_log(log, runs)
    await log.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "suspended"])
async def test_waits_outlast_an_executor_that_is_replaced(broker: str, how: signal.Signals) -> None:
    location = await new_location(broker, PARTITIONS)
    log = await KafkaLog.open(location)
    producer = Producer(log)
    with Executors(location) as executors:
        replaced = executors.start()
        async with client(location) as publisher:
            await publisher.publish_workflow(ASK)
        created, asked = producer.create("ask", CREATED), producer.run("ask", ASKED)
        await on_the_log(log, [*created, *asked])
        async with waiting(location) as engine, waiting(location) as other:
            calls = [wait(engine, run_id) for run_id in (*asked, *created)]
            others = [wait(other, run_id) for run_id in (*asked, *created)]
            await eventually(lambda: over(calls) >= SOME, "waits that are over", PATIENCE_SECONDS)
            os.kill(replaced.pid, how)
            print(f"{over(calls)} of {len(calls)} waits were over when the executor stopped")
            executors.start()
            producer.start(created[: CREATED // 2])
            # Only the new one can have started them.
            await asyncio.gather(*calls[ASKED : ASKED + CREATED // 2])
            if how is signal.SIGSTOP:
                os.kill(replaced.pid, signal.SIGCONT)
            producer.start(created[CREATED // 2 :])
            runs = await asyncio.gather(*calls)
            assert await asyncio.gather(*others) == runs
            producer.check(runs)
            nothing_is_left(engine)
            nothing_is_left(other)
        await check_on_the_log(log, runs)
    await log.close()
