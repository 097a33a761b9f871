"""Attempts: the node executions that this process works on, within limits."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context, copy_context
from typing import Final

from engine import crash_points
from engine.call import Call
from engine.context import ContextObject
from engine.context.changes import difference
from engine.context.check import check_limits
from engine.core.decision import Outcome
from engine.core.identity import trace_id
from engine.core.plan import PlannedNode
from engine.core.soundness import failed_by, text
from engine.core.state import OpenTrace, RunState
from engine.crash_points import CrashPoint
from engine.errors import RunlineError
from engine.executor.threads import Threads
from engine.executor.tracebacks import traceback_of
from engine.limits import DRAIN_SECONDS
from engine.nodes.node_type import Failed, Left
from engine.registry import Registry

_LOGGER = logging.getLogger("runline.executor")

# Looking a member of an enumeration up costs more than the call in which nothing happens.
_BEFORE: Final = CrashPoint.ATTEMPT_BEFORE
_AFTER: Final = CrashPoint.ATTEMPT_AFTER

Deliver = Callable[[str, Outcome], None]


class OutputUnknownError(RunlineError):
    """The work of a node ended without the name of an output."""

    code = "output_unknown"


class _Attempt:
    """One attempt, queued, running or finished.

    Attributes:
        outcome: What came out, once it is finished; kept until the log has it.
        task: What runs it now, if anything does.
    """

    __slots__ = ("call", "deliver", "node", "outcome", "partition", "state", "task", "trace")

    def __init__(  # noqa: PLR0917 - made in one place, in the order of that place's arguments
        self, partition: int, state: RunState, trace: OpenTrace, node: PlannedNode, call: Call, deliver: Deliver
    ) -> None:
        self.partition = partition
        self.state = state
        self.trace = trace
        self.node = node
        self.call = call
        self.deliver = deliver
        self.outcome: Outcome | None = None
        self.task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        self.call.cancel()
        if self.task is not None:
            self.task.cancel()


class _Turns:
    """How many nodes of each workflow run, and which attempts wait for their workflow's turn."""

    def __init__(self, running_max: int) -> None:
        self._running_max = running_max
        self._running: dict[str, int] = {}
        self._waiting: dict[str, deque[_Attempt]] = {}

    def take(self, attempt: _Attempt) -> bool:
        """Take a turn for an attempt, or let it wait."""
        workflow = attempt.state.workflow
        running = self._running.get(workflow, 0)
        if running >= self._running_max:
            self._waiting.setdefault(workflow, deque()).append(attempt)
            return False
        self._running[workflow] = running + 1
        return True

    def leave(self, workflow: str) -> None:
        """Give a turn back."""
        self._running[workflow] -= 1
        if not self._running[workflow]:
            del self._running[workflow]

    def following(self, workflow: str) -> _Attempt | None:
        """Return the next attempt of a workflow that waits, or None."""
        waiting = self._waiting.get(workflow)
        if waiting is None:
            return None
        attempt = waiting.popleft()
        if not waiting:
            del self._waiting[workflow]
        return attempt


