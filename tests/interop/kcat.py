"""kcat, a Debian package, sends commands and reads what became of them: `make interop` runs this file by its name."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from engine import EngineService, RunStatus
from engine.core.commands import StartRun, encode
from engine.core.rejection import RUN_ENDED, UNDECODABLE
from engine.errors import RunNotFoundError
from engine.log.kafka import KafkaLocation
from engine.log.partitioner import partition_of
from engine.ports import SystemClock, SystemIds
from examples.answer import WORKFLOW, registry
from tests.interop.programs import check_session, run_program
from tests.support.logs import new_location

PARTITIONS = 5
SECONDS = 90
RUNS = 20
"""So many runs that not all are on the right partition by chance: 1 in 5 to the power of this many."""

ids = SystemIds(SystemClock())


class Read(NamedTuple):
    """A record as kcat prints it."""

    partition: int
    offset: int
    key: str
    headers: str
    value: bytes


class Kcat(NamedTuple):
    """kcat and an engine on the same log."""

    location: KafkaLocation
    engine: EngineService

    async def send(self, key: str, value: bytes, *more: str) -> None:
        """Send one line."""
        await self._kcat("-P", "-t", self.location.topic("commands"), "-k", key, *more, given=value)

    async def read(self, topic: str) -> list[Read]:
        """Read everything that stands in a topic now; the lengths stand in front, because a value may be any bytes."""
        printed = await self._kcat("-C", "-t", self.location.topic(topic), "-e", "-q", "-f", "%p %o %S %k %h\\n%s\\n")
        records: list[Read] = []
        while printed:
            heading, printed = printed.split("\n", 1)
            partition, offset, size, key, headers = heading.split(" ", 4)
            value, printed = printed[: int(size)], printed[int(size) + 1 :]
            records.append(Read(int(partition), int(offset), key, headers, value.encode()))
        return records

    async def rejections(self, count: int) -> list[Read]:
        async with asyncio.timeout(SECONDS):
            while True:
                found = await self.read("rejections")
                if len(found) >= count:
                    assert len(found) == count
                    return found

    async def ended(self, run_id: str) -> RunStatus:
        """Wait for a run that somebody else begins."""
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    return (await self.engine.wait_for_workflow_run(run_id)).run_status
                except RunNotFoundError:
                    await asyncio.sleep(0.02)

    async def _kcat(self, *arguments: str, given: bytes = b"") -> str:
        # Values are ASCII here, so that sizes in bytes are sizes in characters.
        done = await run_program(["kcat", "-b", self.location.brokers, *arguments], given)
        assert (done.code, done.errors) == (0, "")
        return done.out


@pytest.fixture
async def kcat(broker: str) -> AsyncIterator[Kcat]:
    assert shutil.which("kcat"), "expected kcat on the path: make interop installs it"
    location = await new_location(broker, PARTITIONS)
    async with EngineService.open(str(location), registry) as engine:
        await engine.publish_workflow(WORKFLOW)
        yield Kcat(location, engine)


def start_of(run_id: str, prompt: str = "Who?") -> bytes:
    context: dict[str, object] = {"input": {"prompt": prompt, "user_id": 7}}
    return encode(StartRun(id=ids.command_id(), run=run_id, workflow="example", context=context))


async def test_what_kcat_puts_on_other_partitions_is_forwarded_once_and_runs(kcat: Kcat) -> None:
    runs = [ids.run_id() for _ in range(RUNS)]
    for run_id in runs:
        await kcat.send(run_id, start_of(run_id))
    assert [await kcat.ended(run_id) for run_id in runs] == [RunStatus.SUCCESS] * RUNS
    commands = await kcat.read("commands")
    astray = {f"{each.partition}/{each.offset}" for each in commands if each.partition != home(each.key)}
    forwarded = [each for each in commands if each.headers]
    assert astray, "its own partitioner is CRC-32"
    assert sorted(each.headers for each in forwarded) == sorted(f"forwarded={place}" for place in astray)
    assert all(each.partition == home(each.key) for each in forwarded)
    assert await kcat.read("rejections") == []


async def test_with_murmur2_kcat_finds_the_right_partition_itself(kcat: Kcat) -> None:
    runs = [ids.run_id() for _ in range(RUNS)]
    for run_id in runs:
        await kcat.send(run_id, start_of(run_id), "-X", "partitioner=murmur2_random")
    assert [await kcat.ended(run_id) for run_id in runs] == [RunStatus.SUCCESS] * RUNS
    commands = await kcat.read("commands")
    assert [(each.partition, each.headers) for each in commands] == [(home(each.key), "") for each in commands]
    assert len(commands) == RUNS


async def test_a_start_sent_three_times_to_any_partition_is_one_run(kcat: Kcat) -> None:
    run_id = ids.run_id()
    value = start_of(run_id)
    for partition in ("0", "1", "2"):
        await kcat.send(run_id, value, "-p", partition)
    last = ids.run_id()
    await kcat.send(last, start_of(last))
    assert [await kcat.ended(each) for each in (run_id, last)] == [RunStatus.SUCCESS] * 2
    events = [each for each in await kcat.read("events") if each.key == run_id]
    types = [event["type"] for each in events for event in orjson.loads(each.value)["events"]]
    assert (types.count("run.created"), types.count("run.started"), types.count("run.succeeded")) == (1, 1, 1)
    assert {each.partition for each in events} == {home(run_id)}


async def test_kcat_reads_why_commands_were_refused_and_their_bytes(kcat: Kcat) -> None:
    run_id = ids.run_id()
    await kcat.send(run_id, start_of(run_id))
    assert await kcat.ended(run_id) == RunStatus.SUCCESS
    garbage = b"\x01\x02 {{{ not a command"
    cancel = b'{"type": "run.cancel", "id": "too-late", "run": "%s"}' % run_id.encode()
    # On one partition, so that the answers keep the order.
    await kcat.send("nobody", garbage, "-p", str(home(run_id)))
    await kcat.send(run_id, cancel, "-p", str(home(run_id)))
    found = await kcat.rejections(2)
    assert [(each.key, each.value) for each in found] == [("nobody", garbage), (run_id, cancel)]
    assert [code_of(each) for each in found] == [UNDECODABLE, RUN_ENDED]
    assert "causationid=too-late" in found[1].headers


async def test_the_page_shows_what_kcat_prints(kcat: Kcat, tmp_path: Path) -> None:
    async def settled(work: Path) -> None:
        if await kcat.read("commands"):
            await kcat.ended((work / "run").read_text(encoding="ascii").strip())

    await check_session(["file", "kcat"], kcat.location, tmp_path, settled)


def home(run_id: str) -> int:
    return partition_of(run_id, PARTITIONS)


def code_of(rejection: Read) -> str:
    return rejection.headers.split(",code=")[1].split(",")[0]
