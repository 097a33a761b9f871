"""A partition in the hands of a host: one follower for each service, in their order, and what is recorded of them."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from consumers.host.attempts import Attempts
from consumers.host.calls import Call
from consumers.host.care import Care, Turn
from consumers.host.errors import GroupDiffersError, PartitionStoppedError
from consumers.host.follower import Follower
from consumers.host.parked import Parked
from consumers.host.progress import PartitionProgress, Progress
from consumers.host.start import Start
from consumers.host.store import ProgressStore
from consumers.host.wanted import Wanted
from engine import crash_points
from engine.crash_points import CrashPoint
from engine.errors import RunlineError
from engine.limits import FENCE_RETRY_SECONDS_MAX, FENCE_RETRY_SECONDS_MIN, FOLLOW_DRAIN_SECONDS
from engine.log.port import EVENTS, Log
from engine.ports import Clock
from engine.store.errors import StoreDamagedError

_LOGGER = logging.getLogger("runline.follow")


class Terms(NamedTuple):
    """What all partitions of a host have in common.

    Attributes:
        log: The log.
        store: Where the group keeps its progress.
        attempts: Call the services, in their order.
        start: Where services begin that have come nowhere yet.
        wanted: Which changes are delivered.
        adopt: Whether to go on in a group that has other services, too.
        dealt: Called after each change that was dealt with.
        ended: Called with each task that has ended, whatever its outcome.
        turn: Of calls in which a process has ended.
        deaths_max: After so many ends of a process in a call its change is parked.
        clock: Waits while nothing can be written down.
    """

    log: Log
    store: ProgressStore
    attempts: Sequence[Attempts]
    start: Start
    wanted: Wanted
    adopt: bool
    dealt: Callable[[], None]
    ended: Callable[[asyncio.Task[None]], None]
    turn: Turn
    deaths_max: int
    clock: Clock

    @property
    def names(self) -> tuple[str, ...]:
        """The services' names."""
        return tuple(each.service.name for each in self.attempts)