class Attempts:
    """Runs nodes whose start the log has accepted; at most one attempt of a trace at a time.

    Attempts stand in one queue, and tasks take them from there. Many a node's code costs less than a task, so a task
    goes on with the next attempt when it is done with one; while attempts are queued, another task stands by for the
    case that the code waits for something.

    Attributes:
        leaving: Whether this process takes nothing up any more: what is to be done next is for others.
    """

    def __init__(self, registry: Registry, *, running_max: int, running_per_workflow_max: int | None) -> None:
        self._registry = registry
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._threads = Threads(self._loop)
        self._held: dict[tuple[str, int], _Attempt] = {}
        self._queue: deque[_Attempt] = deque()
        self._turns = None if running_per_workflow_max is None else _Turns(running_per_workflow_max)
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self._running_max = running_max
        self._standing_by: asyncio.Task[None] | None = None
        self._witness = self._loop.create_task(_for_ever())
        self.leaving = False

    def __len__(self) -> int:
        """Return how many attempts are held: running, queued, or with an outcome that the log does not have yet."""
        return len(self._held)

    def holds(self, run_id: str, trace: OpenTrace) -> bool:
        """Return whether this process still holds the trace's current attempt."""
        held = self._held.get((run_id, trace.number))
        return held is not None and held.trace.attempt == trace.attempt

    def outcome(self, run_id: str, trace: OpenTrace) -> Outcome | None:
        """Return the outcome of the trace's current attempt, if it is finished and held here."""
        held = self._held.get((run_id, trace.number))
        return None if held is None or held.trace.attempt != trace.attempt else held.outcome

    def start(self, partition: int, state: RunState, trace: OpenTrace, node: PlannedNode, deliver: Deliver) -> None:
        """Work on an attempt whose start was accepted; `deliver` gets the outcome in the event loop."""
        key = (state.run_id, trace.number)
        held = self._held.get(key)
        if held is not None:
            if held.trace.attempt == trace.attempt:
                return
            held.stop()
        identity = trace_id(state.run_id, trace.number)
        call = Call(
            run_id=state.run_id,
            workflow_id=state.workflow,
            node_id=node.id,
            trace_id=identity,
            attempt=trace.attempt,
            idempotency_key=identity,
            registry=self._registry,
            threads=self._threads,
        )
        attempt = self._held[key] = _Attempt(partition, state, trace, node, call, deliver)
        self._queue.append(attempt)
        self._stand_by()

    def release(self, run_id: str, number: int) -> None:
        """Forget an attempt: the log has its outcome, or its run has ended."""
        held = self._held.pop((run_id, number), None)
        if held is not None and held.outcome is None:
            held.stop()

    def release_all_but(self, partition: int, runs: Mapping[str, RunState]) -> None:
        """Forget the attempts of a partition that its open runs do not show as current."""
        for (run_id, number), held in list(self._held.items()):
            if held.partition == partition:
                state = runs.get(run_id)
                current = () if state is None else state.open
                if not any(trace.number == number and trace.attempt == held.trace.attempt for trace in current):
                    self.release(run_id, number)

    async def close(self) -> None:
        """Stop everything: asynchronous functions are cancelled, blocking ones are told and left behind."""
        held, self._held = list(self._held.values()), {}
        self._queue.clear()
        for attempt in held:
            attempt.stop()
        self._witness.cancel()
        _, left = await asyncio.wait({*self._tasks, self._witness}, timeout=DRAIN_SECONDS)
        if left:
            # Nobody can end a function that catches its cancellation; it must not keep the process from ending.
            _LOGGER.error("%d functions go on although they were cancelled; left behind", len(left))
        self._threads.close()

    # Tasks.

    def _stand_by(self) -> None:
        """Have a task ready that takes the next attempt, if there is one and it may run."""
        if self._queue and self._standing_by is None and self._running < self._running_max:
            task = self._standing_by = asyncio.Task(self._work(), loop=self._loop, context=self._context.copy())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task is self._standing_by:
            # User code has cancelled it before it began.
            self._standing_by = None
            self._go_on()

    def _go_on(self) -> None:
        """Stand by in the place of a task that has ended, unless nothing is to begin any more."""
        if not self._loop_ends():
            self._stand_by()

    def _loop_ends(self) -> bool:
        """Return whether somebody shuts the event loop down: then all of its tasks are cancelled, or just dropped.

        User code may cancel the task of an attempt. The witness is a task that has nothing to do with any attempt, so
        only whoever cancels all tasks, as `asyncio.run` does at its end, cancels it too, and before any of them runs.
        """
        return self._witness.cancelling() > 0 or not self._loop.is_running()

    async def _work(self) -> None:
        """Run attempts as long as there are any and this task is as good as a new one."""
        task = asyncio.current_task()
        assert task is not None
        self._standing_by = None
        self._running += 1
        try:
            while (attempt := self._next()) is not None:
                self._stand_by()
                attempt.task = task
                await self._run(attempt)
                if task.cancelling() or not _same(copy_context(), self._context):
                    break
        finally:
            # However it ends, others wait for its place.
            self._running -= 1
            self._go_on()

    def _next(self) -> _Attempt | None:
        while self._queue:
            attempt = self._queue.popleft()
            if attempt.call.cancelled:
                self._follow(attempt.state.workflow)
            elif self._turns is None or self._turns.take(attempt):
                return attempt
        return None

    def _follow(self, workflow: str) -> None:
        """Queue the next attempt that waits for this workflow's turn, before all others: it has waited longest."""
        following = None if self._turns is None else self._turns.following(workflow)
        if following is not None:
            self._queue.appendleft(following)

    async def _run(self, attempt: _Attempt) -> None:
        """Run an attempt; its outcome is delivered unless nobody wants it any more."""
        state, call = attempt.state, attempt.call
        try:
            crash_points.reached(_BEFORE)
            outcome = await self._outcome(attempt)
        except asyncio.CancelledError:
            if not call.cancelled:
                raise
        else:
            if not call.cancelled:
                crash_points.reached(_AFTER)
                attempt.outcome = outcome
                attempt.deliver(state.run_id, outcome)
        finally:
            attempt.task = None
            if self._turns is not None:
                self._turns.leave(state.workflow)
                self._follow(state.workflow)

    async def _outcome(self, attempt: _Attempt) -> Outcome:
        state, trace, node, call = attempt.state, attempt.trace, attempt.node, attempt.call
        # The state's own, here and below: what of it user code changes is copied first, and the rest stays shared.
        context = ContextObject._over(state.context, self._registry.converters, 1)  # noqa: SLF001 - for the engine
        try:
            left = await node.node_type.execute(node.configuration, context, call)
            output, message = _left(node, left)
            after = context._shared_wire()  # noqa: SLF001 - for the engine
            if after is not state.context:
                check_limits(after)
            changes = difference(state.context, after)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # user code may raise anything; it fails its node, no more
            if self._ended_from_outside(error, call):
                raise
            failed = _failed(error)
            _tell(error, failed, state.run_id, node.id, call.trace_id)
        else:
            return Outcome(trace.number, trace.attempt, changes, output, None, message)
        return Outcome(trace.number, trace.attempt, (), "", failed)

    def _ended_from_outside(self, error: BaseException, call: Call) -> bool:
        """Return whether a function did not raise this itself: it is ended from outside and has no outcome."""
        # Its class is looked at, because what an exception itself says of its class may be user code.
        if issubclass(type(error), asyncio.CancelledError):
            return call.cancelled or self._loop_ends()
        # A coroutine that is dropped is closed outside the event loop.
        return issubclass(type(error), GeneratorExit) and not self._loop.is_running()


