"""The storm: callers who want something, and a world in which everything goes wrong."""

from collections.abc import Awaitable, Callable
from typing import Final

from engine.core.commands import StartRun, encode
from engine.core.identity import id_time
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, EVENTS, REJECTIONS, Record
from tests.simulation.brokers import BrokerFaults, trouble
from tests.simulation.workflows import definitions
from tests.simulation.world import Host, World

_HOSTS_MAX: Final = 3


class Storm:
    """What may happen in one simulation: always the callers, and some classes of faults.

    Args:
        world: Where it rages.
        hostile: Whether brokers may do, too, what an audit finds: write a record twice, lose or remove some.

    Attributes:
        workflows: Those that callers start.
    """

    def __init__(self, world: World, *, hostile: bool = False) -> None:
        self.workflows = [definition.id for definition in definitions()]
        self._world = world
        self._random = world.random
        self._raging = False
        faults: dict[str, Callable[[], None] | Callable[[], Awaitable[None]] | None] = {
            "crash": self.crash,
            "close": self.close,
            "overlap": self.overlap,
            "failures": self.failure,
            "holds": self.hold,
            "foreign fences": self.foreign_fence,
            "garbage": self.garbage,
            "duplicates": self.duplicate,
            "late starts": self.raw_start,
            "jumps": self.jump,
            "pauses": self.pause,
        }
        if world.shared:
            faults |= BrokerFaults(world).all(hostile=hostile)
        names = self._random.sample(sorted(faults), self._random.randint(0, len(faults)))
        self.names = frozenset(names)
        self._faults = [fault for name in sorted(names) if (fault := faults[name]) is not None]

    async def rage(self, steps: int) -> None:
        """Let things happen."""
        world = self._world
        self._raging = True
        trouble(world.network, self._random, self.names)
        for _ in range(steps):
            if all(host.gone or not host.executes for host in world.hosts):
                world.begin_host()
            if world.shared and self._random.random() < 0.05 and len(self._living) < _HOSTS_MAX:
                world.begin_host(executes=self._random.random() < 0.5)
            if self._faults and self._random.random() < 0.3:
                happens = self._random.choice(self._faults)()
                if happens is not None:
                    await happens
            else:
                self.request()
            await world.turns(self._random.choice((0, 1, 2, 5, 20, 200)))
        self._raging = False

    # Callers.

    def request(self) -> None:
        """Let a caller want something of one of the engines."""
        ready = self._world.ready
        if ready:
            wish = self._random.choice((self._run, self._create, self._create, self._start, self._cancel, self._wait))
            self._world.call(self._random.choice(ready), wish)

    async def _run(self, host: Host) -> None:
        asking = host.service.run_workflow(self._random.choice(self.workflows), {"given": self._random.random()})
        run = await self._world.history.ask("create+start+wait", "", asking)
        self._world.acknowledged.append(run.run_id)
        self._world.results.append(run)

    async def _create(self, host: Host) -> None:
        asking = host.service.create_workflow_run(self._random.choice(self.workflows))
        self._world.acknowledged.append(await self._world.history.ask("create", "", asking))

    async def _start(self, host: Host) -> None:
        if run_id := self._known():
            asking = host.service.start_workflow_run_and_wait(run_id, {"given": self._random.choice((1, 2))})
            run = await self._world.history.ask("start+wait", run_id, asking)
            self._check(run_id, run.run_id)
            self._world.results.append(run)

    async def _cancel(self, host: Host) -> None:
        if run_id := self._known():
            await self._world.history.ask("cancel", run_id, host.service.cancel_workflow_run(run_id, "no more"))

    async def _wait(self, host: Host) -> None:
        if run_id := self._known():
            timeout = self._random.choice((None, None, 5.0))
            asking = host.service.wait_for_workflow_run(run_id, timeout)
            run = await self._world.history.ask("wait", run_id, asking, timeout=timeout)
            self._check(run_id, run.run_id)
            self._world.results.append(run)

    def _known(self) -> str | None:
        known = self._world.acknowledged[-6:]
        return self._random.choice(known) if known else None

    def _check(self, wanted: str, given: str) -> None:
        if wanted != given:
            self._world.mistakes.append(f"who waited for run {wanted} was given run {given}")

    # Faults.

    @property
    def _living(self) -> list[Host]:
        return [host for host in self._world.hosts if not host.gone]

    def _host(self) -> Host | None:
        return self._random.choice(self._living) if self._living else None

    async def crash(self) -> None:
        """Let a process die."""
        if host := self._host():
            host.die()

    async def close(self) -> None:
        """Let a process end."""
        if host := self._host():
            await host.close()

    def pause(self) -> None:
        """Let a process stand still for a while; the brokers may give what it has to others."""
        if host := self._host():
            host.pause()
            self._world.later(self._random.choice((0.1, 2.0, 8.0)), host.wake)

    async def overlap(self) -> None:
        """Start a process beside the ones that are there."""
        if len(self._living) < _HOSTS_MAX:
            host = self._world.begin_host()
            if not self._world.shared:
                # No group says whose the partitions are, so they fight for them as long as both live.
                self._world.later(self._random.choice((0.2, 1.0, 5.0)), lambda: self._part(host))

    def _part(self, host: Host) -> None:
        if self._raging:
            host.die()

    async def failure(self) -> None:
        """Let appends of a process fail, with or without the record landing."""
        if host := self._host():
            topic = self._random.choice((EVENTS, EVENTS, COMMANDS, REJECTIONS))
            host.log.fail_next(topic, self._random.choice((1, 1, 3)), self._random.choice(("lost", "unknown")))

    async def hold(self) -> None:
        """Keep what a process writes on its way, or let it land: perhaps behind somebody else's fence."""
        if host := self._host():
            host.log.hold()
            self._world.later(self._random.choice((1, 10, 200)) * self._world.turn_seconds, host.log.release)

    async def foreign_fence(self) -> None:
        """Let somebody take a partition and do nothing with it."""
        headers = {"ce_type": "runline.fence", "nonce": self._world.ids.nonce(), "checkpoint": "none"}
        self._land(EVENTS, Record("fence", b"{}", headers))

    async def garbage(self) -> None:
        """Let bytes land that mean nothing."""
        kind = self._random.choice(("runline.commit", "runline.checkpoint", "runline.other", ""))
        headers = {"ce_type": kind, "epoch": "0:x", "prev": "genesis", "checkpoint": "none"}
        self._land(EVENTS, Record(self._world.ids.run_id(), self._random.randbytes(20), headers))
        self._land(COMMANDS, Record("k", self._random.choice((b"", b"{}", b'{"type":"run.fly"}', b"\xff")), {}))

    async def duplicate(self) -> None:
        """Let a command be delivered again, from a producer that was not sure."""
        partition = self._random.randrange(self._world.log.partitions)
        if records := self._world.log.partition(COMMANDS, partition).records:
            record = self._random.choice(records[-20:])
            self._world.log.land(COMMANDS, partition, Record(record.key, record.value, record.headers))

    async def raw_start(self) -> None:
        """Let somebody without an engine create and start a run in one command, or one that is much too old."""
        run_id = self._world.ids.run_id()
        if self._random.random() < 0.3 and self._world.acknowledged:
            run_id = self._random.choice(self._world.acknowledged)
            assert id_time(run_id)
        workflow = self._random.choice([*self.workflows, "unknown"])
        command = StartRun(id=self._world.ids.command_id(), run=run_id, workflow=workflow)
        partition = partition_of(run_id, self._world.log.partitions)
        if self._random.random() < 0.3:
            # Whoever sent it does not know where the run belongs: it is sent on.
            partition = self._random.randrange(self._world.log.partitions)
        self._world.log.land(COMMANDS, partition, Record(run_id, encode(command), {}))

    async def jump(self) -> None:
        """Let hours pass, so that ids are forgotten and old ones refused."""
        self._world.clock.jump(self._random.choice((60, 3_000, 8_000)))

    def _land(self, topic: str, record: Record) -> None:
        self._world.log.land(topic, self._random.randrange(self._world.log.partitions), record)
