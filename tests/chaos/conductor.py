"""One round of chaos: begin, do harm, heal, wait until everything is over."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from consumers.host.opening import ask_group, read_group
from consumers.host.parked import Request as Wish
from engine import EngineService
from engine.errors import RunlineError
from engine.log.kafka import KafkaLocation, KafkaLog
from engine.log.kafka.topics import apply_topics
from engine.log.port import EVENTS
from tests.chaos.brokers import Brokers, Proxy, start
from tests.chaos.company import Company, names
from tests.chaos.diary import Diary
from tests.chaos.faults import Fault, draw
from tests.chaos.follower import GROUP
from tests.chaos.harm import Harm
from tests.chaos.keeping import Nursery
from tests.chaos.left import outcomes, outstanding
from tests.chaos.workflows import workflows

PARTITIONS = 4
PREFIX = "chaos"
OK_BEFORE = 10
OK_DURING = 20
OK_AFTER = 20
"""Requests that must be done before the faults, under them and afterwards: nothing is shown by what all failed."""
_MORE_SECONDS = 10.0
_MORE_MAX = 12
"""How often faults go on for so long when too little was done under them."""
PATIENCE_SECONDS = 180.0
"""How long each thing that must happen by itself may take on a busy machine."""
_LOOK_SECONDS = 0.25
_VIOLATIONS_MAX = 10
_TELL_SECONDS = 2.0
"""How long workers get to write down what they do."""


class StandstillError(Exception):
    """Something that must happen by itself has not happened."""


class Setting(NamedTuple):
    """What a round is.

    Attributes:
        seed: Draws the faults.
        seconds: How long there are faults, at least.
        brokers: One or three.
        directory: Gets all artefacts.
        only: The kinds of faults, unless the seed draws them.
    """

    seed: int
    seconds: float
    brokers: int
    directory: Path
    only: tuple[Fault, ...] = ()


async def play(setting: Setting, diary: Diary, judge: Callable[[KafkaLog], Awaitable[None]]) -> None:
    """Play a round on brokers of its own, and let somebody judge what is left on the log.

    Raises:
        StandstillError: Something that must happen by itself has not happened.
    """
    cluster, paths = await asyncio.to_thread(start, setting.brokers, names())
    try:
        diary.note("brokers are up", where=cluster.place)
        location = KafkaLocation(cluster.bootstrap, PREFIX)
        await asyncio.to_thread(apply_topics, location, {}, PARTITIONS)
        async with _open(location) as log:
            async with EngineService.open(log) as engine:
                for workflow in workflows():
                    await engine.publish_workflow(workflow)
            async with Proxy(paths) as proxy, Nursery() as nursery:
                company = Company(nursery, diary, paths, PREFIX, setting.directory)
                places = [(f"{PREFIX}.{EVENTS}", number) for number in range(PARTITIONS)]
                harm = Harm(company, Brokers(cluster), proxy, places, diary)
                await _Course(setting, diary, company, harm, log).run()
            diary.note("everybody has left")
            await judge(log)
    finally:
        await asyncio.to_thread(cluster.close)


@asynccontextmanager
async def _open(location: KafkaLocation) -> AsyncIterator[KafkaLog]:
    log = await KafkaLog.open(location)
    try:
        yield log
    finally:
        await log.close()


class _Course:
    """The course of a round."""

    def __init__(self, setting: Setting, diary: Diary, company: Company, harm: Harm, log: KafkaLog) -> None:
        self._setting = setting
        self._diary = diary
        self._company = company
        self._log = log
        self._harm = harm

    async def run(self) -> None:
        """Let it take its course."""
        self._company.begin()
        await self._more_ok(OK_BEFORE, "requests that are done before the faults")
        try:
            await self._do_harm()
            await self._harm.heal()
        finally:
            self._harm.give_up()
        healed = time.monotonic()
        self._company.begin()
        await self._more_ok(OK_AFTER, "requests that are done when all faults are over")
        await self._company.leave("client")
        await self._eventually(self._nothing_outstanding, "the ends of all runs")
        self._diary.note("all runs have ended")
        self._diary.healing_seconds = time.monotonic() - healed
        # What executors write of their own accord comes to an end, so that the ends of the log stand still.
        await self._company.leave("executor")
        await self._eventually(self._followed, "followers that have heard everything")
        await self._company.leave("follower", "folder")

    async def _do_harm(self) -> None:
        (seed, seconds, _, _, only), done = self._setting, self._ok()
        await self._harm.carry_out(draw(seed, seconds, only), seconds)
        for more in range(1, _MORE_MAX + 1):
            if self._ok() >= done + OK_DURING:
                break
            self._diary.note("too little was done, so faults go on", done=self._ok() - done)
            await self._harm.carry_out(draw(seed + more, _MORE_SECONDS, only), _MORE_SECONDS)
        self._diary.note("done under faults", requests=self._ok() - done)
        if self._ok() < done + OK_DURING:
            raise StandstillError(f"only {self._ok() - done} requests were done under faults")

    def _ok(self) -> int:
        return outcomes(self._setting.directory)["ok"]

    async def _more_ok(self, count: int, what: str) -> None:
        before = self._ok()

        async def enough() -> str:
            more = self._ok() - before
            return "" if more >= count else f"only {more} of {count}"

        await self._eventually(enough, what)

    async def _nothing_outstanding(self) -> str:
        left = await outstanding(self._log)
        return "" if not left else f"{len(left)} are not, such as: {left[0]}"

    async def _followed(self) -> str:
        progress, parked = await read_group(self._log, GROUP)
        for each in parked:
            # As a person would: a service that fails at the first call alone gives no reason to park anything.
            if not each.asked:
                self._diary.did("ask for a parked change again", event=each.event_id, error=each.error)
                await ask_group(self._log, GROUP, None, each, Wish("retry", each.key))
        ends = {number: (await self._log.ends(EVENTS, number)).end for number in range(PARTITIONS)}
        at = {number: each.lowest for number, each in progress.items()}
        return "" if at == ends and not parked else f"the log ends at {ends}, progress is {at}, parked: {parked}"

    async def _eventually(self, missing: Callable[[], Awaitable[str]], what: str) -> None:
        """Wait until nothing is missing any more.

        Raises:
            StandstillError: It takes too long; the text is what was missing last.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                lacking = await missing()
            except RunlineError as error:
                lacking = str(error)  # brokers that have just come back may not have found each other yet
            if not lacking:
                return
            if time.monotonic() > until:
                self._company.ask()
                await asyncio.sleep(_TELL_SECONDS)
                raise StandstillError(f"expected {what} within {PATIENCE_SECONDS} s: {lacking}")
            if len(self._diary.violations) >= _VIOLATIONS_MAX:
                raise StandstillError("too many processes end by themselves")
            await asyncio.sleep(_LOOK_SECONDS)
