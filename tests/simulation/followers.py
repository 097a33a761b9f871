"""A process that follows: the real host of progress services, with services that do what services do."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from consumers.host.delivery import Delivery, Service
from consumers.host.host import ServiceHost
from consumers.host.opening import ask_group, open_progress, read_group
from consumers.host.parked import Request
from consumers.host.start import Start
from engine import Run, Trace
from tests.checkers import Delivered
from tests.simulation.loop import until
from tests.simulation.program import Program

if TYPE_CHECKING:
    from tests.simulation.world import World

GROUP: Final = "followers"
_MOODS: Final = ("steady", "throwing", "slow", "hanging", "blocking")


class Recording:
    """A service that writes down what it is called with, and does not always deal with it.

    Args:
        name: What it is called.
        mood: How it does its work.
        ledger: Where all deliveries of the world are written.
    """

    def __init__(self, name: str, mood: str, ledger: "Deliveries") -> None:
        self.name = name
        self._mood = mood
        self._ledger = ledger

    async def run_progress(self, run: Run, delivery: Delivery) -> None:
        """Hear of a run."""
        await self._hear(run.run_id, delivery)

    async def trace_progress(self, trace: Trace, delivery: Delivery) -> None:
        """Hear of a trace."""
        await self._hear(trace.run_id, delivery)

    async def _hear(self, run_id: str, delivery: Delivery) -> None:
        random, dealt = self._ledger.random, False
        try:
            if not self._ledger.calm.is_set():
                await self._trouble(random)
            dealt = True
        finally:
            self._ledger.all.append(Delivered(self.name, run_id, delivery.event_id, delivery.event_type, dealt=dealt))

    async def _trouble(self, random: Random) -> None:
        match self._mood:
            case "throwing" if random.random() < 0.3:
                raise ValueError("a service that fails")
            case "slow":
                await asyncio.sleep(random.random())
            case "hanging" if random.random() < 0.05:
                await self._ledger.calm.wait()


class Blocking:
    """The same with methods that block, which run in threads."""

    def __init__(self, name: str, ledger: "Deliveries") -> None:
        self.name = name
        self._ledger = ledger

    def run_progress(self, run: Run, delivery: Delivery) -> None:
        """Hear of a run."""
        self._hear(run.run_id, delivery)

    def trace_progress(self, trace: Trace, delivery: Delivery) -> None:
        """Hear of a trace."""
        self._hear(trace.run_id, delivery)

    def _hear(self, run_id: str, delivery: Delivery) -> None:
        fails = not self._ledger.calm.is_set() and self._ledger.random.random() < 0.1
        self._ledger.all.append(Delivered(self.name, run_id, delivery.event_id, delivery.event_type, dealt=not fails))
        if fails:
            raise ValueError("a service that fails")


class Deliveries:
    """What services were called with, outside of all processes.

    Args:
        random: Decides which services there are and when they fail.

    Attributes:
        all: One for each call that was over, in order.
        calm: Set when services do their work.
        moods: The services by their names, and how they do their work.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.all: list[Delivered] = []
        self.calm = asyncio.Event()
        chosen = random.sample(_MOODS, random.randint(1, 3))
        self.moods: Mapping[str, str] = {f"{mood}-service": mood for mood in chosen}

    def services(self) -> dict[str, Service]:
        """Return the services as one process has them."""
        return {
            name: Blocking(name, self) if mood == "blocking" else Recording(name, mood, self)
            for name, mood in self.moods.items()
        }


class Followers(Program):
    """Hosts the services of the world.

    Args:
        world: Where it runs.
        name: How the process is called.
        path: Where the group's progress is, if the log does not keep it.
        deliveries: The services, and where they write down what they hear.
    """

    def __init__(self, world: "World", name: str, path: Path, deliveries: Deliveries) -> None:
        super().__init__(world, name)
        self._path = path
        self._deliveries = deliveries
        self._concurrent = deliveries.random.choice((1, 2, 16))
        self._timeout = deliveries.random.choice((None, 0.5, 5.0))
        self.host: ServiceHost | None = None

    async def work(self) -> None:
        """Follow."""
        store = open_progress(self.log, GROUP, self._path)
        self.host = ServiceHost(
            self.log,
            self._deliveries.services(),
            store,
            start=Start.beginning(),
            concurrent=self._concurrent,
            timeout=self._timeout,
            attempts=2,
            clock=self._world.clock,
        )
        async with self.host:
            await self.until_told()

    async def catch_up(self) -> ServiceHost:
        """Wait until the services have dealt with all changes, or parked them, or have stopped."""
        host = self.host
        assert host is not None, "it has begun"
        await until(lambda: len(host._shares) == self.log.partitions)
        await host.caught_up()
        return host

    def going_on(self) -> list[tuple[str, int]]:
        """Return which services have not stopped in which partitions, and have nothing parked there."""
        assert self.host is not None, "it has begun"
        followers = [each for share in self.host._shares.values() for each in share.followers]
        return [(each.service, each.partition) for each in followers if not each.stopped and not each.lag(0).parked]

    async def settle(self) -> None:
        """Wait until the services have dealt with all changes; what is parked is delivered again."""
        host = await self.catch_up()
        while True:
            await host.caught_up()
            _, parked = await read_group(self.log, GROUP, self._path)
            if not parked:
                return
            for each in parked:
                if not each.asked:
                    await ask_group(self.log, GROUP, self._path, each, Request("retry", each.key))
            await asyncio.sleep(1.0)
