"""A world of several engines on one simulated log, everything in it decided by one seed."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random

from engine import EngineService, Run, Trace
from engine.core.commands import CancelRun, encode
from engine.core.state import RunState
from engine.core.view import Accepted, View
from engine.errors import RunlineError
from engine.log.port import EVENTS
from engine.run import run_of
from tests.simulation.log import SimulatedLog
from tests.simulation.loop import Process, SimulatedLoop, until
from tests.simulation.ports import SimulatedClock, SimulatedIds
from tests.simulation.workflows import Ledger

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


class Host:
    """A process with an engine in it, until it is closed or dies.

    Attributes:
        log: Its own client of the log.
        service: Its engine.
        process: What its code runs in.
        ready: Whether the engine is open.
        hearing: Its progress service.
        executes: Whether it executes runs; otherwise it only starts them, follows them and waits.
    """

    def __init__(self, world: "World", name: str, *, executes: bool) -> None:
        self.name = name
        self.executes = executes
        self.log = world.log.client()
        self.hearing = Hearing()
        self.ready = False
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
        self._stop = asyncio.Event()
        self.process = world.loop.process(name)
        self._life = self.process.spawn(self._live())

    async def _live(self) -> None:
        try:
            async with self.service:
                self.ready = True
                await self._stop.wait()
                self.ready = False
        except RunlineError:
            # The log failed while the engine opened, or died before it closed.
            self.ready = False

    @property
    def gone(self) -> bool:
        """Whether the process has ended."""
        return self.process.dead or self._life.done()

    async def opened(self) -> None:
        """Wait until the engine is open; raises what keeps it from that."""
        await until(lambda: self.ready or self.gone)
        if not self.ready:
            self._life.result()
            raise AssertionError(f"{self.name} ended before it was open")

    async def close(self) -> None:
        """End in good order."""
        self.log.release()
        self._stop.set()
        await until(lambda: self.gone)

    def die(self) -> None:
        """End at once: what is on its way never arrives, and no line of its code runs any more."""
        self.ready = False
        self.log.abandon()
        self.process.kill()

    def leftovers(self) -> list[str]:
        """Return what an engine with nothing to do still holds."""
        executor = self.service._executor
        assert executor is not None
        found = {"attempts": len(executor._attempts), "waiters": len(self.service._waiters)}
        for partition in executor._partitions.values():
            term = partition._term
            assert term is not None
            found |= {"inbox": len(term._inbox), "pending": len(term._pending), "undecided": len(term._intake)}
        dead = sum(task.done() for task in executor._tasks.values())
        return [f"{self.name} holds {count} {what}" for what, count in (found | {"dead tasks": dead}).items() if count]


class World:
    """Engines, callers and what goes wrong.

    Attributes:
        acknowledged: Runs whose creation somebody was told of.
        results: What waiting callers were given.
        mistakes: What no caller may ever see.
        shared: Whether the log is one that many processes share, as Kafka is.
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
        self.log = SimulatedLog(self.random.choice((1, 1, 2)), self.clock.seconds, shared=self.shared)
        self.ids = SimulatedIds(self.random, self.clock)
        self.ledger = Ledger(self.random)
        self.hosts: list[Host] = []
        self.acknowledged: list[str] = []
        self.results: list[Run] = []
        self.mistakes: list[str] = []
        self._calls: dict[asyncio.Task[None], Process] = {}
        self._born = 0

    @property
    def ready(self) -> list[Host]:
        """The processes whose engine is open."""
        return [host for host in self.hosts if host.ready]

    def begin_host(self, *, executes: bool = True) -> Host:
        """Start another process."""
        self._born += 1
        host = Host(self, f"process {self._born}", executes=executes)
        self.hosts.append(host)
        return host

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

    async def give_up(self) -> None:
        """Let all callers give up, as a timeout does."""
        for call, process in self._calls.items():
            process.call_soon(call.cancel)
        await until(lambda: not self.calling)

    async def turns(self, count: int) -> None:
        """Let others go on."""
        await asyncio.sleep(count * self.turn_seconds)

    def accepted(self, partition: int) -> tuple[View, list[Accepted]]:
        """Return a partition folded from its beginning, and its accepted commits."""
        view = View()
        found = [view.fold(record) for record in self.log.partition(EVENTS, partition).records]
        return view, [accepted for accepted in found if accepted is not None]

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
