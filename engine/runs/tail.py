"""A tail: one reader of a partition for all waiters of a process, which folds only the runs that somebody follows."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from engine.core.outline import Outline
from engine.core.records import COMMIT
from engine.core.state import RunState, RunStatus
from engine.core.view import Accepted, View
from engine.errors import ClosedError, RunlineError
from engine.executor.beginning import begin
from engine.history import read_history
from engine.limits import CREATED_RUNS_KEPT_MAX, FENCE_RETRY_SECONDS_MAX, FENCE_RETRY_SECONDS_MIN
from engine.log.port import EVENTS, Log, LogRecord

_LOGGER = logging.getLogger("runline.runs")


class _Followed:
    """A run that somebody follows.

    Attributes:
        count: How many do.
        outline: What has become of it.
        known: Done when everything below the tail's position is known; None for a run that is new.
        held: Commits that came while the history was being read, and whose epoch counted where they stand.
    """

    __slots__ = ("count", "held", "known", "outline")

    def __init__(self) -> None:
        self.count = 0
        self.outline = Outline()
        self.known: asyncio.Future[None] | None = None
        self.held: list[LogRecord] = []


class Tail:
    """Follows one partition from its end on.

    Args:
        log: The log.
        partition: The partition.
        accepted: Called with every accepted commit of a run that is followed; with some of them more than once.
    """

    def __init__(self, log: Log, partition: int, accepted: Callable[[Accepted], None]) -> None:
        self._log = log
        self._partition = partition
        self._accepted = accepted
        self._followed: dict[str, _Followed] = {}
        self._view = View()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Runs that were created here and wait for their start: whoever starts them need not read what lies before.
        self._created: dict[str, _Followed] = {}
        self._loads: set[asyncio.Task[None]] = set()
        self._beginnings = 0
        self._task = asyncio.create_task(self._run())

    async def follow(self, run_id: str, *, new: bool) -> RunState | None:
        """Tell what lies before of a run, and every commit from now on; return what has become of it so far.

        Raises:
            LogError: The log cannot be read.
        """
        followed = self._followed.get(run_id)
        if followed is None and (followed := self._created.pop(run_id, None)) is not None:
            self._followed[run_id] = followed
        if followed is None:
            followed = self._followed[run_id] = _Followed()
            if not new:
                # Nothing of it is accepted until its history is known.
                followed.known = asyncio.get_running_loop().create_future()
                self._load(run_id, followed, again=False)
        followed.count += 1
        try:
            if not self._ready.done():
                await asyncio.shield(self._ready)
            if followed.known is not None:
                await asyncio.shield(followed.known)
        except BaseException:
            if self._followed.get(run_id) is followed:
                self.unfollow(run_id)
            raise
        return followed.outline.state

    def unfollow(self, run_id: str) -> None:
        """Follow a run no longer, after a `follow` that returned."""
        followed = self._followed.get(run_id)
        if followed is None:
            # Reading it failed when it could be followed no longer.
            return
        followed.count -= 1
        if not followed.count:
            del self._followed[run_id]
            state = followed.outline.state
            if state is not None and state.status is RunStatus.CREATED:
                self._created[run_id] = followed
                if len(self._created) > CREATED_RUNS_KEPT_MAX:
                    del self._created[next(iter(self._created))]

    def state(self, run_id: str) -> RunState | None:
        """Return a run's whole state if it is known here: it has ended, does not run yet, or nobody changed it."""
        if not self._ready.done():
            return None
        followed = self._followed.get(run_id)
        if followed is None:
            return self._view.runs.get(run_id)
        state = followed.outline.state
        # An outline of one that runs does not say where it is.
        return None if state is None or state.status is RunStatus.RUNNING else state

    async def close(self) -> None:
        """Stop reading."""
        for task in (self._task, *self._loads):
            task.cancel()
        await asyncio.gather(self._task, *self._loads, return_exceptions=True)
        if not self._ready.done():
            self._ready.set_exception(ClosedError("the engine was closed."))
        self._ready.exception()

    # Reading.

    async def _run(self) -> None:
        delay = FENCE_RETRY_SECONDS_MIN
        while True:
            try:
                await self._begin()
                self._beginnings += 1
                if self._beginnings > 1:
                    self._load_all()
                delay = FENCE_RETRY_SECONDS_MIN
                self._ready.set_result(None)
                await self._read()
            except ClosedError as error:
                self._fail(error)
                return
            except RunlineError as error:
                _LOGGER.error("Waiters cannot follow partition %d: %s; reading again", self._partition, error)  # noqa: TRY400 - the text says it all
                self._fail(error)
            except Exception as error:
                # A mistake of ours: nobody may wait in silence for it.
                _LOGGER.exception("Waiters cannot follow partition %d; reading again", self._partition)
                self._fail(RunlineError(f"Partition {self._partition} cannot be followed: {error!r}"))
            if self._ready.done():
                self._ready = asyncio.get_running_loop().create_future()
            delay = min(2 * delay, FENCE_RETRY_SECONDS_MAX)
            await asyncio.sleep(delay)

    def _fail(self, error: RunlineError) -> None:
        """Tell those who wait for the beginning; the next ones try anew."""
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()

    async def _begin(self) -> None:
        """Fold the partition from its last checkpoint to its end."""
        self._created.clear()
        self._view = (await begin(self._log, self._partition)).view
        end = (await self._log.ends(EVENTS, self._partition)).end
        self._reader = self._log.reader(EVENTS, self._partition, self._view.position)
        try:
            while self._view.position < end:
                for record in await self._reader.next():
                    self._view.fold(record)
        except BaseException:
            self._reader.close()
            raise

    async def _read(self) -> None:
        try:
            while True:
                for record in await self._reader.next():
                    self._take(record)
        finally:
            self._reader.close()

    def _take(self, record: LogRecord) -> None:
        view = self._view
        headers = record.headers
        if headers.get("ce_type") != COMMIT:
            view.fold(record)
            return
        view.position = record.offset + 1
        run_id = record.key
        # What was known of it gets old now: who follows it has its outline, whoever else wants to know asks the log.
        view.runs.pop(run_id, None)
        followed = self._followed.get(run_id)
        if followed is None:
            self._created.pop(run_id, None)
            return
        if view.epoch is not None and headers.get("epoch") == view.epoch:
            if followed.known is None or followed.known.done():
                self._accept(followed, record)
            else:
                followed.held.append(record)

    def _accept(self, followed: _Followed, record: LogRecord) -> None:
        outline = followed.outline
        decided = record.headers.get("decided", "")
        if outline.state is None and decided.isdecimal() and int(decided) < self._view.commands:
            # A late second copy of a first commit: its run may be forgotten, and must not be revived.
            return
        try:
            accepted = outline.accept(record)
        except RunlineError as error:
            _LOGGER.error("Whoever waits for run %s waits in vain: %s", record.key, error)  # noqa: TRY400 - the text says it all
            return
        if accepted is not None:
            self._accepted(accepted)

    # What lies before.

    def _load_all(self) -> None:
        """After trouble, read again what is followed: nobody knows what was missed."""
        for run_id, followed in self._followed.items():
            if followed.known is None or followed.known.done():
                followed.known = asyncio.get_running_loop().create_future()
                self._load(run_id, followed, again=True)

    def _load(self, run_id: str, followed: _Followed, *, again: bool) -> None:
        task = asyncio.create_task(self._learn(run_id, followed, again=again))
        self._loads.add(task)
        task.add_done_callback(self._loads.discard)

    async def _learn(self, run_id: str, followed: _Followed, *, again: bool) -> None:
        """Read a run's history and tell it; then accept what has come in the meantime.

        Whoever begins to follow is told when that fails; for those who follow already (`again`) it is tried again.
        """
        known = followed.known
        assert known is not None
        delay = FENCE_RETRY_SECONDS_MIN
        while not known.done():
            try:
                self._tell(followed, await self._history(run_id))
                known.set_result(None)
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait in silence for it
                failure = error if isinstance(error, RunlineError) else RunlineError(f"Run {run_id}: {error!r}")
                _LOGGER.error("Waiters cannot read run %s: %s", run_id, failure)  # noqa: TRY400 - the text says it all
                if not again or isinstance(error, ClosedError):
                    if self._followed.get(run_id) is followed:
                        del self._followed[run_id]
                    known.set_exception(failure)
                    known.exception()
                    return
                await asyncio.sleep(delay)
                delay = min(2 * delay, FENCE_RETRY_SECONDS_MAX)

    async def _history(self, run_id: str) -> Sequence[Accepted]:
        """Return a run's history up to where the tail holds what follows."""
        while True:
            await asyncio.shield(self._ready)
            beginning = self._beginnings
            history = await read_history(self._log, run_id)
            if beginning == self._beginnings:
                return history
            # The tail has begun anew meanwhile: there may be a gap before what it holds.

    def _tell(self, followed: _Followed, history: Sequence[Accepted]) -> None:
        for accepted in history:
            self._accepted(accepted)
        if history:
            followed.outline = Outline(history[-1].after)
        held, followed.held = followed.held, []
        for record in held:
            # Those that the history holds too do not follow its end, so they are skipped.
            self._accept(followed, record)
