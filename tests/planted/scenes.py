"""Scenarios with engines: what storms bring about rarely, played on purpose in a simulated world of one partition."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from engine.core.commands import CancelRun, StartRun, encode
from engine.errors import RunEndedError, RunlineError, RunNotCreatedError
from engine.limits import WINDOW_SECONDS
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, Record
from tests.checkers import Delivered, ViewDump, Violation, check_all
from tests.simulation.artefacts import artefacts_of
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import in_simulation, until
from tests.simulation.workflows import definitions
from tests.simulation.world import Host, World

SETTLE_SECONDS: Final = 60.0
"""Simulated seconds after which everything that was asked for must have happened."""
_MANY: Final = 12
_RUNS_MAX: Final = 60
"""Runs after which a checkpoint must have been written."""


class Scene:
    """A world of one partition, and who plays in it.

    Args:
        seed: Decides about everything that a scenario leaves open.
        monkeypatch: For small limits, and for what is to fail.
        directory: Where those who follow keep what they need.

    Attributes:
        world: The world.
        deliveries: What services were called with.
        partial: Services that do not hear of everything.
        views: What views came to.
        going_on: Services that have not stopped after records were lost, and in which partitions.
    """

    def __init__(self, seed: int, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self.directory = directory
        self.deliveries: list[Delivered] = []
        self.partial: tuple[str, ...] = ()
        self.views: list[ViewDump] = []
        self.going_on: list[tuple[str, int]] = []
        world = World(seed)
        world.shared = False
        world.log = SimulatedLog(1, lambda: world.clock.seconds() + world.broker_ahead, shared=False)
        self.world = world
        self.patch = monkeypatch
        monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_BYTES_MIN", 1_500)
        monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_GROWTH", 0)

    async def begin(self) -> Host:
        """Start a process with an engine; it is open when this returns."""
        host = self.world.begin_host()
        await host.opened()
        if len(self.world.hosts) == 1:
            for definition in definitions():
                await host.process.spawn(host.service.publish_workflow(definition))
        return host

    async def run(self, host: Host, workflow: str = "pure") -> str:
        """Let a run be executed; return its id."""
        asking = host.service.run_workflow(workflow, {})
        run = await host.process.spawn(self.world.history.ask("create+start+wait", "", asking))
        return run.run_id

    async def until_checkpoint(self, host: Host) -> None:
        """Execute runs until the partition's owner has written a checkpoint and read it back."""
        assert host.service._executor is not None
        view = host.service._executor._partitions[0].view
        assert view is not None
        before = view.checkpoint
        for _ in range(_RUNS_MAX):
            if view.checkpoint != before:
                return
            await self.run(host)
            # So that no command comes behind the one that the checkpoint has as its last.
            await asyncio.sleep(1.0)
        raise TimeoutError("no checkpoint is written")

    def start(self, run_id: str, workflow: str = "pure") -> None:
        """Put a command on the log that creates and starts a run, from somebody without an engine."""
        self._send(run_id, encode(StartRun(id=self.world.ids.command_id(), run=run_id, workflow=workflow)))

    def cancel(self, run_id: str) -> None:
        """Put a command on the log that cancels a run, from somebody without an engine."""
        self._send(run_id, encode(CancelRun(id=self.world.ids.command_id(), run=run_id)))

    def garbage(self) -> None:
        """Put bytes on the log that are no command."""
        self._send("k", b"\xff")

    def hold_rejections(self, host: Host) -> asyncio.Event:
        """Let a process's rejections be on their way until the event is set."""
        append, through = host.log.append, asyncio.Event()

        async def held(topic: str, partition: int, record: Record) -> int:
            if topic == REJECTIONS:
                await through.wait()
            return await append(topic, partition, record)

        self.patch.setattr(host.log, "append", held)
        return through

    def _send(self, key: str, value: bytes) -> None:
        self.world.log.land(COMMANDS, 0, Record(key, value, {}))


Play = Callable[[Scene], Awaitable[None]]