class Share:
    """One partition of a host's.

    Args:
        partition: The partition of `events`.
        terms: What it has in common with the others.

    Attributes:
        followers: One for each service, once the partition has begun.
        begun: Set when it has.
    """

    def __init__(self, partition: int, terms: Terms) -> None:
        self.partition = partition
        self.followers: list[Follower] = []
        self.begun = asyncio.Event()
        self._terms = terms
        self._topic_id = ""
        self._others: Mapping[str, Progress] = {}
        self._recorded: dict[str, Follower] = {}
        self._saved: PartitionProgress | None = None
        self._saving = asyncio.Lock()
        self._care = Care(partition, terms.store, terms.turn, terms.deaths_max, terms.clock)
        self._leaving = False
        self._dropped = False

    async def run(self) -> None:
        """Follow the partition until cancelled; while it cannot begin, try again.

        Raises:
            GroupDiffersError: The group has other services, or is another one.
            StoreDamagedError: What was recorded is not what was written; to try again would not mend it.
        """
        delay = FENCE_RETRY_SECONDS_MIN
        while True:
            try:
                await self._begin()
                break
            except (GroupDiffersError, StoreDamagedError):
                # Nobody need wait for it.
                self.begun.set()
                raise
            except RunlineError as error:
                _LOGGER.error("%s/%d cannot be followed now: %s; trying again", EVENTS, self.partition, error)  # noqa: TRY400 - the text says it all
            await asyncio.sleep(delay)
            delay = min(2 * delay, FENCE_RETRY_SECONDS_MAX)
        await asyncio.gather(*(follower.run() for follower in self.followers if not follower.stopped))

    async def _begin(self) -> None:
        terms = self._terms
        stored = await terms.store.load(self.partition)
        known = {} if stored is None else stored.services
        self._check_names(known)
        self._topic_id = stored.topic_id if stored is not None and known else await terms.log.topic_id(EVENTS)
        parked = await terms.store.parked(self.partition)
        careful = await self._care.begin(
            ended=stored is not None and stored.at_work, wants=lambda call: self._wants(call, known, parked)
        )
        followers: list[Follower] = []
        for attempts in terms.attempts:
            followers.append(
                await self._follower(
                    attempts,
                    known.get(attempts.service.name),
                    [each for each in parked if each.service == attempts.service.name],
                    careful=careful,
                    before=followers[-1] if followers else None,
                )
            )
        self._recorded = {follower.service: follower for follower in followers if not follower.stopped}
        self.followers = followers
        self.begun.set()
        # From now on it is known where "now" was, and with which services the group follows.
        await self.save()

    def _wants(self, call: Call, known: Mapping[str, Progress], parked: Sequence[Parked]) -> bool:
        """Return whether a call that was written down may be made again."""
        if call.service not in self._terms.names:
            return True
        for each in parked:
            if each.service == call.service and each.place <= call.place and (each.asked or each.place == call.place):
                return bool(each.asked)
        progress = known.get(call.service)
        return progress is not None and (call.place >= progress.position or call.place in progress.open)

    async def _follower(
        self,
        attempts: Attempts,
        progress: Progress | None,
        parked: list[Parked],
        *,
        careful: bool,
        before: Follower | None,
    ) -> Follower:
        terms, stopped = self._terms, None
        if progress is None:
            try:
                progress = Progress(await terms.start.place(terms.log, self.partition))
            except PartitionStoppedError as error:
                progress, stopped = Progress((0, 0)), error
        follower = Follower(
            terms.log,
            self.partition,
            self._topic_id,
            attempts,
            progress,
            wanted=terms.wanted,
            parked=parked,
            care=self._care,
            careful=careful,
            before=before,
            dealt=terms.dealt,
            ended=terms.ended,
        )
        if stopped is not None:
            follower.stop(stopped)
        return follower

    def _check_names(self, known: Mapping[str, Progress]) -> None:
        self._others = {name: progress for name, progress in known.items() if name not in self._terms.names}
        if not self._others:
            return
        missing, here = ", ".join(sorted(self._others)), ", ".join(self._terms.names)
        if self._terms.store.shared and not self._terms.adopt:
            raise GroupDiffersError(
                f"expected a group with the services {here}, but in {EVENTS}/{self.partition} it also has {missing}: "
                "hosts of one group must have the same services.",
                hint="Follow with the same services everywhere, or another group, or with --adopt when they are gone.",
            )
        _LOGGER.warning("%s/%d: nobody calls %s here; what was recorded of it is kept", EVENTS, self.partition, missing)

    async def save(self) -> None:
        """Record how far the services have come, if that has changed.

        Raises:
            RunlineError: It cannot be recorded now.
        """
        async with self._saving:
            for follower in self.followers:
                await follower.save_counts()
            counts = [(follower, follower.unsaved) for follower in self.followers]
            services = {name: follower.progress for name, follower in self._recorded.items()}
            progress = PartitionProgress(self._topic_id, {**self._others, **services}, at_work=not self._leaving)
            # Whoever has the partition next must not find an older position in place of its own.
            if not self.followers or self._dropped:
                return
            if progress != self._saved:
                crash_points.reached(CrashPoint.PROGRESS_BEFORE)
                await self._terms.store.save(self.partition, progress)
                crash_points.reached(CrashPoint.PROGRESS_AFTER)
                self._saved = progress
            for follower, count in counts:
                follower.saved(count)
            await self._care.settle()

    async def let_go(self) -> None:
        """Record how far the services have come, and that nobody is at work here any more.

        Raises:
            RunlineError: It cannot be recorded now.
        """
        self._leaving = True
        await self.save()

    async def drain(self) -> None:
        """Take no more changes, and wait, bounded, until the calls under way are over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLLOW_DRAIN_SECONDS):
                await asyncio.gather(*(follower.drain() for follower in self.followers))

    async def drop(self) -> None:
        """Let go of everything at once; nothing is recorded any more."""
        self._dropped = True
        await asyncio.gather(*(follower.drop() for follower in self.followers))
