"""One process's clients of Kafka, as the engine sees them: records and answers take time, and may not come."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Final

from engine.errors import LogError
from engine.log.errors import LogUnreachableError, OffsetOutOfRangeError
from engine.log.place import check_record
from engine.log.port import EVENTS, Ends, LogRecord, Mark, Owner, Record
from tests.simulation.group import Coordinator, Member
from tests.simulation.log import SimulatedLog, SimulatedReader
from tests.simulation.loop import Process, SimulatedLoop, until
from tests.simulation.network import Fate, Network

_FLUSH_SECONDS: Final = 5.0


@dataclass(eq=False)
class _Sent:
    """A record that a process has handed to its client.

    Attributes:
        context: The process's, for what it is told.
        landed: Called with the offset, or None when nobody waits for it.
        failed: Called with an error.
    """

    topic: str
    partition: int
    record: Record
    context: Context
    landed: Callable[[int], None] | None
    failed: Callable[[LogError], None]


class KafkaReader(SimulatedReader):
    """A reader that notices an unclean election once it has read something, as Kafka's clients do."""

    def __init__(self, log: "SimulatedKafka", topic: str, partition: int, offset: int, number: int) -> None:
        super().__init__(log, topic, partition, offset, number)
        self._kafka = log
        self._elections = len(self._partition.elections)
        self._has_read = False

    async def next(self) -> Sequence[LogRecord]:
        """Return the next records, perhaps late."""
        records = await super().next()
        self._has_read = True
        if self._kafka.network.happens(self._kafka.network.slow_reads):
            await asyncio.sleep(self._kafka.network.timeout())
        return records

    def _look(self) -> Sequence[LogRecord]:
        if self._kafka.cut:
            return ()
        elections = self._partition.elections[self._elections :]
        self._elections += len(elections)
        if self._has_read and any(offset < self._position for offset in elections):
            raise OffsetOutOfRangeError(
                f"expected to read {self._place[0]}/{self._place[1]} on from offset {self._position}, but "
                f"_LOG_TRUNCATION: the partition was cut at {min(elections)}."
            )
        return super()._look()