async def a_refusal_is_on_its_way_when_its_process_dies(scene: Scene) -> None:
    """Meanwhile a checkpoint is written: whoever follows does not read what lies below its C."""
    host = await scene.begin()
    scene.hold_rejections(host)
    scene.garbage()
    await scene.until_checkpoint(host)
    host.die()
    await scene.run(await scene.begin())


async def commands_wait_behind_a_refusal(scene: Scene) -> None:
    """A run that nobody knows is cancelled, and then started, before anything is decided about it."""
    await scene.begin()
    run_id = scene.world.ids.run_id()
    scene.cancel(run_id)
    scene.start(run_id)


async def an_ended_run_is_started_again_when_it_is_forgotten(scene: Scene) -> None:
    """Hours later, from a producer that was not sure."""
    host = await scene.begin()
    run_id = await scene.run(host)
    await _much_later(scene, host)
    scene.start(run_id)


async def the_time_of_the_log_steps_back_after_a_checkpoint(scene: Scene) -> None:
    """A run that was forgotten is started again, when the clock of the log is what it was before, in a new process."""
    host = await scene.begin()
    run_id = await scene.run(host)
    await _much_later(scene, host)
    await host.close()
    scene.world.broker_ahead = -2 * WINDOW_SECONDS
    scene.start(run_id)
    await scene.begin()


async def starts_of_an_ended_run_wait_for_a_refusal_while_hours_pass(scene: Scene) -> None:
    """They were read when the run was remembered, and are decided behind a checkpoint whose C is before them."""
    host = await scene.begin()
    run_id = await scene.run(host)
    through = scene.hold_rejections(host)
    scene.start(run_id, "steps")
    scene.start(run_id)
    await _much_later(scene, host)
    through.set()


async def _much_later(scene: Scene, host: Host) -> None:
    scene.world.clock.jump(2 * WINDOW_SECONDS)
    await scene.until_checkpoint(host)


async def nobody_knows_whether_a_commit_landed(scene: Scene) -> None:
    """It did: the run's end is on the log, and its writer is told that nobody knows."""
    host = await scene.begin()
    for _ in range(_MANY):
        asking = host.service.create_workflow_run("pure")
        run_id = await host.process.spawn(scene.world.history.ask("create", "", asking))
        host.log.fail_next(EVENTS, 1, "unknown")
        scene.cancel(run_id)
        await asyncio.sleep(5.0)


async def a_commit_is_lost(scene: Scene) -> None:
    """A run would have been started by it; its writer is told that nobody knows."""
    host = await scene.begin()
    host.log.fail_next(EVENTS, 1, "lost")
    scene.start(scene.world.ids.run_id(), "steps")


async def a_commit_is_lost_and_somebody_waits_for_its_run(scene: Scene) -> None:
    """The same is decided again later, which makes another commit."""
    host = await scene.begin()
    host.log.fail_next(EVENTS, 1, "lost")
    await scene.run(host)


async def an_owner_comes_back_to_what_another_one_started_again(scene: Scene) -> None:
    """The other one dies; the first one still works on an attempt that is not the current one any more."""
    world = scene.world
    world.ledger.calm.clear()
    await scene.begin()
    scene.start(world.ids.run_id(), "patient")
    await until(lambda: len(world.ledger.effects) == 1)
    other = await scene.begin()
    await until(lambda: any(effect.process == other.name for effect in world.ledger.effects))
    other.die()
    await asyncio.sleep(SETTLE_SECONDS)
    world.ledger.calm.set()


async def an_executor_dies_at_work(scene: Scene) -> None:
    """Another one takes over what it worked on."""
    world = scene.world
    world.ledger.calm.clear()
    host = await scene.begin()
    scene.start(world.ids.run_id(), "patient")
    await until(lambda: len(world.ledger.effects) == 1)
    host.die()
    world.ledger.calm.set()
    await scene.begin()


