"""SIGKILL of hosts at random instants, many times: every change reaches every service, in the order of its run."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from consumers.host.local import read_local
from consumers.host.opening import read_group
from engine import EngineService
from engine.log.embedded import EmbeddedLog
from engine.log.kafka import KafkaLog
from engine.log.port import EVENTS, Log
from tests.consumers.group_checks import check_book, check_database, check_hook, check_lines, read_told
from tests.consumers.group_hosts import Hosts
from tests.consumers.group_worker import Task
from tests.consumers.postgres import Postgres, new_database
from tests.consumers.receiving import receiving
from tests.consumers.sql_worker import Ledger
from tests.support.logs import new_location
from tests.support.workflows import END, chain, code, registry

SECRET = "whsec_" + "A" * 43 + "="
PARTITIONS = 3
KILLS_EMBEDDED = 40
KILLS_KAFKA = 15
SECONDS = 300
"""How long a storm may take on a machine that is busy with other things."""
BYTES = 1_000
"""About ten lines of the book: a host is killed at most so far behind the place where it began."""


@asynccontextmanager
async def busy(log: Log) -> AsyncIterator[None]:
    """Let runs be executed, one after the other."""

    async def start() -> None:
        while True:
            await engine.run_workflow("w", {})
            await asyncio.sleep(0.2)  # the hosts need the machine, too

    async with EngineService.open(log, registry(), executor=True) as engine:
        await engine.publish_workflow(chain(code("a", "add"), code("b", "add"), END, workflow_id="w"))
        await engine.run_workflow("w", {})
        starting = asyncio.create_task(start())
        try:
            yield
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


async def grown(path: Path, beyond: int) -> None:
    """Wait until hosts have written more than so many bytes."""
    while size(path) <= beyond:  # noqa: ASYNC110 - another process writes
        await asyncio.sleep(0.002)


async def caught_up(log: Log, task: Task) -> None:
    """Wait until the group has recorded that all services have dealt with everything."""
    ends, lowest = {0: 0}, {0: -1}
    while lowest != ends:
        await asyncio.sleep(0.02)  # other processes work
        if isinstance(log, KafkaLog):
            progress, parked = await read_group(log, task.group)
        else:
            progress, parked = read_local(Path(task.group))
        assert not parked
        lowest = {number: each.lowest for number, each in progress.items()}
        # Asked again each time: what was under way when the callers went is still being written.
        ends = {number: (await log.ends(EVENTS, number)).end for number in range(log.partitions)}


async def test_forty_kills_beside_a_writer_of_an_embedded_log_lose_and_reorder_nothing(
    postgres: Postgres, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    log = await EmbeddedLog.open(tmp_path / "log", 2, "process")
    database = new_database(postgres)
    Ledger(database, "never", 0).close()
    task = Task(str(tmp_path / "log"), str(tmp_path / "group"), tmp_path, databases=(database,))
    async with asyncio.timeout(SECONDS), Hosts(task) as hosts:
        async with busy(log):
            for _ in range(KILLS_EMBEDDED):
                host, before = hosts.begin(), size(task.book)
                # One of eight is killed while it begins.
                if chance.random() > 1 / 8:
                    await grown(task.book, before + chance.randrange(BYTES))
                await hosts.kill(host)
        last = hosts.begin()
        await caught_up(log, task)
        await hosts.end(last)
    told = await read_told(log)
    await log.close()
    check_database(told, database)
    print(f"{check_book(told, task.book):.2f} and {check_lines(told, task.lines):.2f} calls for each change")
    print(f"{KILLS_EMBEDDED} kills, {len(told)} runs, {sum(map(len, told.values()))} changes")


async def test_fifteen_kills_among_two_hosts_of_a_group_on_kafka_lose_and_reorder_nothing(
    broker: str, postgres: Postgres, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    location = await new_location(broker, PARTITIONS)
    log = await KafkaLog.open(location)
    databases = (f"sqlite:///{tmp_path}/services.db", new_database(postgres))
    for url in databases:
        Ledger(url, "never", 0).close()
    async with asyncio.timeout(SECONDS), receiving() as receiver:
        task = Task(str(location), "storm", tmp_path, receiver.url, databases)
        async with Hosts(task) as hosts:
            async with busy(log):
                alive = [hosts.begin()]
                for _ in range(KILLS_KAFKA):
                    alive.append(hosts.begin())
                    # The victim has partitions: those of the last one, or those that it keeps beside the new one.
                    victim = alive.pop(chance.randrange(2))
                    await victim.follows()
                    await grown(task.book, size(task.book) + chance.randrange(BYTES))
                    await hosts.kill(victim)
                # And one more that ends in order while the other one works.
                alive.append(hosts.begin())
                await alive[1].follows()
                await hosts.end(alive.pop(0))
            await caught_up(log, task)
            await hosts.end(alive[0])
        told = await read_told(log)
        await log.close()
        hooked = check_hook(told, receiver, SECRET)
    for url in databases:
        check_database(told, url)
    book, lines = check_book(told, task.book), check_lines(told, task.lines)
    print(f"{book:.2f}, {lines:.2f} and {hooked:.2f} calls for each change")
    print(f"{KILLS_KAFKA} kills, {len(told)} runs, {sum(map(len, told.values()))} changes")