class SimulatedKafka(SimulatedLog):
    """A log on Kafka, in one process.

    Args:
        log: The log of the world.
        network: What becomes of what is sent.
        coordinator: The brokers' groups.
        process: Whose clients these are.

    Attributes:
        cut: Whether the process and the brokers do not reach each other.
    """

    def __init__(self, log: SimulatedLog, network: Network, coordinator: Coordinator, process: Process) -> None:
        super().__init__(log.partitions, log.clock, shared=True)
        self._share_with(log)
        self.network = network
        self.process = process
        self.cut = False
        self._loop = asyncio.get_running_loop()
        assert isinstance(self._loop, SimulatedLoop)
        self._world = self._loop.world
        self._coordinator = coordinator
        self._members: list[Member] = []
        self._stuck: list[_Sent] = []
        self._under_way = 0
        self._arrivals: dict[tuple[str, int], float] = {}

    # What the engine calls.

    async def topic_id(self, topic: str) -> str:
        """Return the topic's identity."""
        await self._ask()
        return await super().topic_id(topic)

    async def ends(self, topic: str, partition: int) -> Ends:
        """Return the partition's bounds now."""
        await self._ask()
        return await super().ends(topic, partition)

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        """Return up to `count` records from `offset` on."""
        await self._ask()
        return await super().read(topic, partition, offset, count)

    async def read_key(self, topic: str, partition: int, key: str) -> Sequence[LogRecord]:
        """Return all records with this key that are still there."""
        await self._ask()
        return await super().read_key(topic, partition, key)

    async def first_after(self, topic: str, partition: int, milliseconds: int) -> int:
        """Return the offset of the first record appended at this time or later, or the end."""
        await self._ask()
        return await super().first_after(topic, partition, milliseconds)

    def reader(self, topic: str, partition: int, offset: int) -> KafkaReader:
        """Return a reader that starts at `offset`."""
        self._check_open()
        self._reader_count[0] += 1
        reader = KafkaReader(self, topic, partition, offset, self._reader_count[0])
        self._readers[reader] = None
        return reader

    async def join(self, group: str, owner: Owner) -> Member:  # type: ignore[override]  # one of many, not alone
        """Become a member of a group that shares out the partitions of `commands`."""
        return self._member(f"commands/{group}", owner)

    async def share(self, group: str, owner: Owner) -> Member:
        """Become a member of a group that shares out the partitions of `events`, and keeps marks."""
        return self._member(f"{EVENTS}/{group}", owner)

    async def marks(self, group: str) -> Mapping[int, Mark]:
        """Return the marks of a group."""
        await self._ask()
        return dict(self._coordinator.group(f"{EVENTS}/{group}").marks)

    async def forget_marks(self, group: str) -> None:
        """Forget the marks of a group without members."""
        await self._ask()
        self._coordinator.group(f"{EVENTS}/{group}").forget()

    async def erase(self, topic: str, partition: int, key: str) -> None:
        """Let nothing be known under a key."""
        await self.append(topic, partition, Record(key, b"", {}))

    async def close(self) -> None:
        """Leave all groups, wait, bounded, until what was sent is acknowledged, and let go of the brokers."""
        if self._closed:
            return
        for member in self._members:
            await member.leave()
        self._closed = True
        self._close_readers()
        last = self._loop.time() + _FLUSH_SECONDS
        await until(lambda: not self._under_way or self._loop.time() > last)

    def abandon(self) -> None:
        """Die: what the brokers have not got yet may never come, and nobody is told."""
        self._closed = True
        self._stuck.clear()
        self._in_flight.clear()
        self._close_readers()
        for member in self._members:
            member.fall_silent()

    # What happens to the process.

    def cut_off(self) -> None:
        """Let the process and the brokers not reach each other."""
        self.cut = True
        self.fall_silent()

    def fall_silent(self) -> None:
        """Let the brokers hear nothing of the process, until `speak`."""
        for member in self._members:
            member.fall_silent()

    def speak(self) -> None:
        """Let the process and the brokers reach each other again."""
        self.cut = False
        for member in self._members:
            member.speak()
        for reader in sorted(self._readers, key=lambda each: each.number):
            reader.wake()
        stuck, self._stuck = self._stuck, []
        for sent in stuck:
            self._go(sent, self.network.latency())

    # Inside.

    def _member(self, group: str, owner: Owner) -> Member:
        self._check_open()
        member = Member(self._coordinator.group(group), owner, self)
        self._members.append(member)
        return member

    async def _ask(self) -> None:
        """Wait for an answer of the brokers."""
        self._check_open()
        if self.cut or self.network.happens(self.network.unreachable):
            await asyncio.sleep(self.network.timeout())
            if self.cut or self.network.happens(0.5):
                raise LogUnreachableError("a planted failure: the brokers do not answer.")
        else:
            await asyncio.sleep(self.network.latency())
        self._check_open()

    def _take_off(
        self,
        topic: str,
        partition: int,
        record: Record,
        landed: Callable[[int], None] | None,
        failed: Callable[[LogError], None],
    ) -> None:
        self._check_open()
        self.partition(topic, partition)
        check_record(topic, record)
        sent = _Sent(topic, partition, record, copy_context(), landed, failed)
        self._under_way += 1
        if self._held or self.cut:
            self._stuck.append(sent)
            if self.cut:
                self._later(self.network.timeout(), self._give_up, sent)
            return
        self._go(sent, self.network.latency())

    def _go(self, sent: _Sent, seconds: float) -> None:
        """Let a record be on its way; one that nothing is the matter with stays behind those before it."""
        network, fate = self.network, self._fate(sent.topic)
        place = (sent.topic, sent.partition)
        if fate is Fate.LOST:
            self._later(network.timeout(), self._fail, sent)
        elif fate is Fate.LATE:
            self._later(network.timeout(), self._fail, sent)
            self._later(network.late(), self._copy, sent)
        else:
            now = self._loop.time()
            arrival = self._arrivals[place] = max(now + seconds, self._arrivals.get(place, 0.0))
            self._later(arrival - now, self._arrive, sent, fate)

    def _fate(self, topic: str) -> Fate | None:
        failures = self._failures.get(topic)
        return Fate(failures.pop(0)) if failures else self.network.fate()

    def _arrive(self, sent: _Sent, fate: Fate | None) -> None:
        network = self.network
        if self.process.dead and self._closed and network.happens(0.5):
            return
        if self.process.paused and (self._stuck or network.happens(0.5)):
            # It had not left the process yet.
            self._stuck.append(sent)
            return
        offset = self.land(sent.topic, sent.partition, sent.record)
        if fate is Fate.TWICE:
            self._later(network.late(), self._copy, sent)
        if fate is Fate.UNKNOWN:
            self._later(network.timeout(), self._fail, sent)
            return
        self._under_way -= 1
        if sent.landed is not None:
            self._loop.call_later(network.latency(), sent.landed, offset, context=sent.context)

    def _copy(self, sent: _Sent) -> None:
        self.land(sent.topic, sent.partition, sent.record)

    def _give_up(self, sent: _Sent) -> None:
        """The client gives up what it could not send, or it has sent it and heard nothing."""
        if sent in self._stuck:
            self._stuck.remove(sent)
            self._fail(sent)

    def _fail(self, sent: _Sent) -> None:
        self._under_way -= 1
        text = f"a planted failure: the brokers did not acknowledge a record for {sent.topic}/{sent.partition}."
        self._loop.call_soon(sent.failed, LogUnreachableError(text), context=sent.context)

    def _later(self, seconds: float, function: Callable[..., None], *arguments: object) -> None:
        self._loop.call_later(seconds, function, *arguments, context=self._world.context())

    def _schedule(self) -> None:
        """Let what was held go."""
        if not self.cut:
            stuck, self._stuck = self._stuck, []
            for sent in stuck:
                self._go(sent, self.network.latency())
