"""Many who wait in one process for runs that others execute: few passes, own results, nothing left behind."""

import asyncio
import time
from collections.abc import Sequence

from engine import EngineService, Run
from engine.errors import RunNotFoundError, WaitTimeoutError
from engine.limits import SEARCH_RECORDS
from engine.log.kafka import KafkaLog
from engine.log.port import EVENTS
from tests.kafka.engines import client, eventually, ids
from tests.kafka.waiting import (
    ECHO,
    PATIENCE_SECONDS,
    Executors,
    Producer,
    check_on_the_log,
    counted,
    futures,
    nothing_is_left,
    on_the_log,
    resident_bytes,
    sought,
    wait,
    waiting,
)
from tests.support.logs import new_location

PARTITIONS = 2
ENDED, CHANGED, CREATED = 10_000, 5_000, 5_000
"""Runs that had ended before they are waited for, that end while they are looked for, and that end afterwards."""
PASSES_MAX = 4
"""One of the tail, from the last checkpoint on, and at most three of searches."""
WAIT_BYTES_MAX = 20_000
"""Bytes of one wait with its result: the caller's task, what it waits for, and the run."""
FEW = 1_000


async def test_twenty_thousand_wait_in_one_process_for_runs_that_another_one_executes(broker: str) -> None:
    location = await new_location(broker, PARTITIONS)
    log = await KafkaLog.open(location)
    producer = Producer(log)
    with Executors(location) as executors:
        executors.start()
        async with client(location) as publisher:
            await publisher.publish_workflow(ECHO)
        ended = producer.run("echo", ENDED)
        created = producer.create("echo", CHANGED + CREATED)
        changed, created = created[:CHANGED], created[CHANGED:]
        await on_the_log(log, [*ended, *changed, *created])
        async with waiting(location) as engine:
            memory, before = resident_bytes(), futures()
            begun = time.monotonic()
            calls = {run_id: wait(engine, run_id) for run_id in (*created, *changed, *ended)}
            await asyncio.sleep(0)
            assert len(engine._waiters) == len(calls) == ENDED + CHANGED + CREATED
            producer.start(changed)
            runs: list[Run] = await asyncio.gather(*(calls[run_id] for run_id in (*ended, *changed)))
            await eventually(lambda: sought(engine) == 0, "no run is sought any more", PATIENCE_SECONDS)
            assert len(engine._waiters) == CREATED
            assert not any(calls[run_id].done() for run_id in created)
            producer.start(created)
            runs += await asyncio.gather(*(calls[run_id] for run_id in created))
            took, grown = time.monotonic() - begun, resident_bytes() - memory
            assert [run.run_id for run in runs] == [*ended, *changed, *created]
            producer.check(runs)
            nothing_is_left(engine)
            events = sum([(await log.ends(EVENTS, partition)).end for partition in range(PARTITIONS)])
            reading = counted(engine)
            print(
                f"{len(runs)} waits in {took:.1f} s; of {events} records {reading.followed} were followed and "
                f"{reading.sought} read in stretches of at most {reading.most}; {grown / len(runs):.0f} bytes a wait"
            )
            assert reading.followed + reading.sought <= PASSES_MAX * events
            assert reading.most <= SEARCH_RECORDS
            assert grown <= WAIT_BYTES_MAX * len(runs)
            calls.clear()
            # Up to here this task was woken by those that it has just waited for.
            await asyncio.sleep(0)
            assert futures() <= before + FEW / 10
        await check_on_the_log(log, runs)
    await log.close()


async def some_give_up(engine: EngineService, ended: Sequence[str], created: Sequence[str]) -> list[Run]:
    """Wait for many runs in all ways, and return those that were waited for to the end."""
    counted(engine).readable.clear()
    kept = [wait(engine, run_id) for run_id in ended]
    cancelled = [wait(engine, run_id) for run_id in (*ended, *created)]
    timed_out = [wait(engine, run_id, timeout=0) for run_id in (*ended, *created)]
    late = [wait(engine, run_id, timeout=0.05) for run_id in created]
    unknown = [wait(engine, ids.run_id()) for _ in range(FEW)]
    # Each run is sought once, whoever waits for it.
    await eventually(lambda: sought(engine) == len({*ended, *created}) + FEW, "a pass under way", PATIENCE_SECONDS)
    for call in cancelled:
        call.cancel()
    found = [await asyncio.gather(*each, return_exceptions=True) for each in (timed_out, late)]
    assert sought(engine) == len(ended) + FEW
    counted(engine).readable.set()
    found.append(await asyncio.gather(*unknown, return_exceptions=True))
    assert [{type(each) for each in part} for part in found] == [
        {WaitTimeoutError},
        {WaitTimeoutError},
        {RunNotFoundError},
    ]
    await asyncio.gather(*cancelled, return_exceptions=True)
    assert all(call.cancelled() for call in cancelled)
    return await asyncio.gather(*kept)


async def test_callers_who_give_up_while_their_runs_are_looked_for_leave_nothing_and_the_others_get_theirs(
    broker: str,
) -> None:
    location = await new_location(broker, PARTITIONS)
    log = await KafkaLog.open(location)
    producer = Producer(log)
    with Executors(location) as executors:
        executors.start()
        async with client(location) as publisher:
            await publisher.publish_workflow(ECHO)
        ended = producer.run("echo", FEW)
        async with waiting(location) as engine:
            # The tails are there before, so that what comes now has to be looked for.
            first = producer.run("echo", FEW)
            await on_the_log(log, [*ended, *first])
            await asyncio.gather(*(wait(engine, run_id) for run_id in first))
            created = producer.create("echo", FEW)
            await on_the_log(log, created)
            tasks, before, readers = asyncio.all_tasks(), futures(), len(counted(engine)._readers)
            producer.check(await some_give_up(engine, ended, created))
            await eventually(lambda: asyncio.all_tasks() == tasks, "no task is left", PATIENCE_SECONDS)
            nothing_is_left(engine)
            assert len(counted(engine)._readers) == readers
            # Up to here this task was woken by those that it has just waited for.
            await asyncio.sleep(0)
            assert futures() <= before + FEW / 10
    await log.close()
