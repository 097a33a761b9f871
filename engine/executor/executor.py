"""The executor: owns partitions of the log and runs nodes."""

import asyncio
import logging
from collections.abc import Callable

from engine.catalogue import Catalogue
from engine.core.state import RunState
from engine.core.view import View
from engine.errors import RunlineError
from engine.executor.attempts import Attempts
from engine.executor.listener import Listener
from engine.executor.partition import Partition
from engine.executor.term import Settings
from engine.limits import DRAIN_SECONDS, NODES_RUNNING_MAX
from engine.log.partitioner import partition_of
from engine.log.port import Log
from engine.ports import Clock, Ids
from engine.registry import Registry

_LOGGER = logging.getLogger("runline.executor")


class Executor:
    """Turns commands and finished work into commits, for all partitions of a log.

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
        settings = Settings(ids.nonce(), source, log, catalogue, self._attempts, clock, ids, listener)
        self._partitions = [Partition(number, settings) for number in range(log.partitions)]
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, *, owned: Callable[[], None]) -> None:
        """Take over all partitions; return when all are owned.

        Args:
            owned: Called each time a partition has been taken over.

        Raises:
            LogError: A partition cannot be read or written.
        """
        first: list[asyncio.Future[None]] = []
        for partition in self._partitions:
            taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            first.append(taken)
            self._tasks.append(asyncio.create_task(partition.run(_settle(taken, owned), _fail(taken))))
        await asyncio.gather(*first)

    async def close(self) -> None:
        """Stop deciding and running nodes. What the log has is safe; another executor goes on from there."""
        try:
            # What was sent is on its way to the log; whoever follows should hear of it before the end.
            async with asyncio.timeout(DRAIN_SECONDS):
                await asyncio.gather(*(partition.drain() for partition in self._partitions))
        except TimeoutError:
            _LOGGER.warning("Closing before everything that was sent to the log was read back")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._attempts.close()

    def view(self, run_id: str) -> View | None:
        """Return the folded partition that a run belongs to, or None while it is not owned."""
        return self._partitions[partition_of(run_id, len(self._partitions))].view

    def state(self, run_id: str) -> RunState | None:
        """Return the state of an open run, or None when it is not open or not known."""
        view = self.view(run_id)
        return None if view is None else view.runs.get(run_id)

    @property
    def trouble(self) -> str:
        """What keeps partitions from being owned now, or an empty text."""
        return "; ".join(partition.trouble for partition in self._partitions if partition.trouble)


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
