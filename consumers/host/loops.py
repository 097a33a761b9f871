"""Where asynchronous methods of services are awaited: in the host's event loop, or in one of the service's own."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from consumers.host.watchdog import Called, Watchdog
from engine.limits import FOLLOW_DRAIN_SECONDS

_LOGGER = logging.getLogger("runline.follow")


class Awaiting(Protocol):
    """Awaits what methods of services return."""

    async def __call__(self, make: Callable[[], Awaitable[object]], called: Called) -> None:
        """Make an awaitable and await it; raises whatever that raises."""
        ...


class HostLoop:
    """Awaits in the loop that it is called in.

    Args:
        watchdog: Of that loop.
        timeout: Seconds after which a call is cancelled, or None.
    """

    def __init__(self, watchdog: Watchdog, timeout: float | None) -> None:
        self._calls = watchdog.calls
        self._timeout = timeout

    async def __call__(self, make: Callable[[], Awaitable[object]], called: Called) -> None:
        """Make an awaitable and await it; raises whatever that raises, and TimeoutError."""
        task = asyncio.current_task()
        self._calls[task] = called
        try:
            if self._timeout is None:
                await make()
                return
            async with asyncio.timeout(self._timeout):
                await make()
        finally:
            del self._calls[task]


class OwnLoop:
    """Awaits in a loop of its own, on a thread of its own, so that whoever blocks it harms nobody else.

    Args:
        service: The service whose loop it is.
        timeout: Seconds after which a call is cancelled, or None.
    """

    def __init__(self, service: str, timeout: float | None) -> None:
        self._loop = asyncio.new_event_loop()
        self.watchdog = Watchdog(self._loop, f"{service} alone")
        self._inside = HostLoop(self.watchdog, timeout)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"runline loop of {service}", daemon=True)

    def start(self) -> None:
        """Let the loop run."""
        self._thread.start()

    async def __call__(self, make: Callable[[], Awaitable[object]], called: Called) -> None:
        """Make an awaitable and await it; raises whatever that raises, and TimeoutError."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._guarded(make, called), self._loop))

    async def close(self) -> None:
        """End the loop, and wait for it, bounded: one that is blocked ends with the process."""
        self._stopping = True
        self.watchdog.stop()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join, FOLLOW_DRAIN_SECONDS)

    async def _guarded(self, make: Callable[[], Awaitable[object]], called: Called) -> None:
        try:
            await self._inside(make, called)
        except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:  # they would end the loop, or whoever waits
            raise RuntimeError(f"{type(error).__name__}: {error}") from error

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self.watchdog.start)
        while not self._stopping:
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt):  # of a task that the service has made
                _LOGGER.exception("A task of a service tried to end its event loop")
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
