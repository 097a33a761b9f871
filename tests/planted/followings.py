"""Scenarios with those who follow the log: hosts of services and projectors that stumble, die and begin again."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final

from consumers.host import Delivery, LocalProgress, ServiceHost, Start
from engine import Run, Trace
from engine.log.port import EVENTS, Record
from engine.store.errors import StoreError
from projections import VIEWS, Projector
from projections.ended import FAMILY as ENDED
from projections.projection import family_name
from tests.checkers import Delivered, ViewDump
from tests.planted.scenes import SETTLE_SECONDS, Play, Scene
from tests.simulation.loop import Process
from tests.simulation.store import Disks

SERVICE: Final = "book"
_FAMILIES: Final = (ENDED, *(family_name(each.name, family) for each in VIEWS for family in each.families))
_ALL: Final = 1_000_000


class Book:
    """A service that writes down what it was called with.

    Attributes:
        heard: One for each call that was over.
        trouble: Called in the middle of each call; it may raise or wait.
    """

    def __init__(self) -> None:
        self.heard: list[Delivered] = []
        self.trouble: Callable[[str, Delivery], Coroutine[None, None, None]] = _none

    async def run_progress(self, run: Run, delivery: Delivery) -> None:
        """Hear of a run."""
        await self._hear(run.run_id, delivery)

    async def trace_progress(self, trace: Trace, delivery: Delivery) -> None:
        """Hear of a trace."""
        await self._hear(trace.run_id, delivery)

    async def _hear(self, run_id: str, delivery: Delivery) -> None:
        dealt = False
        try:
            await self.trouble(run_id, delivery)
            dealt = True
        finally:
            if dealt or not _cancelled():
                self.heard.append(Delivered(SERVICE, run_id, delivery.event_id, delivery.event_type, dealt=dealt))


class Following:
    """Who follows the log of a scene.

    Args:
        scene: The scene.
    """

    def __init__(self, scene: Scene) -> None:
        self.book = Book()
        self.disks = Disks()
        self.disks.install(scene.patch)
        self._world = scene.world
        self._directory = scene.directory
        self._views = scene.views
        self._processes: list[Process] = []
        scene.deliveries = self.book.heard

    async def host(self, attempts: int = 2) -> tuple[Process, ServiceHost]:
        """Begin a process that hosts the service."""
        process = self._world.loop.process("host")
        log = self._world.log.client()

        async def begin() -> ServiceHost:
            store = LocalProgress.open(self._directory / "group", 1)
            book = {SERVICE: self.book}
            host = ServiceHost(log, book, store, start=Start.beginning(), attempts=attempts, clock=self._world.clock)
            await host.start()
            return host

        return process, await process.spawn(begin())

    async def projector(self, name: str = "views") -> tuple[Process, Projector]:
        """Begin a process that folds the log into views."""
        process = self._world.loop.process("projector")
        self._processes.append(process)
        log = self._world.log.client()

        async def begin() -> Projector:
            return await Projector(log, self._directory / name).__aenter__()

        return process, await process.spawn(begin())

    def end(self) -> None:
        """End all projectors at once."""
        for process in self._processes:
            process.kill()

    async def dump(self, process: Process, projector: Projector, origin: str) -> None:
        """Write down all rows when everything is folded."""
        await process.spawn(projector.caught_up())
        store = projector.store
        rows = [
            (family, key.hex(), value.hex())
            for family in _FAMILIES
            for key, value in store.scan(family, b"", None, limit=_ALL)
        ]
        self._views.append(ViewDump("all", origin, rows))


async def a_host_dies_while_a_call_hangs(scene: Scene) -> None:
    """Other runs go on meanwhile, and how far the service has come is recorded; another host follows."""
    following, engine = Following(scene), await scene.begin()
    stuck = await scene.run(engine)

    async def trouble(run_id: str, delivery: Delivery) -> None:
        del delivery
        if run_id == stuck:
            await asyncio.get_running_loop().create_future()

    following.book.trouble = trouble
    process, _ = await following.host()
    await scene.run(engine)
    await asyncio.sleep(SETTLE_SECONDS)
    process.kill()
    following.book.trouble = _none
    await following.host()


async def a_service_fails_at_first(scene: Scene) -> None:
    """Every change is delivered once more than the service likes."""
    following = Following(scene)
    failed: set[str] = set()

    async def trouble(run_id: str, delivery: Delivery) -> None:
        del run_id
        if delivery.event_id not in failed:
            failed.add(delivery.event_id)
            raise ValueError("not the first time")

    following.book.trouble = trouble
    await following.host()
    await scene.run(await scene.begin())


async def a_service_takes_longest_over_what_comes_first(scene: Scene) -> None:
    """Later changes of a run are waiting meanwhile."""
    following = Following(scene)

    async def trouble(run_id: str, delivery: Delivery) -> None:
        del run_id
        await asyncio.sleep(1.0 if delivery.event_type == "run.created" else 0.01)

    following.book.trouble = trouble
    await following.host()
    await scene.run(await scene.begin(), "steps")


async def a_change_is_parked(scene: Scene) -> None:
    """The service fails on it whatever the host does, and the run goes on."""
    following = Following(scene)
    scene.partial = (SERVICE,)

    async def trouble(run_id: str, delivery: Delivery) -> None:
        del run_id
        await asyncio.sleep(0.1)
        if delivery.event_type == "run.created":
            raise ValueError("never")

    following.book.trouble = trouble
    await following.host()
    await scene.run(await scene.begin(), "steps")


async def records_are_lost_that_a_service_has_read(scene: Scene) -> None:
    """An election takes them away, and others come in their place, before another host follows."""
    following, engine = Following(scene), await scene.begin()
    process, _ = await following.host()
    await scene.run(engine)
    log = scene.world.log
    kept = log.partition(EVENTS, 0).end
    await scene.run(engine)
    await asyncio.sleep(SETTLE_SECONDS)
    process.kill()
    engine.die()
    log.truncate_from(EVENTS, 0, kept)
    scene.world.truncated.add(f"{EVENTS}/0")
    engine = await scene.begin()
    for _ in range(3):
        await scene.run(engine)
    _, host = await following.host()
    await asyncio.sleep(SETTLE_SECONDS)
    scene.going_on += [(lag.service, lag.partition) for lag in await host.lag() if not lag.trouble]


async def a_projector_dies_between_two_writes(scene: Scene) -> None:
    """The first write after a while is made, the second one is not; another projector goes on."""
    following, engine = Following(scene), await scene.begin()
    process, _ = await following.projector()
    await scene.run(engine)
    await asyncio.sleep(SETTLE_SECONDS)
    writes = 0

    def failing() -> type[StoreError] | None:
        nonlocal writes
        writes += 1
        return StoreError if writes > 1 else None

    following.disks.failing = failing
    await scene.run(engine)
    await asyncio.sleep(1.0)
    process.kill()
    following.disks.failing = _never
    await _compare(following)


async def a_projector_dies_and_another_goes_on(scene: Scene) -> None:
    """It goes on where the first one stood, with what came meanwhile and what comes then."""
    following, engine = Following(scene), await scene.begin()
    process, _ = await following.projector()
    await scene.run(engine)
    await asyncio.sleep(SETTLE_SECONDS)
    process.kill()
    await scene.run(engine)
    await following.projector()
    await asyncio.sleep(SETTLE_SECONDS)
    await scene.run(engine)
    await asyncio.sleep(SETTLE_SECONDS)
    await _compare(following)


async def a_first_commit_lands_again_behind_a_batch(scene: Scene) -> None:
    """The view of a projector keeps ended runs in its store, not in memory."""
    following, engine = Following(scene), await scene.begin()
    await following.projector()
    run_id = await scene.run(engine)
    await asyncio.sleep(SETTLE_SECONDS)
    first = next(record for record in scene.world.log.partition(EVENTS, 0).records if record.key == run_id)
    scene.world.log.land(EVENTS, 0, Record(first.key, first.value, first.headers))
    await asyncio.sleep(SETTLE_SECONDS)
    await _compare(following)


async def _compare(following: Following) -> None:
    """Write down the views as they are, and folded from zero."""
    following.end()
    for name in ("views", "from zero"):
        process, projector = await following.projector(name)
        await following.dump(process, projector, name)


FOLLOWINGS: Final[tuple[Play, ...]] = (
    a_host_dies_while_a_call_hangs,
    a_service_fails_at_first,
    a_service_takes_longest_over_what_comes_first,
    a_change_is_parked,
    records_are_lost_that_a_service_has_read,
    a_projector_dies_between_two_writes,
    a_projector_dies_and_another_goes_on,
    a_first_commit_lands_again_behind_a_batch,
)


def _never() -> None:
    """Stand for a disk that never fails."""


async def _none(run_id: str, delivery: Delivery) -> None:
    """Stand for no trouble."""


def _cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
