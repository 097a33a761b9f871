"""Attempts: the node executions that this process works on, within limits."""

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping

from engine.call import Call
from engine.context import ContextObject
from engine.context.changes import difference
from engine.context.check import check_limits
from engine.core.decide import Outcome
from engine.core.identity import trace_id
from engine.core.plan import PlannedNode
from engine.core.state import OpenTrace, RunState
from engine.errors import ContextError
from engine.executor.threads import Threads
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX, TRACEBACK_CHARACTERS_MAX
from engine.nodes.node_type import Failed
from engine.registry import Registry

_LOGGER = logging.getLogger("runline.executor")

Deliver = Callable[[str, Outcome], None]


class _Attempt:
    """One attempt, queued, running or finished; its outcome is kept until the log has it."""

    __slots__ = ("call", "number", "outcome", "partition", "task")

    def __init__(self, partition: int, number: int, call: Call) -> None:
        self.partition = partition
        self.number = number
        self.call = call
        self.outcome: Outcome | None = None
        self.task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        self.call.cancel()
        if self.task is not None:
            self.task.cancel()


class Attempts:
    """Runs nodes whose start the log has accepted; at most one attempt of a trace at a time."""

    def __init__(self, registry: Registry, *, running_max: int, running_per_workflow_max: int | None) -> None:
        self._registry = registry
        self._slots = asyncio.Semaphore(running_max)
        self._per_workflow_max = running_per_workflow_max
        self._workflow_slots: dict[str, asyncio.Semaphore] = {}
        self._threads = Threads(asyncio.get_running_loop())
        self._held: dict[tuple[str, int], _Attempt] = {}

    def __len__(self) -> int:
        """Return how many attempts are held: running, queued, or with an outcome that the log does not have yet."""
        return len(self._held)

    def holds(self, run_id: str, trace: OpenTrace) -> bool:
        """Return whether this process still holds the trace's current attempt."""
        held = self._held.get((run_id, trace.number))
        return held is not None and held.number == trace.attempt

    def outcome(self, run_id: str, trace: OpenTrace) -> Outcome | None:
        """Return the outcome of the trace's current attempt, if it is finished and held here."""
        held = self._held.get((run_id, trace.number))
        return None if held is None or held.number != trace.attempt else held.outcome

    def start(self, partition: int, state: RunState, trace: OpenTrace, node: PlannedNode, deliver: Deliver) -> None:
        """Work on an attempt whose start was accepted; `deliver` gets the outcome in the event loop."""
        key = (state.run_id, trace.number)
        held = self._held.get(key)
        if held is not None:
            if held.number == trace.attempt:
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
        attempt = self._held[key] = _Attempt(partition, trace.attempt, call)
        attempt.task = asyncio.create_task(self._attempt(attempt, state, trace, node, deliver))

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
                if not any(trace.number == number and trace.attempt == held.number for trace in current):
                    self.release(run_id, number)

    async def close(self) -> None:
        """Stop everything: asynchronous functions are cancelled, blocking ones are told and left behind."""
        held, self._held = list(self._held.values()), {}
        for attempt in held:
            attempt.stop()
        tasks = [attempt.task for attempt in held if attempt.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.close()

    async def _attempt(
        self, attempt: _Attempt, state: RunState, trace: OpenTrace, node: PlannedNode, deliver: Deliver
    ) -> None:
        call = attempt.call
        if self._per_workflow_max is None:
            async with self._slots:
                outcome = await self._outcome(state, trace, node, call)
        else:
            # The narrower limit first: a run that waits for its workflow's turn takes no slot from others.
            slots = self._workflow_slots.setdefault(state.workflow, asyncio.Semaphore(self._per_workflow_max))
            async with slots, self._slots:
                outcome = await self._outcome(state, trace, node, call)
        if not call.cancelled:
            attempt.outcome = outcome
            deliver(state.run_id, outcome)

    async def _outcome(self, state: RunState, trace: OpenTrace, node: PlannedNode, call: Call) -> Outcome:
        context = ContextObject.from_wire(state.context, self._registry.converters)
        try:
            output = await node.node_type.execute(node.configuration, context, call)
            after = context.to_wire()
            if after is not state.context:
                check_limits(after)
            changes = difference(state.context, after)
        except ContextError as error:
            failed = Failed(error.code, str(error))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            failed = Failed("CancelledError", "the function was cancelled, but not by the engine")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code may raise anything; it fails its node, no more
            failed = Failed(type(error).__name__, _cut(str(error), ERROR_MESSAGE_CHARACTERS_MAX))
            _LOGGER.warning(
                "Node %s of run %s failed:\n%s",
                node.id,
                state.run_id,
                _cut("".join(traceback.format_exception(error)), TRACEBACK_CHARACTERS_MAX),
                extra={"run_id": state.run_id, "node_id": node.id, "trace_id": call.trace_id},
            )
        else:
            return Outcome(trace.number, trace.attempt, changes, output, None)
        return Outcome(trace.number, trace.attempt, (), "", failed)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}... (cut from {len(text)} characters)"
