"""Time and identities of a simulation: all of them come from its seed."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random

from engine.core.identity import make_run_id

_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class SimulatedClock:
    """Time that moves when somebody looks, or when the simulation says so; a pause is a few turns of the loop."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._passed = timedelta()

    def now(self) -> str:
        """Return the time as RFC 3339 text in UTC with microseconds."""
        self._passed += timedelta(microseconds=1)
        return (_BEGINNING + self._passed).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def seconds(self) -> float:
        """Return the time in seconds since 1970 UTC, for the log."""
        return (_BEGINNING + self._passed).timestamp()

    def milliseconds(self) -> int:
        """Return the time in milliseconds since 1970 UTC, for new run ids."""
        return int(self.seconds() * 1000)

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        """Wait for some turns of the event loop, more for a longer pause."""
        for _ in range(self._random.randint(1, 10 + int(min(seconds, 1.0) * 200))):
            await asyncio.sleep(0)


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