async def a_run_is_created_and_then_started(scene: Scene) -> None:
    """Nobody else starts it."""
    host = await scene.begin()
    creating = host.service.create_workflow_run("pure")
    run_id = await host.process.spawn(scene.world.history.ask("create", "", creating))
    starting = host.service.start_workflow_run_and_wait(run_id, {})
    with suppress(RunNotCreatedError):
        await host.process.spawn(scene.world.history.ask("start+wait", run_id, starting))


async def an_ended_run_is_cancelled(scene: Scene) -> None:
    """There is nothing to cancel."""
    host = await scene.begin()
    run_id = await scene.run(host)
    with suppress(RunEndedError):
        asking = host.service.cancel_workflow_run(run_id)
        await host.process.spawn(scene.world.history.ask("cancel", run_id, asking))


async def a_run_does_not_end_in_time(scene: Scene) -> None:
    """It was never started, and somebody waits for it for a second."""
    host = await scene.begin()
    creating = host.service.create_workflow_run("pure")
    run_id = await host.process.spawn(scene.world.history.ask("create", "", creating))
    asking = host.service.wait_for_workflow_run(run_id, 1.0)
    waiting = host.process.spawn(scene.world.history.ask("wait", run_id, asking, timeout=1.0))
    await asyncio.sleep(2 * SETTLE_SECONDS)
    host.process.call_soon(waiting.cancel)
    await asyncio.gather(waiting, return_exceptions=True)


async def somebody_fences_and_does_nothing(scene: Scene) -> None:
    """The executor reads a foreign fence, and then there is work."""
    host = await scene.begin()
    headers = {"ce_type": "runline.fence", "nonce": "foreign", "checkpoint": "none"}
    scene.world.log.land(EVENTS, 0, Record("fence", b"{}", headers))
    await asyncio.sleep(SETTLE_SECONDS)
    scene.start(scene.world.ids.run_id())
    del host


SCENES: Final[tuple[Play, ...]] = (
    a_refusal_is_on_its_way_when_its_process_dies,
    commands_wait_behind_a_refusal,
    an_ended_run_is_started_again_when_it_is_forgotten,
    the_time_of_the_log_steps_back_after_a_checkpoint,
    starts_of_an_ended_run_wait_for_a_refusal_while_hours_pass,
    nobody_knows_whether_a_commit_landed,
    a_commit_is_lost,
    a_commit_is_lost_and_somebody_waits_for_its_run,
    an_owner_comes_back_to_what_another_one_started_again,
    an_executor_dies_at_work,
    a_run_is_created_and_then_started,
    an_ended_run_is_cancelled,
    a_run_does_not_end_in_time,
    somebody_fences_and_does_nothing,
)


def play(scenario: Play, seed: int) -> list[Violation]:
    """Play a scenario, let everything settle, and return what the checkers say."""
    with pytest.MonkeyPatch.context() as monkeypatch, TemporaryDirectory() as directory:
        return in_simulation(seed, lambda: _play(scenario, seed, monkeypatch, Path(directory)))


async def _play(scenario: Play, seed: int, monkeypatch: pytest.MonkeyPatch, directory: Path) -> list[Violation]:
    scene = Scene(seed, monkeypatch, directory)
    world = scene.world
    world.ledger.calm.set()
    try:
        async with asyncio.timeout(20 * SETTLE_SECONDS):
            await scenario(scene)
    except (TimeoutError, RunlineError) as error:
        return [Violation(0, "simulation", f"the scenario does not come to its end: {error!r}")]
    await asyncio.sleep(SETTLE_SECONDS)
    for host in world.hosts:
        if not host.gone:
            await host.close()
    services = {delivered.service for delivered in scene.deliveries}
    left = await artefacts_of(world, deliveries=scene.deliveries, services=sorted(services), views=scene.views)
    left.facts = left.facts._replace(partial=scene.partial, going_on=tuple(scene.going_on))
    return check_all(left) + [Violation(0, "simulation", text) for text in (*world.mistakes, *world.loop.mistakes)]
