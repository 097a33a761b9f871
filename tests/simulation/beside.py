"""What follows the log beside the engines: processes that keep views and host services, in the same storm."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Final, NamedTuple, TypeVar

import pytest

from engine.store.errors import StoreError, StoreFullError
from tests.checkers import Delivered, ViewDump
from tests.simulation.followers import Deliveries, Followers
from tests.simulation.program import Program
from tests.simulation.store import Disks
from tests.simulation.storm import Storm
from tests.simulation.views import Keeper, dump_from_zero
from tests.simulation.world import World

T = TypeVar("T")

SETTLE_SECONDS_MAX: Final = 120.0
"""Simulated seconds after the end of all runs within which views and services have everything."""
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where there is one; directories get names of their own
_HOSTS_MAX: Final = 3
_SHARE: Final = 0.3
"""How many worlds have views, and how many have services."""


class Heard(NamedTuple):
    """What services came to.

    Attributes:
        deliveries: What they were called with.
        services: The names of those that have heard of everything.
        going_on: After an election: those that have not stopped, and in which partitions.
    """

    deliveries: Sequence[Delivered]
    services: Sequence[str]
    going_on: Sequence[tuple[str, int]]


class Beside:
    """Views and services of a world.

    Args:
        world: The world.
        storm: The faults that it has.
        monkeypatch: Lets the product keep its rows on simulated disks.
    """

    def __init__(self, world: World, storm: Storm, monkeypatch: pytest.MonkeyPatch) -> None:
        self._world = world
        self._random = random = Random(f"beside {world.random.random()}")
        self._names = storm.names
        self._path = Path(tempfile.mkdtemp(prefix="runline-world-", dir=_MEMORY if _MEMORY.is_dir() else None))
        self._disks = Disks()
        self._disks.install(monkeypatch)
        take_names(random, monkeypatch)
        # A fold lets others go on after a while; by the machine's clock that would be now and then.
        monkeypatch.setattr("projections.partition_fold.time", SimpleNamespace(monotonic=world.loop.time))
        monkeypatch.setattr("projections.partition_fold.PROJECTION_BATCH_RECORDS", random.choice((1, 3, 500)))
        # Not in every world: each costs about as much as the engines do.
        self._keeps_views, self._has_services = random.random() < _SHARE, random.random() < _SHARE
        self._fails = random.random() < 0.3
        self._loses_power = random.random() < 0.3
        self.deliveries = Deliveries(random)
        self._keeper: Keeper | None = None
        self._followers: list[Followers] = []
        self._born = 0
        self._raging = asyncio.ensure_future(self._rage())

    # In the storm.

    async def _rage(self) -> None:
        random = self._random
        faults: dict[str, Callable[[Program], None]] = {"crash": self._crash, "pauses": self._pause, "cuts": self._cut}
        chosen = [fault for name, fault in faults.items() if name in self._names]
        while True:
            self._disks.failing = self._write_fails if self._fails else _well
            if self._keeps_views and (self._keeper is None or self._keeper.gone):
                self._begin_keeper(anew=random.random() < 0.2)
            hosts = [each for each in self._followers if not each.gone]
            if self._has_services and len(hosts) < (random.randint(1, _HOSTS_MAX) if self._world.shared else 1):
                self._begin_followers()
            await asyncio.sleep(random.choice((0.01, 0.3, 2.0)))
            living = [each for each in self._world.others if not each.gone]
            if chosen and living and random.random() < 0.3:
                random.choice(chosen)(random.choice(living))

    def _crash(self, program: Program) -> None:
        program.die()
        if self._loses_power:
            for disk in self._disks.all.values():
                if disk.holder is program.process:
                    disk.lose_power(self._random)

    def _pause(self, program: Program) -> None:
        program.pause()
        self._world.later(self._random.choice((0.1, 2.0, 8.0)), program.wake)

    def _cut(self, program: Program) -> None:
        program.cut_off()
        self._world.later(self._random.choice((0.1, 2.0, 8.0)), program.wake)

    def _write_fails(self) -> type[StoreError] | None:
        return self._random.choice((StoreError, StoreFullError)) if self._random.random() < 0.02 else None

    def _begin_keeper(self, *, anew: bool) -> Keeper:
        self._born += 1
        keeper = self._keeper = Keeper(self._world, f"views {self._born}", self._path / "views", anew=anew)
        keeper.begin()
        self._world.others.append(keeper)
        return keeper

    def _begin_followers(self) -> Followers:
        self._born += 1
        made = Followers(self._world, f"services {self._born}", self._path / "progress", self.deliveries)
        made.begin()
        self._world.others.append(made)
        self._followers.append(made)
        return made

    # In the calm.

    def calm(self) -> None:
        """Let nothing fail any more."""
        self._raging.cancel()
        self._disks.failing = _well
        self.deliveries.calm.set()

    async def dumps(self) -> list[ViewDump]:
        """Return what the views came to, and what a fold from zero comes to."""
        if not self._keeps_views:
            return []
        keeper = self._keeper
        if keeper is None or keeper.gone:
            keeper = self._begin_keeper(anew=False)
            await keeper.opened()
        truncated = bool(self._world.truncated)
        if truncated and await _in_time(keeper.process.spawn(keeper.stops()), "views are not fresh"):
            # It has stopped, loudly, because what it folded is gone: people fold anew then.
            await keeper.close()
            keeper = self._begin_keeper(anew=True)
            await keeper.opened()
        live = await _in_time(keeper.dump(), "views are not fresh")
        await keeper.close()
        return [live, await dump_from_zero(self._world.log.client(), self._path / "zero")]

    async def heard(self) -> Heard:
        """Return what the services were called with in the end."""
        if not self._has_services:
            return Heard((), (), ())
        living = [each for each in self._followers if not each.gone] or [self._begin_followers()]
        for each in living[1:]:
            await each.close()
        last = living[0]
        await last.opened()
        truncated = bool(self._world.truncated)
        # Where records were lost that a service has read, it stops, loudly; where it goes on, it must miss nothing.
        work = last.catch_up() if truncated else last.settle()
        await _in_time(last.process.spawn(work), "services have not heard of everything")
        going_on = last.going_on() if truncated else ()
        await last.close()
        return Heard(self.deliveries.all, () if truncated else tuple(self.deliveries.moods), going_on)

    def end(self) -> None:
        """Remove what is on disk."""
        shutil.rmtree(self._path, ignore_errors=True)


def take_names(random: Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let hosts and requests have names that the seed determines: they are written, and put in order by them."""
    for module in ("local", "sharing"):
        names = SimpleNamespace(token_hex=lambda count: random.randbytes(count).hex())
        monkeypatch.setattr(f"consumers.host.{module}.secrets", names)
    monkeypatch.setattr("consumers.host.sharing.os", SimpleNamespace(getpid=lambda: 1))
    monkeypatch.setattr("consumers.host.sharing.socket", SimpleNamespace(gethostname=lambda: "here"))


async def _in_time(work: Awaitable[T], otherwise: str) -> T:
    waiting = asyncio.ensure_future(work)
    await asyncio.wait([waiting], timeout=SETTLE_SECONDS_MAX)
    assert waiting.done(), f"{otherwise} after {SETTLE_SECONDS_MAX:.0f} s"
    return waiting.result()


def _well() -> None:
    """Stand for a disk that never fails."""
