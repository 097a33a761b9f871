"""Searches: what became of runs before now, read from a partition in one pass for all that are sought meanwhile."""

import asyncio
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Final

from engine.core.identity import id_time
from engine.core.records import FENCE_KEY
from engine.core.state import RunState
from engine.core.view import Accepted, View
from engine.errors import ClosedError, RunlineError
from engine.executor.beginning import begin
from engine.limits import (
    FENCE_RETRY_SECONDS_MAX,
    FENCE_RETRY_SECONDS_MIN,
    SEARCH_BYTES,
    SEARCH_NEAR_SECONDS,
    SEARCH_RECORDS,
    SEARCH_SLACK_SECONDS,
    WINDOW_SECONDS,
)
from engine.log.port import EVENTS, Log, LogRecord

_LOGGER = logging.getLogger("runline.runs")

_TURN_RECORDS: Final = 100
"""Records folded before others get their turn."""
_EVERYTHING: Final = -math.inf
_LAST_CHECKPOINT: Final = math.inf


class Sought(ABC):
    """A run that is sought: told of each of its commits that counts, and then what has become of it.

    Args:
        run_id: The run.
        whole: Whether its commits before the last checkpoint are wanted too, and not only what they led to.

    Attributes:
        run_id: The run.
        whole: As given.
        state: What has become of it, as far as the search has come.
        since: From when on it is sought, in milliseconds since 1970 UTC.
        passed_over: Whether a pass has left it out.
    """

    __slots__ = ("passed_over", "run_id", "since", "state", "whole")

    def __init__(self, run_id: str, *, whole: bool) -> None:
        self.run_id = run_id
        self.whole = whole
        self.begin()

    def begin(self) -> None:
        """Seek anew: where it is quickest to find."""
        self.state: RunState | None = None
        self.since: float = _LAST_CHECKPOINT
        self.passed_over = False
        if self.whole:
            self.widen(_LAST_CHECKPOINT)

    def widen(self, searched: float) -> bool:
        """Seek in more than what was searched from this time on; return False when there is nothing more.

        The times of ids are bound to the times of the log: nobody can create a run with an id from outside the
        window, and the clocks of those who make ids and of the brokers are mostly not far apart.
        """
        for slack in (SEARCH_SLACK_SECONDS, WINDOW_SECONDS + SEARCH_SLACK_SECONDS):
            since = id_time(self.run_id) - int(slack * 1000)
            if since < searched:
                self.state, self.since = None, since
                return True
        return False

    @abstractmethod
    def told(self, accepted: Accepted) -> None:
        """Hear of a commit that counts; when the search has to begin again, from the first on again."""

    @abstractmethod
    def known(self) -> None:
        """Hear that `state` is what had become of the run when it was asked for; None: the log has no such run."""

    @abstractmethod
    def failed(self, error: RunlineError) -> bool:
        """Hear that the log could not be read; return whether to go on searching."""


