"""What goes wrong at brokers, and on the way to them."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from random import Random
from typing import Final

from engine.log.port import COMMANDS, EVENTS
from tests.simulation.network import Fate, Network
from tests.simulation.world import World

_FATES: Final = {
    "late writes": Fate.LATE,
    "lost acknowledgements": Fate.UNKNOWN,
    "lost writes": Fate.LOST,
    "second copies": Fate.TWICE,
}
NETWORK_FAULTS: Final = (*_FATES, "slow reads", "timeouts")
_HOSTILE: Final = ("second copies", "time steps", "retention", "elections")
"""What brokers that keep their word do not do to an idempotent producer; an audit finds it."""
_CUT_RECORDS_MAX: Final = 12


def trouble(network: Network, random: Random, names: AbstractSet[str]) -> None:
    """Let those faults of a network happen that are among these names."""
    network.rates = {fate: random.choice((0.005, 0.02, 0.1)) for name, fate in sorted(_FATES.items()) if name in names}
    network.slow_reads = random.choice((0.01, 0.1)) if "slow reads" in names else 0.0
    network.unreachable = random.choice((0.01, 0.1)) if "timeouts" in names else 0.0


class BrokerFaults:
    """Faults that happen to a whole cluster.

    Args:
        world: Where they happen.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = world.random

    def all(self, *, hostile: bool) -> dict[str, Callable[[], None] | None]:
        """Return the faults by their names; None stands for one of the network.

        Args:
            hostile: Whether to have those that an audit finds, too.
        """
        # One at a time: an election may take away what says that a removed command was decided.
        removing = self._random.choice(({"retention": self.retention}, {"elections": self.election}))
        faults: dict[str, Callable[[], None] | None] = dict.fromkeys(NETWORK_FAULTS)
        faults |= {"cuts": self.cut, "rebalances": self.rebalance, "time steps": self.step} | removing
        return {name: fault for name, fault in faults.items() if hostile or name not in _HOSTILE}

    def cut(self) -> None:
        """Let a process and the brokers not reach each other for a while."""
        if programs := self._world.programs:
            program = self._random.choice(programs)
            program.cut_off()
            self._world.later(self._random.choice((0.1, 2.0, 8.0)), program.wake)

    def rebalance(self) -> None:
        """Let a group give partitions to other members."""
        if groups := self._world.coordinator.groups:
            self._random.choice(groups).shuffle()

    def step(self) -> None:
        """Let the clocks of the brokers step, forward or back."""
        self._world.broker_ahead = self._random.choice((-5_000.0, -60.0, 0.0, 0.0, 60.0))

    def retention(self) -> None:
        """Let old commands be removed, all of them decided."""
        world = self._world
        number = self._random.randrange(world.log.partitions)
        commands = world.log.partition(COMMANDS, number)
        decided = max(world.decided(number), default=0)
        if commands.start < decided:
            world.log.truncate_before(COMMANDS, number, self._random.randint(commands.start, decided))

    def election(self) -> None:
        """Let a broker become leader that lacks the last records."""
        world = self._world
        number = self._random.randrange(world.log.partitions)
        events = world.log.partition(EVENTS, number)
        kept = events.end - self._random.randint(1, _CUT_RECORDS_MAX)
        if kept > events.start:
            world.truncated.add(f"{EVENTS}/{number}")
            world.log.truncate_from(EVENTS, number, kept)
