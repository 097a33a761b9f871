"""What is known of an endpoint that takes nothing: since when, and when to try it again."""

from engine.limits import WEBHOOK_PAUSE_SECONDS_MAX, WEBHOOK_PAUSE_SECONDS_MIN
from engine.ports import Clock

_MILLISECONDS = 1000


class Patience:
    """Keeps account of one endpoint: all that is sent to it waits together while it is away.

    Args:
        clock: Tells the time, and waits.
        seconds: How long the endpoint may be away before what is sent to it fails.

    Attributes:
        taken: How many requests the endpoint has taken.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.taken = 0
        self._clock = clock
        self._bound = int(seconds * _MILLISECONDS)
        self._away_since: int | None = None
        self._pause = WEBHOOK_PAUSE_SECONDS_MIN
        self._pause_until = 0

    def ask_pause(self, seconds: float) -> None:
        """Send nothing for so long, because the endpoint asks for it."""
        self._pause_until = max(self._pause_until, self._clock.milliseconds() + int(seconds * _MILLISECONDS))

    def note_away(self) -> float | None:
        """Note that the endpoint was away.

        Returns:
            The seconds after which it is tried again; None when it has been away for too long.
        """
        now = self._clock.milliseconds()
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since >= self._bound:
            return None
        # Of several requests that were under way together the first one has seen to it, or the endpoint itself.
        if now >= self._pause_until:
            self.ask_pause(self._pause)
            self._pause = min(2 * self._pause, WEBHOOK_PAUSE_SECONDS_MAX)
        return (self._pause_until - now) / _MILLISECONDS

    def note_taken(self) -> float | None:
        """Note that the endpoint took something; return for how many seconds it was away, or None if it was not."""
        self.taken += 1
        self._pause = WEBHOOK_PAUSE_SECONDS_MIN
        since, self._away_since = self._away_since, None
        return None if since is None else (self._clock.milliseconds() - since) / _MILLISECONDS

    async def wait(self) -> None:
        """Wait until something may be sent."""
        milliseconds = self._pause_until - self._clock.milliseconds()
        if milliseconds > 0:
            await self._clock.sleep(min(milliseconds / _MILLISECONDS, WEBHOOK_PAUSE_SECONDS_MAX))
