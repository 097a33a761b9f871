"""Decide: what a command, a node's outcome or a takeover means for a run.

`decide` carries a run through every node that needs no work outside the core and stops where something outside must
happen, or where the commit is full: after any commit the state says what is to be done next.
"""

from collections.abc import Sequence
from typing import assert_never

import orjson

from engine.context.changes import apply, difference
from engine.context.check import check_limits
from engine.context.values import Change, Wire
from engine.core.commands import CancelRun, CreateRun, StartRun, context_of
from engine.core.decision import Asked, Decision, GoOn, Input, Lost, Outcome, Refused
from engine.core.events import Error, Event, RunCreated, TraceStarted, TraceSucceeded
from engine.core.evolve import step
from engine.core.identity import id_time
from engine.core.plan import Plan, PlannedNode
from engine.core.rejection import (
    OUTSIDE_WINDOW,
    RUN_DIFFERS,
    RUN_NOT_CREATED,
    RUN_UNKNOWN,
    WORKFLOW_UNKNOWN,
    Rejection,
)
from engine.core.soundness import sound, text
from engine.core.state import RunState, RunStatus
from engine.errors import ContextError
from engine.limits import (
    COMMIT_BYTES_MAX,
    COMMIT_EVENTS_MAX,
    COMMIT_STEPS_MAX,
    WINDOW_SECONDS,
)
from engine.nodes.node_type import Done, Ended, Failed, Step, Work

_EVENTS_PER_STEP = 3
"""A step adds at most: trace started, trace ended, run ended."""
_WALKED_PER_STEP = 8
"""Values of a context that are checked in the time of one step of a node."""


def decide(
    state: RunState | None, inputs: Sequence[Input], plan: Plan | None, *, run_id: str, time: str, executor: str
) -> Decision:
    """Return what these inputs, in this order, mean for a run in this state. Pure.

    Args:
        state: The run's state, or None for a run the log does not know.
        inputs: Commands, outcomes and the rest.
        plan: The version the run is pinned to, or the one a first command names; None when it is not known here.
        run_id: The run.
        time: RFC 3339 time of the commit.
        executor: The process that will do the work of nodes started now.
    """
    draft = _Draft(state, plan, run_id, time, executor)
    for position, given in enumerate(inputs):
        draft.catch_up()
        if draft.ended or draft.full():
            return draft.decision(None, inputs[position:])
        match given:
            case Asked():
                rejection = draft.forbids(given)
                if rejection is not None:
                    return draft.decision(Refused(given, rejection), inputs[position + 1 :])
                draft.ask(given)
            case Outcome():
                draft.conclude(given)
            case Lost():
                draft.retry(given)
            case GoOn():
                draft.advance()
            case _:
                assert_never(given)
    return draft.decision(None, ())


def asked_again(state: RunState, command: CreateRun | StartRun) -> Rejection | None:
    """Return why a command that would make or start a run asks for another run than the one that is there. Pure.

    Args:
        state: What has become of the run.
        command: A command with the run's id.

    Returns:
        None when it asks for what was done before, so that it changes nothing.
    """
    same = _same_run(state, command)
    if isinstance(command, CreateRun):
        return None if same else Rejection(RUN_DIFFERS, f"expected a new run id, but {_shown(state)}")
    if not same and state.status is RunStatus.CREATED:
        return Rejection(RUN_DIFFERS, f"expected the workflow, version and tags of the run, but {_shown(state)}")
    if same and _same_json(context_of(command), state.input):
        return None
    return Rejection(RUN_NOT_CREATED, f"expected a run in Created, but {state.run_id} is in {state.status.value}")


def _same_run(state: RunState, command: CreateRun | StartRun) -> bool:
    """Return whether a command asks for the run that is there; whoever starts one need not repeat what it is."""
    if command.workflow not in (None, state.workflow) or command.version not in (None, state.version):
        return False
    if command.tags is None:
        return not state.tags or isinstance(command, StartRun)
    return tuple(command.tags) == state.tags


def _shown(state: RunState) -> str:
    tags = f", tagged {', '.join(state.tags)}" if state.tags else ""
    return f"{state.run_id} is a run of {state.workflow} version {state.version}{tags}"


