"""Care: calls are written down before they are made, so that one that ends the process is known afterwards.

It is taken only where a process has ended without letting go, and only until everything is past that this process may
have called. The calls that were under way when a process ended are then made one at a time.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from consumers.host.calls import Call, NotedCall
from consumers.host.persistence import persist
from consumers.host.store import ProgressStore
from engine.limits import FOLLOW_NOTED_CALLS_MAX, FOLLOW_SUSPECT_SECONDS
from engine.log.port import EVENTS
from engine.ports import Clock

_LOGGER = logging.getLogger("runline.follow")


class Turn:
    """Lets one suspect call of a host go on at a time, so that the next death has one cause."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Have the turn, for a bounded time: a call that never ends must not keep the others from being made."""
        await self._lock.acquire()
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self._lock.release()

        timer = asyncio.get_running_loop().call_later(FOLLOW_SUSPECT_SECONDS, give_back)
        try:
            yield
        finally:
            timer.cancel()
            give_back()


class Care:
    """Knows in which calls of a partition a process ended, and writes down those that are made with care.

    Args:
        partition: The partition of `events`.
        store: Where they are written down.
        turn: The host's.
        deaths_max: After so many ends of a process in a call it is not made again.
        clock: Waits while nothing can be written.
    """

    def __init__(self, partition: int, store: ProgressStore, turn: Turn, deaths_max: int, clock: Clock) -> None:
        self._partition = partition
        self._store = store
        self._turn = turn
        self._deaths_max = deaths_max
        self._clock = clock
        self._deaths: dict[Call, int] = {}
        self._under_way: set[Call] = set()
        self._stale = False
        self._asked = 0
        self._done = 0
        self._writing = asyncio.Lock()
        self._room = asyncio.Semaphore(FOLLOW_NOTED_CALLS_MAX)

    async def begin(self, *, ended: bool, wants: Callable[[Call], bool]) -> bool:
        """Take over what was written down; return whether care is to be taken.

        Args:
            ended: Whether the process that followed before ended without letting go.
            wants: Whether a call may be made again.

        Raises:
            RunlineError: It cannot be read or written now.
        """
        noted = await self._store.noted(self._partition)
        died = [each.call for each in noted if ended and each.under_way]
        found = {call: deaths + (call in died) for call, deaths, _ in noted if wants(call)}
        self._deaths = {call: deaths for call, deaths in found.items() if deaths}
        if noted:
            # At once, or the same end would be counted again after the next.
            await self._store.note(self._partition, self._noted())
        if ended:
            _LOGGER.warning(
                "%s/%d: the process before ended without letting go, %s; calls are written down until that is past",
                EVENTS, self._partition, f"with {len(died)} calls under way that it had written down" if died
                else "and had written no call down",
            )  # fmt: skip
        return ended or bool(self._deaths)

    def fatal(self, call: Call) -> int:
        """Return how often a process ended in a call if that is too often, otherwise 0."""
        deaths = self._deaths.get(call, 0)
        return deaths if deaths >= self._deaths_max else 0

    def forget(self, call: Call) -> None:
        """Forget that processes ended in a call: it is parked."""
        self._stale = self._deaths.pop(call, 0) > 0 or self._stale

    async def made(self, call: Call, make: Callable[[], Awaitable[str | None]]) -> str | None:
        """Make a call when it is written down; return its error, or None.

        Args:
            call: The call.
            make: Makes it.

        Raises:
            ClosedError: It cannot be written down any more, and is not made.
        """
        if call not in self._deaths:
            return await self._written_down(call, make)
        async with self._turn.taken():
            error = await self._written_down(call, make)
            if error is None:
                self._deaths.pop(call, None)
            # At once: the next call of the turn may end the process, and this one must not be blamed.
            await self._write()
            return error

    async def settle(self) -> None:
        """Write down what is no longer under way, if anything.

        Raises:
            RunlineError: It cannot be written now.
        """
        # A write that is under way may be waiting for a log that is away; the next one will do.
        if self._stale and not self._writing.locked():
            async with self._writing:
                await self._store.note(self._partition, self._noted())
                self._stale = False

    async def _written_down(self, call: Call, make: Callable[[], Awaitable[str | None]]) -> str | None:
        async with self._room:
            self._under_way.add(call)
            try:
                await self._write()
                return await make()
            finally:
                self._under_way.discard(call)
                self._stale = True

    async def _write(self) -> None:
        """Write all calls down; one write serves all that wait for one."""
        self._asked += 1
        mine = self._asked
        async with self._writing:
            if self._done < mine:
                now = self._asked
                await persist(
                    f"{EVENTS}/{self._partition}",
                    self._clock,
                    lambda: self._store.note(self._partition, self._noted()),
                )
                self._done = now

    def _noted(self) -> list[NotedCall]:
        return [
            NotedCall(call, self._deaths.get(call, 0), call in self._under_way)
            for call in sorted({*self._deaths, *self._under_way})
        ]
