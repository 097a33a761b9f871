"""The services of a host, with all that it takes to call them: threads, event loops, and who watches these."""

import asyncio
from collections.abc import Mapping

from consumers.host.delivery import HostedService, Service, is_asynchronous
from consumers.host.loops import HostLoop, OwnLoop
from consumers.host.watchdog import Watchdog
from engine.executor.threads import Threads


class HostedServices:
    """The services that one host calls. Made, started and closed in the host's event loop.

    Args:
        services: By their names, in the order in which they are called.
        concurrent: Calls of one service at once.
        timeout: Seconds after which an asynchronous call is cancelled, or None.
        own_loops: Whether each asynchronous service has an event loop and a thread of its own.

    Attributes:
        all: Each service, ready to be called, in order.

    Raises:
        ServiceInvalidError: A service is none.
    """

    def __init__(
        self, services: Mapping[str, Service], *, concurrent: int, timeout: float | None, own_loops: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        self._threads = Threads(loop)
        self._watchdog = Watchdog(loop, "the whole host")
        here = HostLoop(self._watchdog, timeout)
        self._loops = {
            name: OwnLoop(name, timeout) for name, each in services.items() if own_loops and is_asynchronous(each)
        }
        self.all = [
            HostedService(name, service, self._threads, self._loops.get(name, here), concurrent=concurrent)
            for name, service in services.items()
        ]

    def start(self) -> None:
        """Let the loops run, and watch them."""
        self._watchdog.start()
        for loop in self._loops.values():
            loop.start()

    async def close(self) -> None:
        """End threads and loops, and wait for these, bounded; what hangs in one ends with the process."""
        self._threads.close()
        self._watchdog.stop()
        await asyncio.gather(*(loop.close() for loop in self._loops.values()))

    def blocked(self, service: str, partition: int) -> float:
        """Return for how many seconds calls of a service that never waited kept its event loop from going on."""
        own = self._loops.get(service)
        watchdog = self._watchdog if own is None else own.watchdog
        return watchdog.blocked.get((service, partition), 0.0)