class _Draft:
    """The events decided so far, and the state they lead to."""

    __slots__ = (
        "_behind", "_bytes", "_causation", "_decided", "_events", "_executor", "_plan", "_recognised", "_run_id",
        "_steps", "_time", "_types", "ended", "state",
    )  # fmt: skip

    def __init__(self, state: RunState | None, plan: Plan | None, run_id: str, time: str, executor: str) -> None:
        self.state = None if state is None else state.copy()
        self.ended = state is not None and state.stopped is not None
        self._plan = plan
        self._run_id = run_id
        self._time = time
        self._executor = executor
        self._events: list[bytes] = []
        self._types: list[str] = []
        self._bytes = 0
        self._steps = 0
        self._behind: Event | None = None
        self._causation = ""
        self._decided: int | None = None
        self._recognised: list[Asked] = []

    def full(self) -> bool:
        return (
            self._bytes > COMMIT_BYTES_MAX
            or len(self._events) + _EVENTS_PER_STEP > COMMIT_EVENTS_MAX
            or self._steps > COMMIT_STEPS_MAX
        )

    def decision(self, refused: Refused | None, left: Sequence[Input]) -> Decision:
        return Decision(
            self._events,
            ",".join(self._types),
            self._causation,
            self._decided,
            refused,
            self._recognised,
            left,
            self._steps,
        )

    # Commands.

    def forbids(self, asked: Asked) -> Rejection | None:
        """Return why a command about a run that is not known here cannot create it, or None."""
        command = asked.command
        if self.state is not None:
            return None
        if isinstance(command, CancelRun) or (isinstance(command, StartRun) and command.workflow is None):
            return Rejection(RUN_UNKNOWN, f"expected a run that was created, but {self._run_id} is not known")
        if self._plan is None:
            wanted = command.workflow if command.version is None else f"{command.workflow} version {command.version}"
            return Rejection(WORKFLOW_UNKNOWN, f"expected a published workflow, but {wanted} is not one")
        distance = abs(id_time(self._run_id) - asked.clock) / 1000
        if distance > WINDOW_SECONDS:
            return Rejection(
                OUTSIDE_WINDOW,
                f"expected a run id made within {WINDOW_SECONDS:.0f} s of its command, but {distance:.0f} s lie "
                "between them",
            )
        return None

    def ask(self, asked: Asked) -> None:
        command = asked.command
        if self.state is None:
            assert not isinstance(command, CancelRun)
            self._create(command)
            if isinstance(command, StartRun):
                self._start(command)
        else:
            match command:
                case StartRun() if self.state.status is RunStatus.CREATED and _same_run(self.state, command):
                    self._start(command)
                case CreateRun() | StartRun():
                    rejection = asked_again(self.state, command)
                    if rejection is None:
                        self._recognised.append(asked)
                        return
                    self._refuse(asked, rejection)
                case CancelRun():
                    self._cancel(command)
                case _:
                    assert_never(command)
        self._causation = self._causation or command.id
        self._decided = asked.offset

    def _create(self, command: CreateRun | StartRun) -> None:
        assert self._plan is not None
        event: RunCreated = {
            "type": "run.created",
            "workflow": self._plan.workflow,
            "version": self._plan.version,
            "correlation": command.correlation or command.run,
            "command": command.id,
        }
        if command.traceparent:
            event["traceparent"] = command.traceparent
        if command.tags:
            event["tags"] = command.tags
        self._add(event)

    def _start(self, command: StartRun) -> None:
        assert self._plan is not None
        self._add(
            {
                "type": "run.started",
                "context": context_of(command),
                "next": self._plan.start,
                "command": command.id,
            }
        )
        self.advance()

    def _cancel(self, command: CancelRun) -> None:
        assert self.state is not None
        for trace in self.state.open:
            self._add({"type": "trace.cancelled", "trace": trace.number})
        self._add(
            {"type": "run.cancelled", "reason": command.reason, "output": self.state.context, "command": command.id}
        )

    def _refuse(self, asked: Asked, rejection: Rejection) -> None:
        command = asked.command
        self._add(
            {
                "type": "command.refused",
                "command": command.id,
                "command_type": command.type,
                "offset": asked.offset,
                "code": rejection.code,
                "reason": rejection.reason,
            }
        )

    # Nodes.

    def conclude(self, outcome: Outcome) -> None:
        """Take the outcome of an attempt, unless a later attempt has taken its place."""
        state, plan = self.state, self._plan
        assert state is not None
        assert plan is not None
        for trace in state.open:
            if trace.number == outcome.trace and trace.attempt == outcome.attempt:
                node = plan.nodes[trace.node]
                if outcome.error is not None:
                    self._fail(trace.number, node.id, outcome.error)
                else:
                    self._add_success(trace.number, node, outcome.changes, outcome.output, outcome.message)
                    self.advance()
                return

    def retry(self, lost: Lost) -> None:
        """Start the next attempt of traces nobody works on, as far as this process can do their work."""
        state, plan = self.state, self._plan
        assert state is not None
        assert plan is not None
        for trace in state.open:
            if trace.number in lost.traces and not plan.nodes[trace.node].missing:
                self._add(self._started(plan.nodes[trace.node], trace.number, trace.attempt + 1, work=True))

    def advance(self) -> None:
        """Enter the next node, and the ones behind it, until work outside is needed or the commit is full."""
        plan = self._plan
        while (state := self.state) is not None and state.ready is not None and not self.full():
            assert plan is not None
            node = plan.nodes[state.ready]
            if state.traces >= plan.node_execution_limit:
                self._end_failed(node.id, Failed("node_execution_limit", self._limit_text()))
                return
            number = state.traces + 1
            given = node.decide(state.context)
            taken = sound(given, state.context)
            if isinstance(taken, Work):
                if not node.missing:
                    self._add(self._started(node, number, 1, work=True), last=True)
                return
            self._add(self._started(node, number, 1, work=False))
            match taken:
                case Done():
                    self._steps += _steps(given)
                    self._succeed(number, node, taken)
                case Ended():
                    self._add(_succeeded(number, (), None, None, taken.message))
                    self._add({"type": "run.succeeded", "output": taken.output}, last=True)
                case Failed():
                    self._fail(number, node.id, taken)
                case _:
                    assert_never(taken)

    def _succeed(self, number: int, node: PlannedNode, done: Done) -> None:
        """Take what a node did inside the core, unless its changes cannot be."""
        assert self.state is not None
        changes = done.changes
        if changes:
            try:
                after = apply(self.state.context, changes)
                self._steps += check_limits(after) // _WALKED_PER_STEP
            except ContextError as error:
                self._fail(number, node.id, Failed(error.code, str(error)))
                return
            if len(changes) > 1:
                # However long a list of changes is, what it comes to is not longer than the context.
                changes = difference(self.state.context, after)
        self._add_success(number, node, changes, done.output, done.message)

    def _fail(self, number: int, node: str, failed: Failed) -> None:
        error = _error(failed, node)
        self._add({"type": "trace.failed", "trace": number, "error": error})
        self._end_failed(node, failed)

    def _end_failed(self, node: str, failed: Failed) -> None:
        assert self.state is not None
        self._add({"type": "run.failed", "error": _error(failed, node), "output": self.state.context})

    def _started(self, node: PlannedNode, number: int, attempt: int, *, work: bool) -> Event:
        event: TraceStarted = {
            "type": "trace.started",
            "trace": number,
            "node": node.id,
            "node_type": node.node_type.name,
            "title": node.title,
            "attempt": attempt,
        }
        if work:
            event["executor"] = self._executor
        return event

    def _add_success(
        self, number: int, node: PlannedNode, changes: Sequence[Change], output: str | None, message: str
    ) -> None:
        """Leave a node by an output; a path that leads nowhere ends the run."""
        assert self.state is not None
        if output is not None and output not in node.outputs:
            found = f"expected one of the outputs {', '.join(node.outputs)}, but found {output!r}"
            self._fail(number, node.id, Failed("output_unknown", found))
            return
        target = None if output is None else node.targets.get(output)
        self._add(_succeeded(number, changes, output, target, message))
        if target is None:
            self._add({"type": "run.succeeded", "output": self.state.context}, last=True)

    def _limit_text(self) -> str:
        assert self._plan is not None
        return f"expected at most {self._plan.node_execution_limit} node executions in one run, but there was one more"

    def _add(self, event: Event, *, last: bool = False) -> None:
        """Add an event; the `last` one an input leads to changes the state when there is another input to look at."""
        encoded = orjson.dumps(event)
        self._events.append(encoded)
        self._types.append(event["type"])
        self._bytes += len(encoded)
        if last:
            self._behind = event
        else:
            self._step(event)

    def catch_up(self) -> None:
        """Bring the state to the last event, before another input is looked at."""
        if self._behind is not None:
            self._step(self._behind)
            self._behind = None

    def _step(self, event: Event) -> None:
        self.state = state = step(self.state, event, self._run_id, self._time)
        self.ended = state.stopped is not None


def _steps(given: Step) -> int:
    """Return what a node took; a node type may come from anywhere and say anything."""
    return given.steps if isinstance(given, Done) and type(given.steps) is int and given.steps > 0 else 0


def _succeeded(
    number: int, changes: Sequence[Change], output: str | None, target: str | None, message: str
) -> TraceSucceeded:
    return {
        "type": "trace.succeeded",
        "trace": number,
        "changes": changes if isinstance(changes, list) else list(changes),
        "output": output,
        "next": target,
        "message": message,
    }


def _same_json(left: Wire, right: Wire) -> bool:
    # Python's own comparison takes 1, 1.0 and True for the same.
    return orjson.dumps(left, option=orjson.OPT_SORT_KEYS) == orjson.dumps(right, option=orjson.OPT_SORT_KEYS)


def _error(failed: Failed, node: str) -> Error:
    return {"type": text(failed.type), "message": text(failed.message), "node": node}
