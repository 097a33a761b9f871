"""A backlog of commands on a real broker: what of it is in memory at once is bounded, and all of it is answered."""

import asyncio

import pytest

from engine import EngineService, RunStatus
from engine.core.commands import StartRun, encode
from engine.executor import intake as intake_module
from engine.executor.intake import Intake
from engine.limits import KAFKA_TAKE_BYTES_MAX, TAIL_BYTES_MAX
from engine.log.kafka import KafkaLog, lane
from engine.log.kafka.lane import Lane
from engine.log.kafka.reader import KafkaReader
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, LogRecord, Record
from tests.kafka.engines import SECONDS, executor, ids, read_all
from tests.kafka.foreign import Foreign
from tests.support.logs import new_location, open_kafka
from tests.support.workflows import END, chain, registry

COUNT = 20
BYTES = 400_000
GARBAGE = b"x" * 100_000
SENT = 300
PIECE = 10
"""Messages that a lane takes before it looks at their bytes."""


class Most:
    """The most that was in memory at once."""

    def __init__(self) -> None:
        self.undecided = 0
        self.undecided_bytes = 0
        self.waiting_bytes = 0
        self.batch_bytes = 0
        self.taken = 0


@pytest.fixture
def most(monkeypatch: pytest.MonkeyPatch) -> Most:
    monkeypatch.setattr(intake_module, "COMMANDS_UNDECIDED_MAX", COUNT)
    monkeypatch.setattr(intake_module, "COMMANDS_UNDECIDED_BYTES_MAX", BYTES)
    found, take, offer = Most(), Intake.take, KafkaReader.offer

    def counted(intake: Intake, record: LogRecord) -> None:
        take(intake, record)
        found.taken += 1
        found.undecided = max(found.undecided, intake.held)
        found.undecided_bytes = max(found.undecided_bytes, intake.held_bytes)

    def offered(reader: KafkaReader, records: list[LogRecord], size: int) -> None:
        offer(reader, records, size)
        if reader.topic.endswith(COMMANDS):
            found.batch_bytes = max(found.batch_bytes, size)
            found.waiting_bytes = max(found.waiting_bytes, reader._bytes)

    monkeypatch.setattr(Intake, "take", counted)
    monkeypatch.setattr(KafkaReader, "offer", offered)
    return found


async def all_refused(log: KafkaLog, count: int) -> list[LogRecord]:
    async with asyncio.timeout(SECONDS):
        while (await log.ends(REJECTIONS, 0)).end < count:  # noqa: ASYNC110 - nothing tells a test of it
            await asyncio.sleep(0.02)
    return await read_all(log, REJECTIONS)


async def runs(engine: EngineService) -> None:
    await engine.publish_workflow(chain(END))
    run = await engine.run_workflow("chain", {}, SECONDS)
    assert run.run_status is RunStatus.SUCCESS


async def test_a_backlog_of_garbage_that_unpacks_to_much_more_is_held_in_part_and_refused_in_order(
    broker: str, most: Most
) -> None:
    location = await new_location(broker)
    with Foreign(location, "zstd") as foreign:
        # Each in a batch of its own, of some hundred bytes: many of them come with one answer.
        for _ in range(SENT // 100):
            foreign.put_all(COMMANDS, [GARBAGE] * 50)
            for _ in range(50):
                foreign.put(COMMANDS, GARBAGE)
    async with executor(location, registry()) as engine:
        log = await KafkaLog.open(location)
        refused = await all_refused(log, SENT)
        await runs(engine)
        await log.close()
    assert [int(record.headers["offset"]) for record in refused] == list(range(SENT))
    assert all(record.value == GARBAGE for record in refused)
    assert 0 < most.undecided <= COUNT
    assert BYTES <= most.undecided_bytes <= BYTES + len(GARBAGE)
    assert most.batch_bytes <= KAFKA_TAKE_BYTES_MAX + (PIECE + 1) * len(GARBAGE)
    assert most.waiting_bytes <= 2 * TAIL_BYTES_MAX + most.batch_bytes


async def test_a_backlog_of_starts_is_held_in_part_and_every_run_ends(broker: str, most: Most) -> None:
    location = await new_location(broker)
    text = "x" * 50_000
    started = [ids.run_id() for _ in range(SENT)]
    async with executor(location, registry()) as engine:
        await engine.publish_workflow(chain(END))
    with Foreign(location) as foreign:
        commands = [
            encode(StartRun(id=ids.command_id(), run=run_id, workflow="chain", context={"text": text}))
            for run_id in started
        ]
        for first in range(0, SENT, 10):
            foreign.put_all(COMMANDS, list(commands[first : first + 10]))
    async with executor(location, registry()) as engine:
        await runs(engine)
        ended = await asyncio.gather(*(engine.wait_for_workflow_run(run_id, timeout=SECONDS) for run_id in started))
        assert {run.run_status for run in ended} == {RunStatus.SUCCESS}
    assert most.taken >= SENT
    assert 0 < most.undecided <= COUNT
    assert most.undecided_bytes <= BYTES + max(map(len, commands)) + 1_000


@pytest.mark.parametrize("patience", [0.0, 1_000.0])
async def test_a_reader_that_is_slower_than_its_client_reads_all_whether_it_is_waited_for_or_paused(
    broker: str, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    monkeypatch.setattr(lane, "_PATIENCE_SECONDS", patience)
    paused, held, pause, hold = [0], [0], Lane._pause, Lane._held

    def pausing(of: Lane, reader: KafkaReader) -> None:
        paused[0] += 1
        pause(of, reader)

    def holding(of: Lane, reader: KafkaReader, is_held: bool) -> None:  # noqa: FBT001 - as the lane's own
        held[0] += is_held
        hold(of, reader, is_held)

    monkeypatch.setattr(Lane, "_pause", pausing)
    monkeypatch.setattr(Lane, "_held", holding)
    log = await open_kafka(broker)
    failures: list[object] = []
    value, count = b"x" * 500_000, 40
    for _ in range(count):
        log.send(EVENTS, 0, Record("run", value, {}), failures.append)
    await log.append(EVENTS, 0, Record("last", b"", {}))
    async with asyncio.timeout(SECONDS):
        while (await log.ends(EVENTS, 0)).end <= count:  # noqa: ASYNC110 - nothing tells a test of it
            await asyncio.sleep(0.02)
        reader, seen = log.reader(EVENTS, 0, 0), 0
        while seen <= count:
            # Until the client is held back at least once for each of the batches.
            while not reader._held and reader.offset <= count:  # noqa: ASYNC110 - nothing tells a test of it
                await asyncio.sleep(0.005)
            seen += len(await reader.next())
    assert not failures
    assert held[0] > 1
    assert bool(paused[0]) is (patience == 0.0)
    await log.close()


async def test_commands_and_events_of_one_partition_are_read_by_lanes_of_their_own(broker: str) -> None:
    log = await open_kafka(broker, 2)
    readers = {topic: log.reader(topic, 0, 0) for topic in (COMMANDS, EVENTS, REJECTIONS)}
    lanes = {topic: log._readers[reader] for topic, reader in readers.items()}
    assert lanes[COMMANDS] is lanes[REJECTIONS]
    assert lanes[COMMANDS] is not lanes[EVENTS]
    await log.close()
