"""The executor: owns partitions of the log and runs nodes."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from engine import crash_points
from engine.catalogue import Catalogue
from engine.core.state import RunState
from engine.core.view import View
from engine.crash_points import CrashPoint
from engine.errors import LogError, RunlineError
from engine.executor.attempts import Attempts
from engine.executor.listener import Listener
from engine.executor.partition import Partition
from engine.executor.settings import Settings
from engine.executor.traffic import Traffic
from engine.limits import DRAIN_SECONDS, NODES_RUNNING_MAX, REVOKE_SECONDS
from engine.log.partitioner import partition_of
from engine.log.port import Log, Member
from engine.ports import Clock, Ids
from engine.registry import Registry

_LOGGER = logging.getLogger("runline.executor")

_LOOK_SECONDS: Final = 0.02
"""How often whoever leaves looks whether its nodes have ended."""
GROUP = "executors"
"""The group in which executors share out the partitions."""


class Executor:
    """Turns commands and finished work into commits, for the partitions of a log that are its own.

    Args:
        log: The log.
        catalogue: The published workflows.
        registry: The functions and node types of this process.
        clock: Time.
        ids: New identities.
        listener: Hears of accepted commits and of refusals.
        source: The `ce_source` of what is written.
        nodes_running_max: Nodes that run at once.
        nodes_running_per_workflow_max: Nodes of one workflow that run at once, or None for no such limit.
    """

    def __init__(
        self,
        log: Log,
        catalogue: Catalogue,
        registry: Registry,
        *,
        clock: Clock,
        ids: Ids,
        listener: Listener,
        source: str,
        nodes_running_max: int = NODES_RUNNING_MAX,
        nodes_running_per_workflow_max: int | None = None,
    ) -> None:
        self._attempts = Attempts(
            registry, running_max=nodes_running_max, running_per_workflow_max=nodes_running_per_workflow_max
        )
        self._settings = Settings(ids.nonce(), source, log, catalogue, self._attempts, clock, ids, listener, Traffic())
        self._log = log
        self._partitions: dict[int, Partition] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._first: list[asyncio.Future[None]] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._member: Member | None = None
        self._owned: Callable[[], None] = _nobody

    async def start(self, *, owned: Callable[[], None]) -> None:
        """Join the group; return when all partitions that it gives at once are taken over.

        Args:
            owned: Called each time a partition has been taken over.

        Raises:
            LogError: A partition cannot be read or written.
        """
        self._owned = owned
        self._member = await self._log.join(GROUP, self)
        first, self._first = self._first, []
        await asyncio.gather(*first)

    async def shut_out(self) -> LogError:
        """Wait until this process can never execute runs again, and return why; for ever where that cannot be."""
        assert self._member is not None, "it was started"
        return await self._member.shut_out()

    async def drain(self, seconds: float) -> None:
        """Take nothing up any more, and wait at most so long until nodes under way have ended and the log has it."""
        self._attempts.leaving = True
        if count := len(self._attempts):
            _LOGGER.info("Waiting up to %g s for %d nodes that are under way", seconds, count)
        try:
            async with asyncio.timeout(seconds):
                # Looked at now and then: two counts change with every node, and events for them would cost each one.
                while len(self._attempts) or self._settings.traffic.proposals:  # noqa: ASYNC110 - said above
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            _LOGGER.warning("%d nodes have not ended within %g s; they are begun again", len(self._attempts), seconds)

    async def close(self) -> None:
        """Stop deciding and running nodes. What the log has is safe; another executor goes on from there."""
        # What was sent is on its way to the log; whoever follows should hear of it before the end.
        await self._drain(list(self._partitions), DRAIN_SECONDS)
        if self._member is not None:
            await self._member.leave()
        for number in list(self._partitions):
            self._stop(number)
        await asyncio.gather(*self._ending, return_exceptions=True)
        await self._attempts.close()

    # What the group says.

    def assigned(self, partitions: Sequence[int]) -> None:
        """Take partitions over."""
        for number in partitions:
            if number not in self._partitions:
                partition = self._partitions[number] = Partition(number, self._settings, self._confirm)
                taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._first.append(taken)
                taken.add_done_callback(_look_at)
                work = partition.run(_settle(taken, self._owned), _fail(taken))
                self._tasks[number] = asyncio.create_task(work)
        if partitions:
            _LOGGER.info("Taking over partitions %s", list(partitions))

    async def revoked(self, partitions: Sequence[int]) -> None:
        """Let partitions go when what was sent has been read back, or the time for that is up."""
        await self._drain(partitions, REVOKE_SECONDS)
        crash_points.reached(CrashPoint.REVOKED_DRAINED)
        self.lost(partitions)

    def lost(self, partitions: Sequence[int]) -> None:
        """Let partitions go at once; the nodes that run for them are somebody else's to try again."""
        for number in partitions:
            self._stop(number)
        if partitions:
            _LOGGER.info("Let go of partitions %s", list(partitions))

    def decided(self) -> Mapping[int, int]:
        """Return, for each partition that is owned and known, the offset of `commands` below which all is decided."""
        found = ((number, partition.decided) for number, partition in self._partitions.items())
        return {number: offset for number, offset in found if offset is not None}

    # What others ask.

    def view(self, run_id: str) -> View | None:
        """Return the folded partition that a run belongs to, or None while it is not owned."""
        partition = self._partitions.get(partition_of(run_id, self._log.partitions))
        return None if partition is None else partition.view

    def state(self, run_id: str) -> RunState | None:
        """Return the state of an open run, or None when it is not open or not known."""
        view = self.view(run_id)
        return None if view is None else view.runs.get(run_id)

    @property
    def owned(self) -> tuple[int, ...]:
        """The partitions that are this executor's and taken over."""
        return tuple(number for number, partition in self._partitions.items() if partition.view is not None)

    @property
    def trouble(self) -> str:
        """What keeps partitions from being owned now, or an empty text."""
        return "; ".join(partition.trouble for partition in self._partitions.values() if partition.trouble)

    # Inside.

    async def _confirm(self, partition: int) -> bool:
        return self._member is None or await self._member.confirm(partition)

    async def _drain(self, partitions: Sequence[int], seconds: float) -> None:
        owned = [self._partitions[number] for number in partitions if number in self._partitions]
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(partition.drain() for partition in owned))
        except TimeoutError:
            _LOGGER.warning("Letting go before everything that was sent to the log was read back")

    def _stop(self, number: int) -> None:
        task = self._tasks.pop(number, None)
        if task is not None:
            # At once: an attempt that it started behind the release would be nobody's, and waited for for ever by
            # whoever owns the partition next, if that is this executor again.
            self._partitions.pop(number).stop()
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            self._attempts.release_all_but(number, {})


def _nobody() -> None:
    """Stand for whoever does not want to hear."""


def _look_at(taken: asyncio.Future[None]) -> None:
    """Take note of an error that nobody may be waiting for; the partition has logged it."""
    if not taken.cancelled():
        taken.exception()


def _settle(taken: asyncio.Future[None], owned: Callable[[], None]) -> Callable[[], None]:
    def settle() -> None:
        owned()
        if not taken.done():
            taken.set_result(None)

    return settle


def _fail(taken: asyncio.Future[None]) -> Callable[[RunlineError], None]:
    def fail(error: RunlineError) -> None:
        if not taken.done():
            taken.set_exception(error)

    return fail