async def _for_ever() -> None:
    await asyncio.Event().wait()


def _failed(error: BaseException) -> Failed:
    if issubclass(type(error), asyncio.CancelledError):
        return Failed("CancelledError", "the function was cancelled, but not by the engine")
    return failed_by(error)


def _tell(error: BaseException, failed: Failed, run_id: str, node_id: str, trace_id: str) -> None:
    """Write the traceback of a failed attempt to the process's own log; a log that takes no line fails no node."""
    try:
        _LOGGER.warning(
            "Node %s of run %s failed:\n%s",
            node_id,
            run_id,
            traceback_of(error, failed.message),
            extra={"run_id": run_id, "node_id": node_id, "trace_id": trace_id},
        )
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001, S110 - handlers come from anywhere, and there is nobody left to tell
        pass


def _left(node: PlannedNode, left: object) -> tuple[str, str]:
    """Return the output and the message; node types from elsewhere return anything, whatever their signature says."""
    output, message = left if isinstance(left, Left) else (left, "")
    if not isinstance(output, str):
        # None, too, by which a step in the core ends the path: here somebody forgot to return.
        raise OutputUnknownError(f"expected one of the outputs {', '.join(node.outputs)}, but found {output!r}")
    return output, text(message)


def _same(one: Context, other: Context) -> bool:
    """Return whether two contexts hold the same objects; what they hold may not be made to be compared."""
    if len(one) != len(other):
        return False
    # Mostly both are empty.
    return not other or all(one.get(variable) is value for variable, value in other.items())
