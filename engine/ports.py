"""What the engine takes from the world besides the log: time and new ids. Tests and simulations bring their own."""

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol


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

    def nonce(self) -> str:
        """Return a text that nobody has used before."""
        ...

    def fraction(self) -> float:
        """Return a random number from 0 to 1, to spread delays."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> str:
        """Return the time as RFC 3339 text in UTC with microseconds."""
        return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def milliseconds(self) -> int:
        """Return the time in milliseconds since 1970 UTC."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class SystemIds:
    """Ids from the machine's random source, run ids with the clock's time in front (UUID version 7, RFC 9562)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def run_id(self) -> str:
        """Return a new UUID of version 7."""
        random = secrets.randbits(74)
        number = (self._clock.milliseconds() << 80) | (0x7 << 76) | ((random >> 62) << 64)
        text = f"{number | (0b10 << 62) | (random & ((1 << 62) - 1)):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def nonce(self) -> str:
        """Return 16 random hexadecimal digits."""
        return secrets.token_hex(8)

    def fraction(self) -> float:
        """Return a random number from 0 to 1."""
        return secrets.randbelow(1 << 30) / (1 << 30)
