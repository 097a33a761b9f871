"""Histories made by giving `decide` whatever inputs there can be, many of them together."""

from collections.abc import Callable, Sequence
from random import Random

import orjson

from engine import Registry, WorkflowBuilder, WorkflowDefinition
from engine.catalogue import plan_of
from engine.core.commands import CancelRun, Command, CreateRun, StartRun
from engine.core.decide import decide
from engine.core.decision import Asked, GoOn, Input, Lost, Outcome
from engine.core.evolve import evolve
from engine.core.identity import id_time, make_run_id
from engine.core.plan import Plan
from engine.core.records import commit_value
from engine.core.state import RunState
from engine.core.view import Accepted
from engine.nodes.node_type import Failed
from tests.support.workflows import END, chain, code, edit

TIME = "2026-11-22T12:00:00.000000Z"
_INPUTS_MAX = 4
_STEPS = 40


class History:
    """One run, decided step by step.

    Attributes:
        commits: What was decided.
        commands: All commands by their offset.
        run_id: The run.
    """

    def __init__(self, random: Random, definition: WorkflowDefinition, plans: Sequence[Plan]) -> None:
        self.commits: list[Accepted] = []
        self.commands: dict[int, Command] = {}
        self._random = random
        self._definition = definition
        self._plans = plans
        self.run_id = make_run_id(1_795_000_000_000, random.getrandbits(74))
        self._state: RunState | None = None

    def go_on(self) -> bool:
        """Decide a few inputs together; return whether the run goes on."""
        inputs = [self._input() for _ in range(self._random.randint(1, _INPUTS_MAX))]
        self.take(inputs, self._random.choice(self._plans), f"executor {self._random.randint(1, 3)}")
        return self._state is None or self._state.stopped is None

    def take(self, inputs: Sequence[Input], plan: Plan, executor: str) -> None:
        """Decide these inputs and put the commit behind the others, if there is one."""
        before = self._state
        decision = decide(before, inputs, plan, run_id=self.run_id, time=TIME, executor=executor)
        if not decision.events:
            return
        value = orjson.loads(commit_value(self.run_id, TIME, decision.decided, decision.events))
        after = evolve(before, value["events"], self.run_id, TIME)
        after.head = f"commit {len(self.commits)}"
        after.decided = max(after.decided, -1 if decision.decided is None else decision.decided)
        self.commits.append(Accepted(after.head, len(self.commits), value, before, after))
        self._state = after

    def ask(self, command: Command) -> Asked:
        """Return a command as it comes from the log."""
        offset = len(self.commands)
        self.commands[offset] = command
        return Asked(command, b"", offset, id_time(self.run_id))

    def _input(self) -> Input:
        if self._state is None:
            return self.ask(self._random.choice((self._create, self._start))())
        makers: list[Callable[[], Input]] = [GoOn, self._outcome, self._outcome, self._lost, self._command]
        return self._random.choice(makers)()

    def _command(self) -> Asked:
        makers: list[Callable[[], Command]] = [self._create, self._start, self._start]
        if self._random.random() < 0.2:
            makers.append(self._cancel)
        return self.ask(self._random.choice(makers)())

    def _create(self) -> CreateRun:
        other = self._state is not None and self._random.random() < 0.5
        return CreateRun(
            id=self._id(),
            run=self.run_id,
            workflow="other" if other else self._definition.id,
            correlation=self._random.choice((None, "order 7")),
            traceparent=self._random.choice((None, "00-1-2-01")),
            tags=self._tags(),
        )

    def _start(self) -> StartRun:
        context: dict[str, object] = {"n": self._random.randint(0, 3), "deep": {"list": [1, 1.0, True, None]}}
        workflow = None if self._state is not None and self._random.random() < 0.5 else self._definition.id
        tags = None if workflow is None else self._tags()
        return StartRun(id=self._id(), run=self.run_id, workflow=workflow, context=context, tags=tags)

    def _tags(self) -> list[str] | None:
        return self._random.choice((None, None, [], ["b", "a"]))

    def _cancel(self) -> CancelRun:
        return CancelRun(id=self._id(), run=self.run_id, reason=self._random.choice(("", "enough")))

    def _id(self) -> str:
        # Nothing keeps producers from using an id twice.
        return f"command {self._random.randint(0, 5)}"

    def _outcome(self) -> Outcome:
        assert self._state is not None
        numbers = [trace.number for trace in self._state.open] or [1]
        attempts = [trace.attempt for trace in self._state.open] or [1]
        attempt = self._random.choice((attempts[0], attempts[0], max(1, attempts[0] - 1), attempts[0] + 1))
        if self._random.random() < 0.1:
            text = "no " * self._random.choice((1, 2_000))
            return Outcome(numbers[0], attempt, (), "", Failed("ValueError", text))
        output = self._random.choice(("next",) * 9 + ("nowhere",))
        return Outcome(numbers[0], attempt, [{"op": "set", "path": ["seen"], "value": attempt}], output, None)

    def _lost(self) -> Lost:
        assert self._state is not None
        return Lost(tuple(trace.number for trace in self._state.open))


def make_history(random: Random) -> tuple[WorkflowDefinition, History]:
    """Return a workflow and the history of one of its runs, decided by processes with its functions and without."""
    definition = random.choice(definitions())
    functions = Registry()
    functions.node("work")(_never)
    history = History(random, definition, [plan_of(definition, functions), plan_of(definition, Registry())])
    for _ in range(_STEPS):
        if not history.go_on():
            break
    return definition, history


def definitions() -> list[WorkflowDefinition]:
    """Return workflows with everything in them that can be decided."""
    count = edit("count", set=[{"path": "n", "expression": "sum([n || `0`, `1`])"}])
    return [
        chain(count, END, workflow_id="pure"),
        chain(code("a", "work"), count, code("b", "work"), END, workflow_id="work"),
        chain(edit("wrong", move=[{"from": "absent", "to": "x"}]), END, workflow_id="failing"),
        chain(code("a", "work"), edit("x", set=[{"path": "x.y", "value": 1}]), workflow_id="open-end"),
        chain(count, {"id": "end", "type": "end", "configuration": {"mappings": [
            {"from": "n", "to": "result.n"}, {"from": "absent", "to": "result.a"}
        ]}}, workflow_id="mapped"),
        _loop("pure-loop", work=False, limit=1_000),
        _loop("work-loop", work=True, limit=1_000),
        _loop("limited", work=False, limit=50),
    ]  # fmt: skip


def _loop(workflow_id: str, *, work: bool, limit: int) -> WorkflowDefinition:
    builder = WorkflowBuilder(workflow_id, workflow_id, node_execution_limit=limit).start()
    builder.edit("count", set=[{"path": "n", "expression": "sum([n || `0`, `1`])"}])
    if work:
        builder.code("work", function="work")
    builder.switch("more", cases=[{"output": "again", "when": "n < `200`"}]).after("more", "default").end()
    return builder.connect("more", "count", "again").build()


def _never(context: object, call: object) -> None:
    raise AssertionError(f"nothing is executed here: {context}, {call}")
