"""An event loop whose time is simulated and whose order is drawn from a seed.

Every process of the world has a queue of its own, which is served in order, as asyncio promises. Which process is
served next is drawn: processes of a real world do not wait for one another either. A process can be paused, as SIGSTOP
does, or killed, as SIGKILL does: then no line of its code is executed any more.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from inspect import CORO_CLOSED, CORO_SUSPENDED, getcoroutinestate, iscoroutine
from random import Random
from typing import Final, TypeVar, cast

import pytest

from tests.simulation.remains import unheard
from tests.simulation.threads import simulate_threads

T = TypeVar("T")

LOOK_SECONDS: Final = 0.002
"""Simulated seconds that those who look again and again wait in between, at first; then ever longer."""
_LOOK_SECONDS_MAX: Final = 0.05
TURNS_MAX: Final = 1_000_000
"""Callbacks of one simulation: many times as many as any needs."""
_TASKS_MAX: Final = 512
"""Tasks of a process that are remembered before those that are done are forgotten."""
_CLOSINGS_MAX: Final = 100
"""How often a coroutine that does not want to end is told to."""
_SHUFFLED: Final = 4
"""How far ahead of others a task may get that is ready too."""


class ProcessKilled(BaseException):
    """Unwinds the code of a process that was killed while it ran; what it does on the way reaches nobody."""


class StillnessError(Exception):
    """The simulation does not get to its end: nothing will ever happen any more, or the same again and again."""


class Process:
    """One process of the world.

    Attributes:
        name: How it is called.
        paused: Whether none of its code runs now.
        dead: Whether none of its code will ever run.
        pauses: How often it was paused.
    """

    def __init__(self, loop: "SimulatedLoop", name: str) -> None:
        self.name = name
        self.paused = False
        self.dead = False
        self.pauses = 0
        self.ready: deque[asyncio.Handle] = deque()
        self.tasks: dict[asyncio.Task[object], None] = {}
        self._loop = loop
        self._context = copy_context()
        self._context.run(_CURRENT.set, self)

    def context(self) -> Context:
        """Return a new context for code of this process."""
        return self._context.copy()

    def spawn(self, work: Coroutine[object, object, T]) -> "asyncio.Task[T]":
        """Begin a task in this process."""
        return cast("asyncio.Task[T]", self._loop.create_task(work, context=self.context()))

    def call_soon(self, callback: Callable[..., object], *args: object) -> None:
        """Let this process call something, from wherever: as an interrupt does."""
        self._loop.call_soon(callback, *args, context=self.context())

    def pause(self) -> None:
        """Let none of its code run until `wake`; its timers become due meanwhile."""
        self.paused = True
        self.pauses += 1
        self._loop.withdraw(self)

    def wake(self) -> None:
        """Let it go on."""
        self.paused = False
        self._loop.serve(self)

    def kill(self) -> None:
        """Let none of its code run any more; to be called last where the code that runs now is its own."""
        self.dead = True
        self.ready.clear()
        self._loop.withdraw(self)


_CURRENT: ContextVar[Process] = ContextVar("process")


def current_process(otherwise: Process | None = None) -> Process:
    """Return the process whose code runs now, or another one where none is known."""
    return _CURRENT.get() if otherwise is None else _CURRENT.get(otherwise)


class SimulatedLoop(asyncio.BaseEventLoop):
    """The event loop of a whole world.

    Args:
        random: Draws who is next; nobody else may draw from it.

    Attributes:
        world: The process that is none: brokers, networks, and whoever conducts.
        mistakes: Errors that nobody handled.
        turns: How many callbacks were called.
        turns_max: How many may be.
    """

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.set_debug(False)
        self.turns = 0
        self.turns_max = TURNS_MAX
        self.mistakes: list[str] = []
        self._draw = random.random
        self._turn_seconds = random.choice((0.000_01, 0.000_1, 0.001))
        # How likely the same process goes on: one that runs on a core of its own does many things in a row.
        self._constancy = random.choice((0.0, 0.5, 0.95))
        self._shuffles = random.random() < 0.5  # A coin.
        self._now = 0.0
        self._processes: list[Process] = []
        self._runnable: list[Process] = []
        self._served: Process | None = None
        self._timers: list[tuple[float, int, asyncio.TimerHandle, Process]] = []
        self._timer_count = 0
        self.world = self.process("world")

    def process(self, name: str) -> Process:
        """Return a new process."""
        made = Process(self, name)
        self._processes.append(made)
        return made

    def time(self) -> float:
        """Return the seconds since the world began."""
        return self._now

    # What asyncio calls.

    def call_soon(
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.Handle:
        """Queue a callback with the process in whose context it was made."""
        handle = asyncio.Handle(callback, args, self, context)
        process = self._process_of(handle)
        if process.dead:
            return handle
        task = getattr(callback, "__self__", None)
        if isinstance(task, asyncio.Task) and task not in process.tasks:
            self._remember(process, task)
        if not process.ready and not process.paused:
            self._runnable.append(process)
        process.ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(
        self, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Queue a callback for later."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timer_count += 1
        heapq.heappush(self._timers, (when, self._timer_count, timer, self._process_of(timer)))
        return timer

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Queue a callback for later."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def run_in_executor(  # whatever executor there might be, its threads are simulated
        self, executor: object, function: Callable[..., T], *args: object
    ) -> "asyncio.Future[T]":
        """Call a function a little later, all at once; its result comes later still."""
        del executor
        future: asyncio.Future[T] = self.create_future()

        def call() -> None:
            try:
                settle, outcome = future.set_result, function(*args)
            except ProcessKilled:
                raise
            except BaseException as error:  # noqa: BLE001 - whoever awaits it hears of it
                settle, outcome = future.set_exception, error  # type: ignore[assignment]  # one of two pairs
            self.call_later(self._draw() * 0.01, lambda: future.done() or settle(outcome))

        self.call_later(self._draw() * 0.01, call)
        return future

    def call_exception_handler(self, context: dict[str, object]) -> None:
        """Keep what nobody handled, except that a process was killed."""
        error = context.get("exception")
        if not isinstance(error, ProcessKilled):
            self.mistakes.append(f"{context.get('message')}: {error!r}")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave a cancelled timer where it is: it is passed over when its time comes."""

    # Serving.

    def withdraw(self, process: Process) -> None:
        """Serve a process no more."""
        if process in self._runnable:
            self._runnable.remove(process)

    def serve(self, process: Process) -> None:
        """Serve a process again."""
        if process.ready and not process.paused and process not in self._runnable:
            self._runnable.append(process)

    def _process_of(self, handle: asyncio.Handle) -> Process:
        return handle._context.get(_CURRENT, None) or self.world  # type: ignore[attr-defined]  # typeshed hides it

    def _remember(self, process: Process, task: "asyncio.Task[object]") -> None:
        if len(process.tasks) >= _TASKS_MAX:
            process.tasks = {known: None for known in process.tasks if not known.done()}
        process.tasks[task] = None

    def _run_once(self) -> None:
        if self.turns > self.turns_max:
            raise StillnessError(f"more than {self.turns_max} callbacks: this does not end")
        self._pass_time()
        process = self._next_process()
        handle = self._next_handle(process)
        if not process.ready:
            self._runnable.remove(process)
        if not handle.cancelled():
            self.turns += 1
            handle._run()
        # A handle holds what it called; the exception of a task must not live until the next turn.
        handle = None  # type: ignore[assignment]

    def _pass_time(self) -> None:
        self._now += self._turn_seconds
        timers = self._timers
        while True:
            while timers and timers[0][0] <= self._now:
                _, _, timer, process = heapq.heappop(timers)
                if not timer.cancelled() and not process.dead:
                    process.ready.append(timer)
                    self.serve(process)
            if self._runnable:
                return
            while timers and (timers[0][2].cancelled() or timers[0][3].dead):
                heapq.heappop(timers)
            if not timers:
                raise StillnessError("nobody does anything any more, and nobody waits for a time")
            self._now = timers[0][0]

    def _next_process(self) -> Process:
        runnable = self._runnable
        if len(runnable) == 1:
            return runnable[0]
        served = self._served
        if served is not None and self._constancy and served in runnable and self._draw() < self._constancy:
            return served
        self._served = runnable[int(self._draw() * len(runnable))]
        return self._served

    def _next_handle(self, process: Process) -> asyncio.Handle:
        """Return the first callback, or that of a task that gets ahead of other tasks."""
        ready = process.ready
        if self._shuffles and len(ready) > 1:
            ahead = int(self._draw() * min(_SHUFFLED, len(ready)))
            if all(_is_step(ready[place]) for place in range(ahead + 1)):
                handle = ready[ahead]
                del ready[ahead]
                return handle
        return ready.popleft()

    # The end.

    def bury(self) -> None:
        """Close what never ended, so that nothing of this world runs or complains later."""
        for process in self._processes:
            process.dead = True
        # What is closed may begin more on its way out. Here it never runs; a loop that the interpreter made for it
        # would keep it and the whole world for ever.
        asyncio._set_running_loop(self)
        for process in self._processes:
            for task in list(process.tasks):
                if task.done():
                    if not task.cancelled():
                        task.exception()
                else:
                    task._log_destroy_pending = False  # type: ignore[attr-defined]  # typeshed hides it
                    _close(cast("Coroutine[object, object, object]", task.get_coro()))
        for process in self._processes:
            process.tasks.clear()
            process.ready.clear()
        asyncio._set_running_loop(None)
        self._timers.clear()
        self.close()


