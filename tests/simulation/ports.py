"""Time and identities of a simulation: all of them come from its seed."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from engine.core.identity import make_run_id

_BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)
_BEGINNING_SECONDS: Final = _BEGINNING.timestamp()


class SimulatedClock:
    """The time of the simulated loop, told as the time of day; besides, it moves when the simulation says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ahead = 0.0

    def now(self) -> str:
        """Return the time as RFC 3339 text in UTC with microseconds."""
        return (_BEGINNING + timedelta(seconds=self._loop.time() + self._ahead)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def seconds(self) -> float:
        """Return the time in seconds since 1970 UTC, for the log."""
        return _BEGINNING_SECONDS + self._loop.time() + self._ahead

    def milliseconds(self) -> int:
        """Return the time in milliseconds since 1970 UTC, for new run ids."""
        return int(self.seconds() * 1000)

    def jump(self, seconds: float) -> None:
        """Let the time of day be later by so much, without anybody's waiting for it."""
        self._ahead += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class SimulatedIds:
    """Identities that the seed determines; several engines share one object, so that no identity comes twice."""

    def __init__(self, random: Random, clock: SimulatedClock) -> None:
        self._random = random
        self._clock = clock
        self._count = 0

    def run_id(self) -> str:
        """Return a new UUID of version 7."""
        return make_run_id(self._clock.milliseconds(), self._random.getrandbits(74))

    def command_id(self) -> str:
        """Return an id for a command."""
        self._count += 1
        return f"command-{self._count}"

    def nonce(self) -> str:
        """Return a text that nobody has used before."""
        self._count += 1
        return f"nonce-{self._count}"

    def fraction(self) -> float:
        """Return a random number from 0 to 1."""
        return self._random.random()
