"""Groups: which member has which partition, by what the brokers hear of the members."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Final

from engine.errors import ClosedError, LogError
from engine.limits import KAFKA_REVOKE_SECONDS_MAX
from engine.log.errors import LogUnreachableError
from engine.log.port import Mark, Owner
from tests.simulation.loop import SimulatedLoop

if TYPE_CHECKING:
    from tests.simulation.kafka import SimulatedKafka

SESSION_SECONDS: Final = 3.0
"""Silence after which the brokers give a member's partitions to others."""


class Member:
    """One process's part in a group.

    Args:
        group: The group.
        owner: Hears which partitions are its own.
        client: The process's clients.

    Attributes:
        owned: The partitions that it takes for its own; the group may know better.
    """

    def __init__(self, group: "Group", owner: Owner, client: "SimulatedKafka") -> None:
        self.owned: set[int] = set()
        self.owner = owner
        self.client = client
        self._group = group
        self._left = False
        self._silences = 0
        self._silent = client.cut
        group.add(self)

    # What the engine calls.

    async def confirm(self, partition: int) -> bool:
        """Ask the group whether the partition is still this member's."""
        if self._left:
            # The member's thread has ended, and answers nobody.
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(self.client.network.timeout() if self.client.cut else self.client.network.latency())
        return partition in self.owned and self._known and not self.client.cut

    async def shut_out(self) -> LogError:
        """Wait for ever: the members of this group have no names that others could take."""
        never: asyncio.Future[LogError] = asyncio.get_running_loop().create_future()
        return await never

    async def keep(self, partition: int, mark: Mark) -> None:
        """Record how far the group has come in a partition."""
        await self._ask()
        if partition not in self.owned or not self._known:
            raise LogError(f"expected partition {partition} to be this member's, but the group gave it to another.")
        self._group.marks[partition] = mark

    async def kept(self, partition: int) -> Mark | None:
        """Return what was recorded last."""
        await self._ask()
        return self._group.marks.get(partition)

    async def leave(self) -> None:
        """Leave the group; the owner is told to let go of its partitions first."""
        if self._left:
            return
        await self._let_go(sorted(self.owned))
        self._left = True
        self._group.remove(self)

    # What happens to the process.

    def fall_silent(self) -> None:
        """Let the brokers hear nothing of it: after a while they give its partitions away."""
        self._silent = True
        self._silences += 1
        self._group.later(SESSION_SECONDS, self._expire, self._silences)

    def speak(self) -> None:
        """Let the brokers hear of it again, and it of what they did meanwhile: a little later."""
        self._silent = False
        if not self._known and not self._left:
            loop = asyncio.get_running_loop()
            loop.call_later(self.client.network.timeout() / 4, self._lose, context=self.client.process.context())

    # What the group says.

    def take(self, number: int) -> None:
        """Own a partition."""
        self.owned.add(number)
        self.owner.assigned([number])

    async def hand_over(self, number: int) -> None:
        """Let go of a partition, and tell the group."""
        await self._let_go([number])
        self._group.release(self, [number])

    # Inside.

    @property
    def _known(self) -> bool:
        return self in self._group.members

    async def _ask(self) -> None:
        if self._left:
            raise ClosedError("the member of the group has left.")
        network = self.client.network
        if self.client.cut or network.happens(network.unreachable):
            await asyncio.sleep(network.timeout())
            raise LogUnreachableError("a planted failure: the coordinator does not answer.")
        await asyncio.sleep(network.latency())

    async def _let_go(self, numbers: Sequence[int]) -> None:
        """Wait, bounded, until the owner has let go."""
        if numbers:
            letting_go = asyncio.ensure_future(self.owner.revoked(numbers))
            await asyncio.wait([letting_go], timeout=KAFKA_REVOKE_SECONDS_MAX)
            self.owned.difference_update(numbers)

    def _expire(self, silence: int) -> None:
        if self._silent and silence == self._silences:
            self._group.remove(self)

    def _lose(self) -> None:
        if not self._known and not self._left:
            owned, self.owned = sorted(self.owned), set()
            self.owner.lost(owned)
            if not self._silent:
                self._group.add(self)


class Group:
    """The members of one name, and who has which partition.

    Args:
        partitions: How many there are.
        random: Draws the order of a rebalance.

    Attributes:
        members: Those that the brokers hear of.
        marks: What members recorded.
    """

    def __init__(self, partitions: int, random: Random) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        self._loop = loop
        self._random = random
        self._partitions = partitions
        self._holders: dict[int, Member] = {}
        self._handing_over: set[int] = set()
        self._balancing = False
        self.members: list[Member] = []
        self.marks: dict[int, Mark] = {}

    def later(self, seconds: float, function: object, *arguments: object) -> None:
        """Do something in the brokers."""
        assert callable(function)
        self._loop.call_later(seconds, function, *arguments, context=self._loop.world.context())

    def add(self, member: Member) -> None:
        """Take a member in."""
        self.members.append(member)
        self._balance_soon()

    def remove(self, member: Member) -> None:
        """Go on without a member."""
        if member in self.members:
            self.members.remove(member)
            for number in [number for number, holder in self._holders.items() if holder is member]:
                del self._holders[number]
                self._handing_over.discard(number)
            self._balance_soon()

    def release(self, member: Member, numbers: Sequence[int]) -> None:
        """Hear that a member has let go of partitions."""
        for number in numbers:
            if self._holders.get(number) is member:
                del self._holders[number]
                self._handing_over.discard(number)
        self._balance_soon()

    def shuffle(self) -> None:
        """Give partitions to other members, for no reason."""
        for number, holder in sorted(self._holders.items()):
            if number not in self._handing_over and self._random.random() < 0.5:
                self._ask_back(number, holder)

    def forget(self) -> None:
        """Forget the marks."""
        if self.members:
            raise LogError("expected a group without members, but it has some.")
        self.marks.clear()

    def _balance_soon(self) -> None:
        if not self._balancing:
            self._balancing = True
            self.later(0.01, self._balance)

    def _balance(self) -> None:
        self._balancing = False
        if not self.members:
            return
        counts = dict.fromkeys(self.members, 0)
        for each in self._holders.values():
            counts[each] += 1
        for number in range(self._partitions):
            poorest = min(self._random.sample(self.members, len(self.members)), key=counts.__getitem__)
            holder = self._holders.get(number)
            if holder is None:
                self._holders[number] = poorest
                counts[poorest] += 1
                poorest.client.process.call_soon(poorest.take, number)
            elif counts[holder] > counts[poorest] + 1 and number not in self._handing_over:
                counts[holder] -= 1
                self._ask_back(number, holder)

    def _ask_back(self, number: int, holder: Member) -> None:
        self._handing_over.add(number)
        # Of a dead one the group has not heard yet.
        if not holder.client.process.dead:
            holder.client.process.spawn(holder.hand_over(number))


class Coordinator:
    """All groups.

    Args:
        partitions: Of the log.
        random: Draws the order of a rebalance.
    """

    def __init__(self, partitions: int, random: Random) -> None:
        self._partitions = partitions
        self._random = random
        self._groups: dict[str, Group] = {}

    @property
    def groups(self) -> Sequence[Group]:
        """All that there are."""
        return tuple(self._groups.values())

    def group(self, name: str) -> Group:
        """Return a group; it begins when somebody asks for it."""
        if name not in self._groups:
            self._groups[name] = Group(self._partitions, self._random)
        return self._groups[name]
