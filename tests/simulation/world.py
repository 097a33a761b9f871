"""A world of several engines on one simulated log, everything in it decided by one seed."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from random import Random
from typing import Final, NamedTuple
from zlib import crc32

from engine import EngineService, Run, Trace
from engine.core.commands import CancelRun, encode
from engine.core.state import RunState
from engine.core.view import Accepted, View
from engine.errors import RunlineError
from engine.log.port import EVENTS, PARKED
from engine.run import run_of
from tests.simulation.group import Coordinator
from tests.simulation.history import History
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.ledger import Ledger
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import Process, SimulatedLoop, until
from tests.simulation.network import Network
from tests.simulation.ports import SimulatedClock, SimulatedIds
from tests.simulation.program import Program

TURN_SECONDS = 0.002
"""Simulated seconds of a turn, where a seed does not draw others."""
TURNS_MAX = 20_000
"""Turns after which what should have happened is taken for lost."""


class Hearing:
    """A progress service that keeps all it hears."""

    def __init__(self) -> None:
        self.heard: list[Run | Trace] = []

    async def run_progress(self, run: Run) -> None:
        """Hear of a run."""
        self.heard.append(run)

    async def trace_progress(self, trace: Trace) -> None:
        """Hear of a trace."""
        self.heard.append(trace)


_GRACE_SECONDS: Final = (0.0, 0.0, 0.5, 5.0)
"""How long a process that ends lets nodes under way end; without a grace it cancels them at once."""


class Host(Program):
    """A process with an engine in it.

    Attributes:
        service: Its engine.
        hearing: Its progress service.
        executes: Whether it executes runs; otherwise it only starts them, follows them and waits.
    """

    def __init__(self, world: "World", name: str, *, executes: bool) -> None:
        super().__init__(world, name)
        self.executes = executes
        self.hearing = Hearing()
        self.service = EngineService.open(
            self.log,
            world.ledger.registry(name),
            progress_services=[self.hearing],
            executor=executes,
            clock=world.clock,
            ids=world.ids,
            nodes_running_max=world.random.choice((1, 3, 64)),
            nodes_running_per_workflow_max=world.random.choice((None, None, 1)),
        )

    async def work(self) -> None:
        """Keep the engine open."""
        async with self.service:
            await self.until_told()
            # By the name, not by a draw: the draws of a seed stay what they were.
            if grace := _GRACE_SECONDS[crc32(self.name.encode()) % len(_GRACE_SECONDS)]:
                await self.service.drain(grace)

    def leftovers(self) -> list[str]:
        """Return what an engine with nothing to do still holds."""
        executor = self.service._executor
        assert executor is not None
        found = Counter({"attempts": len(executor._attempts), "waiters": len(self.service._waiters)})
        for partition in executor._partitions.values():
            term = partition._term
            if term is None:
                found["partitions without taking them over"] += 1
            else:
                found.update(inbox=len(term._inbox), pending=len(term._pending), undecided=len(term._intake))
        found["dead tasks"] = sum(task.done() for task in executor._tasks.values())
        return [f"{self.name} holds {count} {what}" for what, count in found.items() if count]


class _Folded(NamedTuple):
    """What a partition comes to, as far as it was looked at; elections begin it anew."""

    view: View
    accepted: list[Accepted]
    elections: int


class World:
    """Engines, callers and what goes wrong.

    Attributes:
        hosts: The processes with an engine.
        others: Those that keep views and host services.
        beside: What these came to.
        history: What callers asked, and what they were told.
        acknowledged: Runs whose creation somebody was told of.
        results: What waiting callers were given.
        mistakes: What no caller may ever see.
        shared: Whether the log is on Kafka, which many processes share, or one for one process.
        network: What becomes of what processes send to Kafka.
        coordinator: Its groups.
        broker_ahead: How many seconds the clocks of its brokers are ahead of others.
        truncated: Topics and partitions whose end an unclean election took away.
        loop: What everything runs in.
        turn_seconds: Simulated seconds of a turn.
    """

    def __init__(self, seed: int) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop), "a world needs a loop of its own"
        self.loop = loop
        self.random = Random(seed)
        self.clock = SimulatedClock(loop)
        self.shared = self.random.random() < 0.5
        self.turn_seconds = self.random.choice((0.000_2, TURN_SECONDS, 0.02))
        self.broker_ahead = 0.0
        count = self.random.choice((1, 2, 3) if self.shared else (1, 1, 2))
        self.log = SimulatedLog(count, lambda: self.clock.seconds() + self.broker_ahead, shared=self.shared)
        self.log.add_topic(PARKED)
        self.network = Network(self.random)
        self.coordinator = Coordinator(count, self.random)
        self.ids = SimulatedIds(self.random, self.clock)
        self.ledger = Ledger(self.random)
        self.hosts: list[Host] = []
        self.others: list[Program] = []
        self.beside: list[object] = []
        self.history = History()
        self.acknowledged: list[str] = []
        self.results: list[Run] = []
        self.mistakes: list[str] = []
        self.truncated: set[str] = set()
        self._calls: dict[asyncio.Task[None], Process] = {}
        self._folded: dict[int, _Folded] = {}
        self._born = 0

    @property
    def ready(self) -> list[Host]:
        """The processes whose engine is open."""
        return [host for host in self.hosts if host.ready and host.lives]

    def begin_host(self, *, executes: bool = True) -> Host:
        """Start another process."""
        self._born += 1
        host = Host(self, f"process {self._born}", executes=executes)
        host.begin()
        self.hosts.append(host)
        return host

    def client(self, process: Process) -> SimulatedLog:
        """Return the log as a process has it."""
        return SimulatedKafka(self.log, self.network, self.coordinator, process) if self.shared else self.log.client()

    @property
    def programs(self) -> list[Program]:
        """All processes that have not ended."""
        return [program for program in (*self.hosts, *self.others) if not program.gone]

    def call(self, host: Host, wish: Callable[[Host], Coroutine[None, None, None]]) -> None:
        """Let somebody call an engine, in its process.

        Operating errors and refusals are what callers live with; nothing else is.
        """

        async def guarded() -> None:
            try:
                await wish(host)
            except RunlineError:
                pass
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what the simulation looks for
                self.mistakes.append(f"a caller got {error!r}")

        task = host.process.spawn(guarded())
        self._calls[task] = host.process

    @property
    def calling(self) -> int:
        """How many callers wait, in processes that live."""
        self._calls = {call: process for call, process in self._calls.items() if not (call.done() or process.dead)}
        return len(self._calls)

    @property
    def waiting(self) -> int:
        """How many callers wait in processes that have not ended."""
        ended = {host.process for host in self.hosts if host.gone}
        return sum(not call.done() for call, process in self._calls.items() if process not in ended)

    async def give_up(self) -> None:
        """Let all callers give up, as a timeout does."""
        for call, process in self._calls.items():
            process.call_soon(call.cancel)
        await until(lambda: not self.calling)

    async def turns(self, count: int) -> None:
        """Let others go on."""
        await asyncio.sleep(count * self.turn_seconds)

    def later(self, seconds: float, function: Callable[[], object]) -> None:
        """Let something happen to the world."""
        self.loop.call_later(seconds, function, context=self.loop.world.context())

    def decided(self, partition: int) -> list[int]:
        """Return below which commands everything is decided, by those who say that they own the partition."""
        executors = [host.service._executor for host in self.hosts if not host.gone]
        return [owner.decided().get(partition, 0) for owner in executors if owner is not None]

    def accepted(self, partition: int) -> tuple[View, list[Accepted]]:
        """Return a partition folded from its beginning, and its accepted commits."""
        found = self.log.partition(EVENTS, partition)
        known = self._folded.get(partition)
        if known is None or known.elections != len(found.elections):
            known = self._folded[partition] = _Folded(View(), [], len(found.elections))
        for record in found.history[known.view.position :]:
            if (accepted := known.view.fold(record)) is not None:
                known.accepted.append(accepted)
        return known.view, known.accepted

    def open_runs(self) -> dict[str, RunState]:
        """Return all runs that have not ended."""
        return {
            run_id: state
            for partition in range(self.log.partitions)
            for run_id, state in self.accepted(partition)[0].runs.items()
        }

    def ended(self) -> dict[str, Run]:
        """Return all runs that have ended, as the log has them."""
        return {
            accepted.after.run_id: run_of(accepted.after)
            for partition in range(self.log.partitions)
            for accepted in self.accepted(partition)[1]
            if accepted.after.status.terminal
        }

    def cancellation(self, run_id: str) -> bytes:
        """Return a command that cancels a run."""
        return encode(CancelRun(id=self.ids.command_id(), run=run_id))
