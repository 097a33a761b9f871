"""One partition in the hands of an executor: owned again and again, whatever happens."""

import logging
from collections.abc import Awaitable, Callable

from engine.core.decision import Outcome
from engine.core.view import View
from engine.errors import RunlineError
from engine.executor.settings import Settings
from engine.executor.term import ReplacedError, Term
from engine.limits import (
    FENCE_RETRY_SECONDS_MAX,
    FENCE_RETRY_SECONDS_MIN,
)

_LOGGER = logging.getLogger("runline.executor")


class Partition:
    """Owns one partition, again and again, until it is cancelled.

    Args:
        number: The partition.
        settings: What all owners of an executor have in common.
        confirm: Asks the group whether the partition is still this executor's.
    """

    def __init__(self, number: int, settings: Settings, confirm: Callable[[int], Awaitable[bool]]) -> None:
        self._number = number
        self._confirm = confirm
        self._settings = settings
        self._delay = FENCE_RETRY_SECONDS_MIN
        self._term: Term | None = None
        self.trouble: str | None = None

    @property
    def view(self) -> View | None:
        """What the owner has folded, or None while the partition is not owned."""
        return None if self._term is None else self._term.view

    @property
    def decided(self) -> int | None:
        """The offset of `commands` below which everything is decided, or None while the partition is not owned."""
        return None if self._term is None else self._term.decided

    def concluded(self, run_id: str, outcome: Outcome) -> None:
        """Take the outcome of an attempt; between two terms it stays there, and the next term asks for it."""
        if self._term is not None:
            self._term.deliver(run_id, outcome)

    async def drain(self) -> None:
        """Take no more inputs, and wait until what was sent has been read back."""
        if self._term is not None:
            await self._term.drain()

    def stop(self) -> None:
        """Read, decide and start nothing more from now on; `run`, which was cancelled, hears of it a little later."""
        if self._term is not None:
            self._term.close()

    async def run(self, owned: Callable[[], None], failed: Callable[[RunlineError], None]) -> None:
        """Own the partition; after any trouble drop its state, wait, fence and read again.

        Args:
            owned: Called each time the partition has been taken over and everything on the log is known.
            failed: Called with each operating error.
        """
        clock, ids = self._settings.clock, self._settings.ids
        while True:
            try:
                self._term = await Term.take(self._number, self._settings, self.concluded)
                self.trouble = None
                owned()
                await self._term.work()
            except ReplacedError:
                self.trouble = "another executor has taken the partition"
                _LOGGER.warning("Partition %d: %s; fencing again", self._number, self.trouble)
            except RunlineError as error:
                self.trouble = str(error)
                failed(error)
                _LOGGER.error("Partition %d: %s; reading again", self._number, error)  # noqa: TRY400 - the text says it all
            except Exception as error:
                # A mistake of ours, or of user code that got this far: it must not end the partition in silence.
                self.trouble = f"{type(error).__name__}: {error}"
                failed(RunlineError(f"Partition {self._number} stopped: {self.trouble}"))
                _LOGGER.exception("Partition %d stopped; reading again", self._number)
            finally:
                term, self._term = self._term, None
                if term is not None:
                    term.close()
                    if term.productive:
                        self._delay = FENCE_RETRY_SECONDS_MIN
            delay, self._delay = self._delay, min(self._delay * 2, FENCE_RETRY_SECONDS_MAX)
            await clock.sleep(delay * (0.5 + ids.fraction()))
            # One that was suspended may not know yet that it was given up: it must not replace its successor.
            while not await self._confirm(self._number):
                await clock.sleep(delay * (0.5 + ids.fraction()))
