"""The same on Kafka, where whoever gets the partitions next must know in which call the host before has died."""

import asyncio
from pathlib import Path

from consumers.host.opening import ask_group, read_group
from consumers.host.parked import Request
from engine.limits import FOLLOW_DEATHS
from engine.log.kafka import KafkaLog
from tests.consumers.test_deaths import RUNS, check, some_event, supervise
from tests.consumers.test_host import play
from tests.support.logs import new_location

SECONDS = 300
PARTITIONS = 3


async def test_hosts_that_die_in_a_call_one_after_the_other_get_past_it_together(broker: str, tmp_path: Path) -> None:
    location = await new_location(broker, PARTITIONS)
    log = await KafkaLog.open(location)
    await play(log, RUNS)
    event, heard = await some_event(log, "trace.started"), tmp_path / "heard"
    async with asyncio.timeout(SECONDS):
        assert await supervise(location, "g", heard, "kill", event) == 1 + FOLLOW_DEATHS
    _, parked = await read_group(log, "g")
    assert [(each.error, each.attempts) for each in parked] == [
        (f"the process ended {FOLLOW_DEATHS} times in this call", FOLLOW_DEATHS)
    ]
    await check(log, heard, list(parked), {event})
    await log.close()


async def test_a_retry_that_ends_hosts_is_parked_again(broker: str, tmp_path: Path) -> None:
    location = await new_location(broker, 1)
    log = await KafkaLog.open(location)
    await play(log, RUNS)
    event, heard = await some_event(log, "trace.started"), tmp_path / "heard"
    async with asyncio.timeout(SECONDS):
        await supervise(location, "g", heard, "exit", event)
        _, (parked,) = await read_group(log, "g")
        await ask_group(log, "g", None, parked, Request("retry", parked.key))
        assert await supervise(location, "g", heard, "exit", event) == FOLLOW_DEATHS
        _, (again,) = await read_group(log, "g")
        assert (again.event_id, again.asked, again.attempts) == (event, "", 2 * FOLLOW_DEATHS)
    await log.close()
