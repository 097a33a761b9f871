"""The host: follows the partitions that are its own, and calls its services with every change."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from consumers.host.arguments import check_choices, check_numbers, check_ports, check_services
from consumers.host.attempts import Attempts, Retry
from consumers.host.care import Turn
from consumers.host.delivery import Service
from consumers.host.errors import GroupDiffersError, HostCancelledError
from consumers.host.failure import Failure
from consumers.host.follower import Follower
from consumers.host.hosted import HostedServices
from consumers.host.lag import Lag
from consumers.host.parked import Request, parked_in
from consumers.host.share import Share, Terms
from consumers.host.start import Start
from consumers.host.store import ProgressStore
from consumers.host.wanted import Wanted
from engine.errors import ClosedError, RunlineError
from engine.limits import (
    FOLLOW_ATTEMPTS,
    FOLLOW_CONCURRENT,
    FOLLOW_DEATHS,
    FOLLOW_RETRY_SECONDS_MIN,
    FOLLOW_SAVE_CHANGES,
    FOLLOW_SAVE_SECONDS,
)
from engine.log.port import EVENTS, Log
from engine.ports import Clock, SystemClock

_LOGGER = logging.getLogger("runline.follow")

_EVERYWHERE = Wanted()
_NOW = Start.now()


class ServiceHost:
    """Calls progress services with the changes of a log, at their own pace, wherever they left off.

    Each service has a reader, a fold and a recorded position of its own in each partition, so that one that fails or
    stalls harms nobody. As long as none stalls, a service hears of a change after the service before it has dealt
    with it. Changes of a run are delivered in order, those of different runs in parallel; each at least once.

    Args:
        log: The log, open for reading.
        services: By the names that their progress is recorded under, in the order in which they are called.
        store: Where the group keeps its progress; the host lets go of it when it closes.
        start: Where services begin that have come nowhere yet.
        wanted: Which changes are delivered.
        concurrent: Runs whose changes one service is called with at once.
        timeout: Seconds after which an asynchronous call is cancelled and counts as failed; none unless given.
        attempts: Calls for one change before it is parked.
        retry_seconds: The delay before the second call; it doubles each time.
        hold: Whether later changes of a run wait behind a parked one, so that the service sees the run in order.
        deaths: Ends of a process in one call, all of them seen, before the change is parked.
        own_loops: Whether each asynchronous service has an event loop and a thread of its own, so that one that blocks
            its loop stops no other.
        adopt: Whether to go on in a group that has other services, too, which then nobody may be calling.
        clock: Waits between calls that failed.

    Raises:
        ServiceInvalidError: A service is none.
        ArgumentError: There is no service, there are too many, a name is not what a name must be, or another argument
            is not what it must be.
    """

    def __init__(
        self,
        log: Log,
        services: Mapping[str, Service],
        store: ProgressStore,
        *,
        start: Start = _NOW,
        wanted: Wanted = _EVERYWHERE,
        concurrent: int = FOLLOW_CONCURRENT,
        timeout: float | None = None,
        attempts: int = FOLLOW_ATTEMPTS,
        retry_seconds: float = FOLLOW_RETRY_SECONDS_MIN,
        hold: bool = True,
        deaths: int = FOLLOW_DEATHS,
        own_loops: bool = False,
        adopt: bool = False,
        clock: Clock | None = None,
    ) -> None:
        check_ports(log, store)
        check_services(services)
        check_choices(start, wanted, hold=hold, own_loops=own_loops, adopt=adopt)
        check_numbers(concurrent, attempts, deaths, timeout, retry_seconds)
        clock = SystemClock() if clock is None else clock
        self._log = log
        self._store = store
        self._services = HostedServices(services, concurrent=concurrent, timeout=timeout, own_loops=own_loops)
        retry = Retry(attempts, retry_seconds, hold)
        self._terms = Terms(
            log=log,
            store=store,
            attempts=[Attempts(each, store, retry, clock) for each in self._services.all],
            start=start,
            wanted=wanted,
            adopt=adopt,
            dealt=self._dealt,
            ended=self._ended,
            turn=Turn(),
            deaths_max=deaths,
            clock=clock,
        )
        self._shares: dict[int, Share] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._work: list[asyncio.Task[None]] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._unsaved = 0
        self._many = asyncio.Event()
        self._failure = Failure()
        self._begun = False
        self._closed = False

    async def __aenter__(self) -> Self:
        """Begin to follow."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Record how far the services have come, and let go of everything."""
        await self.close()

    async def start(self) -> None:
        """Join the group, and begin to follow what it gives.

        Raises:
            ClosedError: The host was started before, or closed.
            RunlineError: The group cannot be joined.
        """
        if self._begun or self._closed:
            raise ClosedError(
                f"the host was {'closed' if self._closed else 'started before'}.",
                hint="Make another one, with progress that was opened for it.",
            )
        self._begun = True
        await self._store.join(self, self._terms.names)
        self._services.start()
        work = (self._save_now_and_then, self._hear_requests, self._hear_others, self._hear_of_the_end)
        self._work = [asyncio.create_task(each()) for each in work]
        for task in self._work:
            task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Wait, bounded, for the calls under way, record how far the services have come, and leave the group."""
        if self._closed:
            return
        if self._is_cancelled():
            self._failure.say(HostCancelledError())
        self._closed = True
        try:
            await self.revoked(list(self._shares))
        finally:
            for task in self._work:
                task.cancel()
            await asyncio.gather(*self._work, *self._leaving, return_exceptions=True)
            self._failure.close()
            await self._store.leave()
            await self._services.close()

    async def failure(self) -> None:
        """Wait until the host cannot go on, which may be never.

        Raises:
            GroupDiffersError: The group has other services.
            StoreDamagedError: What was recorded of the group is damaged.
            MemberReplacedError: Another process has this one's `group.instance.id`.
            HostCancelledError: Somebody has cancelled the host's tasks, and perhaps whoever waits here together with
                them.
            Exception: Whatever else went wrong in the host itself, such as MemoryError.
        """
        with self._naming_cancellation():
            await asyncio.shield(self._failure.reason)

    async def caught_up(self) -> None:
        """Wait until everything that is on the log now was dealt with, or is parked, in the host's partitions.

        What was stopped is not waited for.

        Raises:
            ClosedError: The host was closed meanwhile.
            Exception: What `failure` raises, if the host cannot go on.
        """
        reason, catching_up = self._failure.reason, asyncio.create_task(self._catch_up())
        try:
            with self._naming_cancellation():
                await asyncio.wait((catching_up, reason), return_when=asyncio.FIRST_COMPLETED)
                if reason.done() and not reason.cancelled():
                    await reason
                if not catching_up.done():
                    raise ClosedError("the host was closed while its services caught up.")
                await catching_up
        finally:
            catching_up.cancel()
            await asyncio.wait((catching_up,))

    async def _catch_up(self) -> None:
        for number, share in list(self._shares.items()):
            end = (await self._log.ends(EVENTS, number)).end
            await share.begun.wait()
            for follower in share.followers:
                while not follower.stopped and follower.track.progress.lowest < (end, 0):
                    await follower.track.moved()

    async def lag(self) -> Sequence[Lag]:
        """Return how far each service is behind in each partition of this host.

        Raises:
            LogError: The log cannot be asked.
        """
        found: list[Lag] = []
        for number, share in sorted(self._shares.items()):
            end = (await self._log.ends(EVENTS, number)).end
            found += [self._blocked(follower.lag(end)) for follower in share.followers]
        return found

    def _blocked(self, lag: Lag) -> Lag:
        return lag._replace(blocked=self._services.blocked(lag.service, lag.partition))

    # What the group says.

    def assigned(self, partitions: Sequence[int]) -> None:
        """Follow partitions, too."""
        for number in partitions:
            if number not in self._shares and not self._closed:
                share = self._shares[number] = Share(number, self._terms)
                task = self._tasks[number] = asyncio.create_task(share.run())
                task.add_done_callback(partial(self._followed, share))
        if partitions:
            _LOGGER.info("Following partitions %s", list(partitions))

    async def revoked(self, partitions: Sequence[int]) -> None:
        """Let partitions go when the calls under way are over, or the time for that is up, and progress is recorded."""
        shares = [share for number in partitions if (share := self._let_go(number)) is not None]
        await asyncio.gather(*(share.drain() for share in shares))
        await asyncio.gather(*(self._record(share, share.let_go) for share in shares))
        await asyncio.gather(*(share.drop() for share in shares))

    def lost(self, partitions: Sequence[int]) -> None:
        """Let partitions go at once: others follow them already."""
        for number in partitions:
            if (share := self._let_go(number)) is not None:
                task = asyncio.create_task(share.drop())
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)

    def decided(self) -> Mapping[int, int]:
        """Return nothing: the store records how far the services have come."""
        return {}

    # Inside.

    def _let_go(self, number: int) -> Share | None:
        task = self._tasks.pop(number, None)
        if task is not None:
            task.cancel()
        return self._shares.pop(number, None)

    def _followed(self, share: Share, task: asyncio.Task[None]) -> None:
        if not task.cancelled() or self._shares.get(share.partition) is share:
            self._ended(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Fail with a task that did: a mistake of ours, memory that was short, or somebody who cancels it."""
        if task.cancelled():
            if not self._closed:
                self._failure.say(HostCancelledError())
        elif (error := task.exception()) is not None and not isinstance(error, ClosedError):
            self._failure.say(error)

    def _is_cancelled(self) -> bool:
        """Return whether somebody else has cancelled the host's tasks."""
        tasks = (*self._work, *self._tasks.values())
        return not self._closed and any(task.cancelled() or task.cancelling() for task in tasks)

    @contextmanager
    def _naming_cancellation(self) -> Iterator[None]:
        """Say what has happened to whoever was cancelled together with the host."""
        try:
            yield
        except asyncio.CancelledError:
            if self._is_cancelled():
                raise HostCancelledError from None
            raise

    def _dealt(self) -> None:
        self._unsaved += 1
        if self._unsaved >= FOLLOW_SAVE_CHANGES:
            self._many.set()

    async def _save_now_and_then(self) -> None:
        while True:
            try:
                async with asyncio.timeout(FOLLOW_SAVE_SECONDS):
                    await self._many.wait()
            except TimeoutError:
                pass
            self._many.clear()
            self._unsaved = 0
            # Together: on Kafka each waits for the member's thread.
            await asyncio.gather(*(self._record(share, share.save) for share in self._shares.values()))

    async def _record(self, share: Share, save: Callable[[], Awaitable[None]]) -> None:
        try:
            await save()
        except RunlineError as error:
            _LOGGER.warning("The progress in %s/%d cannot be recorded now: %s", EVENTS, share.partition, error)

    async def _hear_requests(self) -> None:
        while True:
            request = await self._store.asked()
            service, partition = parked_in(request.key)
            if (share := self._shares.get(partition)) is not None:
                await share.begun.wait()
                called = [follower for follower in share.followers if follower.service == service]
                for follower in called:
                    await self._grant(request, follower)
                if not called:
                    await self._keep(request, partition)

    async def _grant(self, request: Request, follower: Follower) -> None:
        parked = follower.find(request.key)
        try:
            if parked is None:
                # A host that had lost the partition parked it late. Whoever has the partition deals with the change.
                _LOGGER.warning("%s does not know %s: it is parked no more", follower.name, request.key)
                await self._store.unpark(request.key)
            else:
                parked = replace(parked, asked=request.action)
                # One that is under way already takes the change from where it is kept: it must not be put there again.
                if not follower.releases(request.key):
                    await self._store.park(parked)
        except RunlineError as error:
            _LOGGER.error("%s cannot be asked for: %s", request.key, error)  # noqa: TRY400 - the text says it all
        if parked is not None:
            follower.ask(parked)

    async def _keep(self, request: Request, partition: int) -> None:
        """Record what is asked of a service that nobody calls here, for the next host that does."""
        if self._store.shared:
            # Whoever asked has written it to the topic.
            return
        try:
            for parked in await self._store.parked(partition):
                if parked.key == request.key:
                    await self._store.park(replace(parked, asked=request.action))
        except RunlineError as error:
            _LOGGER.error("%s cannot be asked for: %s", request.key, error)  # noqa: TRY400 - the text says it all

    async def _hear_of_the_end(self) -> None:
        self._failure.say(await self._store.shut_out())

    async def _hear_others(self) -> None:
        here = ", ".join(self._terms.names)
        while True:
            try:
                other = await self._store.others()
            except RunlineError as error:
                _LOGGER.error("Another host cannot be told of this one: %s", error)  # noqa: TRY400 - the text says it all
                continue
            there = ", ".join(other.services)
            if set(other.services) <= set(self._terms.names) or self._terms.adopt:
                _LOGGER.warning("Of this group, this host calls %s, but that on %s calls %s", here, other.host, there)
                continue
            self._failure.say(
                GroupDiffersError(
                    f"expected hosts of one group to have the same services, but this one calls {here}, and that on "
                    f"{other.host} calls {there}.",
                    hint="Follow with the same services everywhere, or with another group.",
                )
            )