class Search:
    """Searches one partition. Whatever is asked for while a pass is under way waits for the next one.

    Args:
        log: The log.
        partition: The partition.
    """

    def __init__(self, log: Log, partition: int) -> None:
        self._log = log
        self._partition = partition
        self._waiting: dict[Sought, None] = {}
        self._pass: _Pass | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        """Return how many are sought."""
        return len(self._waiting) + (0 if self._pass is None else len(self._pass))

    def add(self, sought: Sought) -> None:
        """Seek a run; if it is being sought already, begin again.

        Raises:
            ClosedError: The search was closed.
        """
        if self._closed:
            raise ClosedError("the engine was closed.")
        self.discard(sought)
        sought.begin()
        self._waiting[sought] = None
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def discard(self, sought: Sought) -> None:
        """Seek a run no longer, if it is sought."""
        self._waiting.pop(sought, None)
        if self._pass is not None:
            self._pass.discard(sought)

    async def close(self) -> None:
        """Stop; whoever seeks something is told."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        left = [*self._waiting, *(() if self._pass is None else self._pass.left())]
        self._waiting.clear()
        self._pass = None
        for sought in left:
            sought.failed(ClosedError("the engine was closed."))

    async def _run(self) -> None:
        delay = FENCE_RETRY_SECONDS_MIN
        while self._waiting:
            self._pass = _Pass(self._take_part())
            try:
                await self._go_through(self._pass)
                self._widen(self._pass.left())
                delay = FENCE_RETRY_SECONDS_MIN
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait in silence for it
                self._fail(error, self._pass.left())
                self._pass = None
                await asyncio.sleep(delay)
                delay = min(2 * delay, FENCE_RETRY_SECONDS_MAX)
        self._pass = None
        self._task = None

    def _take_part(self) -> list[Sought]:
        """Take those whom the next pass is for: nobody waits for a pass through older times more than once."""
        chosen = list(self._waiting)
        if not any(sought.passed_over for sought in chosen):
            first = max(sought.since for sought in chosen) - SEARCH_NEAR_SECONDS * 1000
            chosen = [sought for sought in chosen if sought.since >= first]
        for sought in chosen:
            del self._waiting[sought]
        for sought in self._waiting:
            sought.passed_over = True
        return chosen

    async def _go_through(self, passing: "_Pass") -> None:
        place = (EVENTS, self._partition)
        end = (await self._log.ends(*place)).end
        before = None
        if passing.since != _LAST_CHECKPOINT:
            before = await self._log.first_after(*place, int(passing.since))
        passing.begin((await begin(self._log, self._partition, before)).view)
        count = SEARCH_RECORDS
        while passing.needed and passing.position < end:
            records = await self._log.read(*place, passing.position, min(count, end - passing.position))
            if not records:
                break
            await passing.take(records)
            size = sum(len(record.value) for record in records)
            count = max(1, min(2 * count, SEARCH_RECORDS, SEARCH_BYTES * len(records) // max(size, 1)))
        await passing.conclude()

    def _widen(self, left: Iterable[Sought]) -> None:
        """Let those who were not found in a pass take part in one through older times."""
        for sought in left:
            self._waiting[sought] = None

    def _fail(self, error: Exception, left: Iterable[Sought]) -> None:
        failure = error
        if not isinstance(failure, RunlineError):
            failure = RunlineError(f"Partition {self._partition} cannot be searched: {error!r}")
        _LOGGER.error("Waiters cannot look into partition %d: %s", self._partition, failure)
        for sought in left:
            if sought.failed(failure):
                sought.begin()
                self._waiting[sought] = None


class _Pass:
    """One pass through a partition, from some time on to its end.

    Args:
        chosen: Who takes part.

    Attributes:
        since: The time.
    """

    def __init__(self, chosen: Sequence[Sought]) -> None:
        self.since = min(sought.since for sought in chosen)
        self._view = View()
        self._by_run: dict[str, list[Sought]] = {}
        for sought in chosen:
            self._by_run.setdefault(sought.run_id, []).append(sought)
        self._unfound: dict[Sought, None] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_run.values())) + len(self._unfound)

    @property
    def needed(self) -> bool:
        """Whether anybody would learn from reading on."""
        return bool(self._by_run)

    def left(self) -> list[Sought]:
        """Return those who do not know yet."""
        return [*(sought for each in self._by_run.values() for sought in each), *self._unfound]

    @property
    def position(self) -> int:
        """The offset to read next."""
        return self._view.position

    def begin(self, view: View) -> None:
        """Begin where everything before is summed up by a view."""
        self._view = view
        # Of the many runs of a checkpoint only these are of interest.
        view.runs = {run_id: view.runs[run_id] for run_id in self._by_run if run_id in view.runs}
        view.ended = {run_id: view.ended[run_id] for run_id in self._by_run if run_id in view.ended}
        if view.position == 0:
            self.since = _EVERYTHING
        for run_id, state in view.runs.items():
            for sought in list(self._by_run[run_id]):
                sought.state = state
                if sought.whole and sought.widen(self.since):
                    self.discard(sought)
                    self._unfound[sought] = None

    async def take(self, records: Sequence[LogRecord]) -> None:
        """Fold records, those of the runs that are sought; let others have their turns."""
        folded = 0
        for record in records:
            key = record.key
            if key != FENCE_KEY and key not in self._by_run:
                continue
            accepted = self._view.fold(record)
            if accepted is not None:
                self._tell(key, accepted)
            folded += 1
            if folded % _TURN_RECORDS == 0:
                await asyncio.sleep(0)
        self._view.position = records[-1].offset + 1

    async def conclude(self) -> None:
        """Tell those who are left what is known at the end, if it is anything; let others have their turns."""
        for count, sought in enumerate(self.left(), 1):
            if sought in self._by_run.get(sought.run_id, ()) and (
                sought.state is not None or not sought.widen(self.since)
            ):
                self.discard(sought)
                sought.known()
            if count % _TURN_RECORDS == 0:
                await asyncio.sleep(0)

    def discard(self, sought: Sought) -> None:
        """Let somebody take part no longer."""
        self._unfound.pop(sought, None)
        together = self._by_run.get(sought.run_id, [])
        if sought in together:
            together.remove(sought)
            if not together:
                del self._by_run[sought.run_id]
                self._view.runs.pop(sought.run_id, None)

    def _tell(self, run_id: str, accepted: Accepted) -> None:
        for sought in list(self._by_run[run_id]):
            sought.state = accepted.after
            sought.told(accepted)
            if accepted.after.status.terminal:
                self.discard(sought)
                sought.known()