def in_simulation(seed: int, work: Callable[[], Coroutine[object, object, T]]) -> T:
    """Run something in a loop of its own whose order the seed decides; also while another loop runs."""
    if asyncio._get_running_loop() is not None:
        # A thread has one loop that runs, and one task.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: in_simulation(seed, work)).result()
    loop = SimulatedLoop(Random(f"loop {seed}"))
    with unheard():
        try:
            with pytest.MonkeyPatch.context() as monkeypatch:
                simulate_threads(monkeypatch)
                return loop.run_until_complete(work())
        finally:
            loop.bury()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so, looking again and again."""
    pause = LOOK_SECONDS
    while not condition():
        await asyncio.sleep(pause)
        pause = min(1.5 * pause, _LOOK_SECONDS_MAX)


def _is_step(handle: asyncio.Handle) -> bool:
    callback = handle._callback  # type: ignore[attr-defined]  # typeshed hides it
    return isinstance(getattr(callback, "__self__", None), asyncio.Task)


def _close(work: Coroutine[object, object, object]) -> None:
    """Close a coroutine, what it waits for first: what an outer one lets go of unfinished would complain later."""
    for _ in range(_CLOSINGS_MAX):
        if getcoroutinestate(work) == CORO_CLOSED:
            return
        inner = work
        while iscoroutine(waiting := inner.cr_await) and getcoroutinestate(waiting) == CORO_SUSPENDED:  # type: ignore[attr-defined]  # of the language's own coroutines
            inner = waiting
        with suppress(BaseException):
            inner.close()
