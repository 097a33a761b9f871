"""A program: what one process of the world does, from its beginning to its end."""

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from engine.errors import RunlineError
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.loop import until

if TYPE_CHECKING:
    from tests.simulation.world import World


class Program(ABC):
    """A process with something in it, until it is closed or dies.

    Args:
        world: Where it runs.
        name: How the process is called.

    Attributes:
        process: What its code runs in.
        log: Its own client of the log.
        ready: Whether it has begun, and was not told to end.
        failure: What ended it before it was told to, or None.
    """

    def __init__(self, world: "World", name: str) -> None:
        self.name = name
        self.process = world.loop.process(name)
        self.log = world.client(self.process)
        self.ready = False
        self.failure: RunlineError | None = None
        self._stop = asyncio.Event()
        self._world = world

    def begin(self) -> None:
        """Begin to work."""
        self._life = self.process.spawn(self._live())

    @abstractmethod
    async def work(self) -> None:
        """Work until `until_told`, and tidy up."""

    async def until_told(self) -> None:
        """Wait until the program is told to end."""
        self.ready = True
        await self._stop.wait()
        self.ready = False

    async def _live(self) -> None:
        try:
            await self.work()
        except RunlineError as error:
            # The log failed while it began, or before it ended.
            self.failure = error
        finally:
            self.ready = False

    @property
    def gone(self) -> bool:
        """Whether the process has ended."""
        return self.process.dead or self._life.done()

    @property
    def lives(self) -> bool:
        """Whether the process is there and not paused."""
        return not (self.gone or self.process.paused)

    async def opened(self) -> None:
        """Wait until it has begun; raises what keeps it from that."""
        await until(lambda: self.ready or self.gone)
        if not self.ready:
            self._life.result()
            raise self.failure or AssertionError(f"{self.name} ended before it had begun")

    async def close(self) -> None:
        """End in good order."""
        self.wake()
        self.log.release()
        self._stop.set()
        await until(lambda: self.gone)

    def die(self) -> None:
        """End at once, in the middle of anything: no line of its code runs any more."""
        self.ready = False
        self.process.kill()
        self.log.abandon()

    def pause(self) -> None:
        """Stand still, as after SIGSTOP; the brokers hear nothing of it."""
        if not self.process.paused and not self.gone:
            self.process.pause()
            if isinstance(self.log, SimulatedKafka):
                self.log.fall_silent()

    def wake(self) -> None:
        """Go on where it stood."""
        if not self.gone:
            if self.process.paused:
                self.process.wake()
            if isinstance(self.log, SimulatedKafka):
                self.log.speak()

    def cut_off(self) -> None:
        """Go on, but reach no broker any more, until `wake`."""
        if isinstance(self.log, SimulatedKafka) and not self.gone:
            self.log.cut_off()
