"""A tail: one reader of a partition for all waiters of a process, which folds only the runs that somebody follows."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from engine.core.outline import Outline
from engine.core.records import COMMIT
from engine.core.state import RunState, RunStatus
from engine.core.view import Accepted, View
from engine.errors import ClosedError, LogDamagedError, LogError, RunlineError
from engine.executor.beginning import begin
from engine.limits import CREATED_RUNS_KEPT_MAX, FENCE_RETRY_SECONDS_MAX, FENCE_RETRY_SECONDS_MIN
from engine.log.errors import LogDeniedError
from engine.log.known import next_known
from engine.log.port import EVENTS, Log, LogRecord
from engine.runs.search import Search, Sought

_LOGGER = logging.getLogger("runline.runs")

_LASTING: Final = (LogDamagedError, LogDeniedError)
"""What does not pass by itself. All else does: brokers that are away, and those that have just come back, which do not
know their topics or their leaders yet, say many things."""


class _Followed(Sought):
    """A run that somebody follows.

    Args:
        run_id: The run.
        accept: Takes a commit behind those that were sought.
        tell: Called with commits that were found.

    Attributes:
        count: How many do.
        outline: What has become of it.
        sure: Whether everything below the tail's position is known.
        looked: Done when it is, or cannot be; None when it was from the beginning.
        held: Commits that came while the history was being read, and whose epoch counted where they stand.
    """

    __slots__ = ("_accept", "_tell", "count", "held", "looked", "outline", "sure")

    def __init__(
        self, run_id: str, accept: Callable[["_Followed", LogRecord], None], tell: Callable[[Accepted], None]
    ) -> None:
        super().__init__(run_id, whole=False)
        self._accept = accept
        self._tell = tell
        self.count = 0
        self.outline = Outline()
        self.sure = True
        self.looked: asyncio.Future[None] | None = None
        self.held: list[LogRecord] = []

    def look(self, *, again: bool) -> None:
        """Accept nothing until what lies before is known; `again` when nobody knows what was missed."""
        self.whole = again
        self.sure = False
        self.held = []
        if self.looked is None or self.looked.done():
            self.looked = asyncio.get_running_loop().create_future()

    @property
    def lost(self) -> bool:
        """Whether it could not be found out what lies before."""
        return not self.sure and self.looked is not None and self.looked.done()

    def told(self, accepted: Accepted) -> None:
        """Pass on what was found."""
        self._tell(accepted)

    def known(self) -> None:
        """Go on behind what was found with what came in the meantime."""
        if self.state is not None:
            self.outline = Outline(self.state)
            self.state = None
        held, self.held = self.held, []
        for record in held:
            # Those that were found too do not follow what was found, so they are skipped.
            self._accept(self, record)
        assert self.looked is not None
        self.sure = True
        self.looked.set_result(None)

    def failed(self, error: RunlineError) -> bool:
        """Tell whoever begins to follow; for those who follow already it is tried again."""
        assert self.looked is not None
        if self.whole and not isinstance(error, ClosedError):
            return True
        self.looked.set_exception(error)
        # There may be nobody any more.
        self.looked.exception()
        return False


class Tail:
    """Follows one partition from its end on.

    Args:
        log: The log.
        partition: The partition.
        search: Finds what lies before.
        accepted: Called with every accepted commit of a run that is followed; with some of them more than once.
    """

    def __init__(self, log: Log, partition: int, search: Search, accepted: Callable[[Accepted], None]) -> None:
        self._log = log
        self._partition = partition
        self._search = search
        self._accepted = accepted
        self._followed: dict[str, _Followed] = {}
        self._view = View()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Runs that were created here and wait for their start: whoever starts them need not read what lies before.
        self._created: dict[str, _Followed] = {}
        self._beginnings = 0
        self._task = asyncio.create_task(self._run())

    async def follow(self, run_id: str, *, new: bool, patient: bool) -> RunState | None:
        """Tell what lies before of a run, and every commit from now on; return what has become of it so far.

        Raises:
            LogError: The log cannot be read.
        """
        while True:
            try:
                return await self._follow(run_id, new=new)
            except LogError as error:
                # Whatever failed pauses before it tries again, so this is no busy loop.
                if not patient or isinstance(error, _LASTING):
                    raise

    async def _follow(self, run_id: str, *, new: bool) -> RunState | None:
        while not self._ready.done():
            await asyncio.shield(self._ready)
        self._ready.result()
        followed = self._followed.get(run_id)
        if followed is None or followed.lost:
            # Whoever else waited for a look that failed may not have let go of it yet.
            followed = self._followed[run_id] = self._begin_following(run_id, new=new)
        followed.count += 1
        if not followed.sure:
            assert followed.looked is not None
            try:
                await asyncio.shield(followed.looked)
            except BaseException:
                self._let_go(followed)
                raise
        return followed.outline.state

    def _begin_following(self, run_id: str, *, new: bool) -> _Followed:
        followed = self._created.pop(run_id, None)
        if followed is not None:
            return followed
        followed = _Followed(run_id, self._accept, self._accepted)
        state = self._view.runs.get(run_id)
        if state is not None:
            # Nobody has changed it since the tail began.
            followed.outline = Outline(state)
        elif not new:
            followed.look(again=False)
            self._search.add(followed)
        return followed

    def unfollow(self, run_id: str) -> None:
        """Follow a run no longer, after a `follow` that returned."""
        followed = self._followed.get(run_id)
        if followed is not None:
            self._let_go(followed)

    def _let_go(self, followed: _Followed) -> None:
        run_id = followed.run_id
        followed.count -= 1
        if followed.count or self._followed.get(run_id) is not followed:
            return
        del self._followed[run_id]
        self._search.discard(followed)
        state = followed.outline.state
        if followed.sure and state is not None and state.status is RunStatus.CREATED:
            followed.looked = None
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
        return None if state is None or state.status is RunStatus.RUNNING or not followed.sure else state

    async def close(self) -> None:
        """Stop reading."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
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
                    self._look_again()
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
                for record in await next_known(self._reader):
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
            if followed.sure:
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

    def _look_again(self) -> None:
        """After trouble, seek again what is followed: nobody knows what was missed."""
        for followed in self._followed.values():
            followed.look(again=True)
            self._search.add(followed)
