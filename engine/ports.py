"""What the engine takes from the world besides the log: time and new ids. Tests and simulations bring their own."""

import asyncio
import random
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol

from engine.core.identity import make_run_id


class Clock(Protocol):
    """Time, for what is written into events and for how long to wait; never for what happened before what."""

    def now(self) -> str:
        """Return the time as RFC 3339 text in UTC with microseconds."""
        ...

    def milliseconds(self) -> int:
        """Return the time in milliseconds since 1970 UTC, for new run ids."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Ids(Protocol):
    """New identities."""

    def run_id(self) -> str:
        """Return a new run id."""
        ...

    def command_id(self) -> str:
        """Return an id for a command."""
        ...

    def nonce(self) -> str:
        """Return a text that nobody has used before."""
        ...

    def fraction(self) -> float:
        """Return a random number from 0 to 1, to spread delays."""
        ...


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def now(self) -> str:
        """Return the time as RFC 3339 text in UTC with microseconds."""
        second, rest = divmod(time.time_ns(), 1_000_000_000)
        if second != self._second:
            # Formatting a date costs more than all the rest, and the second is mostly the same.
            self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = second
        return f"{self._prefix}.{rest // 1000:06d}Z"

    def milliseconds(self) -> int:
        """Return the time in milliseconds since 1970 UTC."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class SystemIds:
    """Random ids, run ids with the clock's time in front (UUID version 7, RFC 9562).

    Ids must be unique, not secret: the numbers come from a generator of this object's own, seeded by the machine.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._random = random.Random(secrets.randbits(256))  # noqa: S311 - unique, not secret
        self._count = 0
        self._prefix = secrets.token_hex(8)

    def run_id(self) -> str:
        """Return a new UUID of version 7."""
        return make_run_id(self._clock.milliseconds(), self._random.getrandbits(74))

    def command_id(self) -> str:
        """Return an id for a command: a prefix of this object's own and a number."""
        self._count += 1
        return f"{self._prefix}.{self._count}"

    def nonce(self) -> str:
        """Return 16 random hexadecimal digits."""
        return secrets.token_hex(8)

    def fraction(self) -> float:
        """Return a random number from 0 to 1."""
        return self._random.random()
