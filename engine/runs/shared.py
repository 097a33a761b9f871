"""Runs as one of many processes sees them: by reading the log like everybody else."""

import asyncio
import logging

from engine.core.rejection import Rejection
from engine.core.state import RunState
from engine.core.view import Accepted
from engine.errors import ClosedError, RunlineError
from engine.limits import FENCE_RETRY_SECONDS_MAX, FENCE_RETRY_SECONDS_MIN
from engine.log.partitioner import partition_of
from engine.log.port import REJECTIONS, Log, Reader
from engine.runs.search import Search, Sought
from engine.runs.tail import Tail
from engine.waiters import Waiters

_LOGGER = logging.getLogger("runline.runs")


class _Looked(Sought):
    """A run whose state somebody asks for.

    Attributes:
        found: Gives the state.
    """

    __slots__ = ("found",)

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id, whole=False)
        self.found: asyncio.Future[RunState | None] = asyncio.get_running_loop().create_future()

    def told(self, accepted: Accepted) -> None:
        """Only what it leads to is of interest."""

    def known(self) -> None:
        """Give it."""
        if not self.found.done():
            self.found.set_result(self.state)

    def failed(self, error: RunlineError) -> bool:
        """Raise it."""
        if not self.found.done():
            self.found.set_exception(error)
        return False


class SharedRuns:
    """Follows the partitions of the runs that somebody waits for, each with one tail; and the refusals.

    Args:
        log: The log.
        waiters: Hear of commits and refusals.
    """

    def __init__(self, log: Log, waiters: Waiters) -> None:
        self._log = log
        self._waiters = waiters
        self._tails: dict[int, Tail] = {}
        self._searches: dict[int, Search] = {}
        self._hearing: asyncio.Task[None] | None = None
        self._heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed = False

    async def state(self, run_id: str) -> RunState | None:
        """Return the state of a run as it stands now, or None when the log knows no such run."""
        partition = partition_of(run_id, self._log.partitions)
        tail = self._tails.get(partition)
        state = None if tail is None else tail.state(run_id)
        return await self._look(partition, run_id) if state is None else state

    async def follow(self, run_id: str, *, new: bool, patient: bool = False) -> RunState | None:
        """Let the waiters hear of every commit and every refusal of a run; return what has become of it so far."""
        if self._closed:
            raise ClosedError("the engine was closed.")
        partition = partition_of(run_id, self._log.partitions)
        tail = self._tails.get(partition)
        if tail is None:
            tail = self._tails[partition] = Tail(self._log, partition, self._search(partition), self._waiters.accepted)
        if not patient:
            # A command may be refused.
            if self._hearing is None:
                self._hearing = asyncio.create_task(self._hear())
            if not self._heard.done():
                await asyncio.shield(self._heard)
        return await tail.follow(run_id, new=new, patient=patient)

    def unfollow(self, run_id: str) -> None:
        """Follow a run no longer."""
        tail = self._tails.get(partition_of(run_id, self._log.partitions))
        if tail is not None:
            tail.unfollow(run_id)

    async def close(self) -> None:
        """Stop reading; whoever begins to follow is told."""
        self._closed = True
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)
        self._hear_nothing(ClosedError("the engine was closed."))
        for tail in self._tails.values():
            await tail.close()
        for search in self._searches.values():
            await search.close()

    async def _look(self, partition: int, run_id: str) -> RunState | None:
        looked = _Looked(run_id)
        search = self._search(partition)
        search.add(looked)
        try:
            return await looked.found
        finally:
            search.discard(looked)

    def _search(self, partition: int) -> Search:
        search = self._searches.get(partition)
        if search is None:
            search = self._searches[partition] = Search(self._log, partition)
        return search

    async def _hear(self) -> None:
        """Tell the waiters of refusals, from now on."""
        position = -1
        delay = FENCE_RETRY_SECONDS_MIN
        while True:
            reader: Reader | None = None
            try:
                if position < 0:
                    position = (await self._log.ends(REJECTIONS, 0)).end
                reader = self._log.reader(REJECTIONS, 0, position)
                if not self._heard.done():
                    self._heard.set_result(None)
                while True:
                    for record in await reader.next():
                        position = record.offset + 1
                        delay = FENCE_RETRY_SECONDS_MIN
                        headers = record.headers
                        rejection = Rejection(headers.get("code", ""), headers.get("reason", ""))
                        self._waiters.refused(record.key, headers.get("causationid", ""), rejection)
            except ClosedError as error:
                self._hear_nothing(error)
                return
            except RunlineError as error:
                _LOGGER.error("Waiters cannot follow the refusals: %s; reading again", error)  # noqa: TRY400 - the text says it all
                if not self._heard.done():
                    self._hear_nothing(error)
                    self._heard = asyncio.get_running_loop().create_future()
            finally:
                if reader is not None:
                    reader.close()
            await asyncio.sleep(delay)
            delay = min(2 * delay, FENCE_RETRY_SECONDS_MAX)

    def _hear_nothing(self, error: RunlineError) -> None:
        """Tell whoever begins to listen."""
        if not self._heard.done():
            self._heard.set_exception(error)
            # There may be nobody who waits for it.
            self._heard.exception()
