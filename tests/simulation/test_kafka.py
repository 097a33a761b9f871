"""The simulated Kafka shows what Kafka shows: groups, zombies, elections, records that are late or come twice."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from random import Random

import pytest

from engine.errors import ClosedError, LogError
from engine.log.errors import LogUnreachableError, OffsetOutOfRangeError
from engine.log.port import EVENTS, PARKED, Mark, Record, SharingLog
from tests.simulation.group import SESSION_SECONDS, Coordinator
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import SimulatedLoop, in_simulation
from tests.simulation.network import Fate, Network

SEED = 7


def record(number: int) -> Record:
    return Record("run", b"%d" % number, {})


class Cluster:
    """A log on Kafka and the processes that use it."""

    def __init__(self, partitions: int = 2) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        self.loop = loop
        self.log = SimulatedLog(partitions, loop.time, shared=True)
        self.log.add_topic(PARKED)
        self.network = Network(Random(SEED))
        self.coordinator = Coordinator(partitions, Random(SEED))

    def client(self, name: str = "process") -> SimulatedKafka:
        return SimulatedKafka(self.log, self.network, self.coordinator, self.loop.process(name))

    def values(self, partition: int = 0) -> list[int]:
        return [int(each.value) for each in self.log.partition(EVENTS, partition).records]


class Member:
    """Keeps what a group says."""

    def __init__(self) -> None:
        self.owned: set[int] = set()
        self.told: list[str] = []

    def assigned(self, partitions: Sequence[int]) -> None:
        self.owned.update(partitions)
        self.told.append("assigned")

    async def revoked(self, partitions: Sequence[int]) -> None:
        self.owned.difference_update(partitions)
        self.told.append("revoked")

    def lost(self, partitions: Sequence[int]) -> None:
        self.owned.difference_update(partitions)
        self.told.append("lost")

    def decided(self) -> Mapping[int, int]:
        return {}


def simulated(work: Coroutine[object, object, None]) -> None:
    in_simulation(SEED, lambda: work)


def test_members_share_the_partitions_and_a_leaver_hands_its_own_over() -> None:
    async def work() -> None:
        cluster, first, second = Cluster(), Member(), Member()
        await cluster.client().join("group", first)
        await asyncio.sleep(1)
        assert first.owned == {0, 1}
        leaver = await cluster.client().join("group", second)
        await asyncio.sleep(1)
        assert first.owned | second.owned == {0, 1}
        assert len(first.owned) == len(second.owned) == 1
        await leaver.leave()
        await asyncio.sleep(1)
        assert (first.owned, second.owned) == ({0, 1}, set())

    simulated(work())


def test_a_paused_member_loses_its_partitions_without_a_word_and_hears_of_it_when_it_wakes() -> None:
    async def work() -> None:
        cluster, zombie, other = Cluster(1), Member(), Member()
        client = cluster.client("zombie")
        member = await client.join("group", zombie)
        await asyncio.sleep(1)
        client.process.pause()
        client.fall_silent()
        await cluster.client().join("group", other)
        await asyncio.sleep(SESSION_SECONDS / 2)
        assert other.owned == set()
        await asyncio.sleep(SESSION_SECONDS)
        assert (zombie.owned, other.owned) == ({0}, {0})
        client.process.wake()
        client.speak()
        assert not await member.confirm(0)
        await asyncio.sleep(1)
        assert zombie.told == ["assigned", "lost"]

    simulated(work())


def test_only_the_owner_of_a_partition_may_keep_marks_for_it() -> None:
    async def work() -> None:
        cluster, owner = Cluster(1), Member()
        client = cluster.client()
        assert isinstance(client, SharingLog)
        member = await client.share("group", owner)
        with pytest.raises(LogError, match="gave it to another"):
            await member.keep(0, Mark(1, "early"))
        await asyncio.sleep(1)
        await member.keep(0, Mark(2, "text"))
        assert await member.kept(0) == Mark(2, "text")
        with pytest.raises(LogError, match="has some"):
            await client.forget_marks("group")
        await member.leave()
        assert await client.marks("group") == {0: Mark(2, "text")}
        with pytest.raises(ClosedError):
            await member.keep(0, Mark(3, "late"))

    simulated(work())


@pytest.mark.parametrize(
    ("fate", "landed", "told"),
    [(Fate.LOST, [], True), (Fate.UNKNOWN, [1], True), (Fate.LATE, [1], True), (Fate.TWICE, [1, 1], False)],
)
def test_what_becomes_of_a_record_and_what_its_writer_is_told(fate: Fate, landed: list[int], *, told: bool) -> None:
    async def work() -> None:
        cluster = Cluster()
        client = cluster.client()
        cluster.network.rates = {fate: 1.0}
        errors: list[LogError] = []
        client.send(EVENTS, 0, record(1), errors.append)
        await asyncio.sleep(60)
        assert cluster.values() == landed
        assert [type(error) for error in errors] == [LogUnreachableError] * told

    simulated(work())


def test_a_reader_that_has_read_notices_an_election_even_when_the_partition_has_grown_beyond_it() -> None:
    async def work() -> None:
        cluster = Cluster()
        client = cluster.client()
        for number in range(5):
            cluster.log.land(EVENTS, 0, record(number))
        reader = client.reader(EVENTS, 0, 3)
        assert [each.offset for each in await reader.next()] == [3, 4]
        cluster.log.truncate_from(EVENTS, 0, 2)
        for number in range(10, 15):
            cluster.log.land(EVENTS, 0, record(number))
        with pytest.raises(OffsetOutOfRangeError, match="_LOG_TRUNCATION"):
            await reader.next()
        assert cluster.values() == [0, 1, 10, 11, 12, 13, 14]

    simulated(work())


def test_a_process_that_is_cut_off_reaches_nobody_and_hears_of_it() -> None:
    async def work() -> None:
        cluster = Cluster()
        client = cluster.client()
        client.cut_off()
        errors: list[LogError] = []
        client.send(EVENTS, 0, record(1), errors.append)
        with pytest.raises(LogUnreachableError):
            await client.ends(EVENTS, 0)
        await asyncio.sleep(5)
        assert (cluster.values(), len(errors)) == ([], 1)
        client.send(EVENTS, 0, record(2), errors.append)
        client.speak()
        await asyncio.sleep(1)
        assert (cluster.values(), len(errors)) == ([2], 1)

    simulated(work())
