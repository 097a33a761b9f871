"""The inputs of a decision, read out of the events that it led to.

A commit does not hold its inputs, but they show in it: every input but a `GoOn` begins with an event that nothing else
leads to, and what follows is what the run went through then. A `GoOn` stands where a run goes on without one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

from engine.core.commands import CancelRun, Command, CreateRun, StartRun
from engine.core.decision import Asked, GoOn, Input, Lost, Outcome
from engine.core.events import (
    CommandRefused,
    Event,
    RunCancelled,
    RunCreated,
    RunStarted,
    TraceFailed,
    TraceStarted,
    TraceSucceeded,
)
from engine.core.identity import id_time
from engine.core.view import Accepted
from engine.nodes.node_type import Failed
from projections.decisions.comparison import Given

COMMAND: Final = "what a command asked for"
OUTCOME: Final = "what came of an attempt"
REFUSAL: Final = "that a command was to be refused: it is no longer among the commands"

_COPIED: Final = frozenset(CreateRun.model_fields) - {"type", "format", "id", "run"}
"""Fields of a command that stand in `run.created` under the same names."""
_NO_WORKFLOW: Final = ""
"""No workflow has this id: a command that names it asks for another run than any that is there."""


class RecordedInputs:
    """The inputs that one commit was decided from, in their order.

    What the events do not say and `decide` does not look at is left out. Everything about commands is as it was
    recorded, so it is taken over; see `taken`.

    Args:
        accepted: The commit.
        commands: Commands by their offset, as far as they are known; used for those that were refused.

    Attributes:
        inputs: What was given to `decide`.
        executor: The process that decided, or an empty text where no event names it.
        left: Ids of nodes before which the run stopped although nothing shows why.
        given: What is taken over of the events with the error of an attempt, by their index.
        taken: What was taken over from the record, as often as it was.

    Raises:
        KeyError: An event lacks what it should have.
        ValueError: It holds something that no command or trace has.
    """

    def __init__(self, accepted: Accepted, commands: Mapping[int, Command]) -> None:
        before, value = accepted.before, accepted.value
        self.inputs: list[Input] = []
        self.executor = ""
        self.left: set[str] = set()
        self.given: dict[int, Given] = {}
        self.taken: list[str] = []
        self._run_id = value["run"]
        self._decided = value["decided"]
        self._commands = commands
        self._events = value["events"]
        self._index = 0
        self._created: RunCreated | None = None
        self._attempts = {} if before is None else {trace.number: trace.attempt for trace in before.open}
        self._inside: set[int] = set()
        self._worked: set[str] = set()
        self._ready = None if before is None else before.ready
        self._advances = False
        for index, event in enumerate(self._events):
            self._index = index
            self._read(event)
        self._stop()
        self.left -= self._worked

    def _read(self, event: Event) -> None:
        match event["type"]:
            case "trace.started":
                self._trace_started(event)
            case "trace.succeeded":
                self._trace_succeeded(event)
            case "trace.failed":
                self._trace_failed(event)
            case "run.succeeded" | "run.failed":
                self._follow()
                self._ready = None
            case "run.created":
                self._run_created(event)
            case "run.started":
                self._run_started(event)
            case "trace.cancelled":
                # Belongs to the cancellation behind it.
                self._stop()
            case "run.cancelled":
                self._run_cancelled(event)
            case "command.refused":
                self._command_refused(event)

    # Where one input ends and the next one begins.

    def _follow(self) -> None:
        """Read an event that is not the first one of an input: where none goes on, the state did."""
        if not self._advances:
            self._give(GoOn())
            self._advances = True

    def _stop(self) -> None:
        """Read the beginning of another input, or the end."""
        if self._advances and self._ready is not None:
            self.left.add(self._ready)
        self._advances = False

    def _give(self, given: Input) -> None:
        self.inputs.append(given)

    # Commands.

    def _run_created(self, event: RunCreated) -> None:
        following = self._events[self._index + 1 : self._index + 2]
        if following and following[0]["type"] == "run.started" and following[0]["command"] == event["command"]:
            # One command did both.
            self._created = event
        else:
            self._ask(CreateRun.model_construct(None, **self._fields(event)))

    def _run_started(self, event: RunStarted) -> None:
        self._stop()
        fields = {} if self._created is None else self._fields(self._created)
        fields |= {"id": event["command"], "run": self._run_id, "context": event["context"]}
        self._ask(StartRun.model_construct(None, **fields))
        self._ready = event["next"]
        self._advances = True

    def _run_cancelled(self, event: RunCancelled) -> None:
        self._stop()
        self._ask(CancelRun.model_construct(id=event["command"], run=self._run_id, reason=event["reason"]))
        self._ready = None

    def _command_refused(self, event: CommandRefused) -> None:
        self._stop()
        command = self._commands.get(event["offset"])
        if command is None or (command.id, command.run) != (event["command"], self._run_id):
            command = self._refusable(event)
            self.taken.append(REFUSAL)
        self._give(self._asked(command, event["offset"]))

    def _refusable(self, event: CommandRefused) -> Command:
        """Return a command of the refused one's type that asks for something else than what is there."""
        fields = {"id": event["command"], "run": self._run_id}
        match event["command_type"]:
            case "run.create":
                return CreateRun.model_construct(None, **fields, workflow=_NO_WORKFLOW)
            case "run.start":
                return StartRun.model_construct(None, **fields, workflow=_NO_WORKFLOW, context={})
            case "run.cancel":
                return CancelRun.model_construct(None, **fields)
            case unknown:
                raise ValueError(f"expected the type of a command, but found {unknown!r}")

    def _fields(self, event: RunCreated) -> dict[str, object]:
        fields: dict[str, object] = {name: value for name, value in event.items() if name in _COPIED}
        return fields | {"id": event["command"], "run": self._run_id}

    def _ask(self, command: Command) -> None:
        self.taken.append(COMMAND)
        # Only the last command's offset is recorded; of the others nothing but their order matters.
        self._give(self._asked(command, -1 if self._decided is None else self._decided))

    def _asked(self, command: Command, offset: int) -> Asked:
        # Whether the command came within the window of the run's id cannot be known later: it did, or nothing was made.
        return Asked(command, b"", offset, id_time(self._run_id))

    # Nodes.

    def _trace_started(self, event: TraceStarted) -> None:
        number = event["trace"]
        self.executor = self.executor or event.get("executor", "")
        if event["attempt"] != 1:
            self._stop()
            self._lose(number)
            self._attempts[number] = event["attempt"]
            return
        self._follow()
        self._ready = None
        if "executor" in event:
            self._worked.add(event["node"])
            self._attempts[number] = 1
        else:
            self._inside.add(number)

    def _lose(self, number: int) -> None:
        """Traces that were tried again one after the other were lost together."""
        last = self.inputs[-1] if self.inputs else None
        if isinstance(last, Lost) and last.traces[-1] < number:
            self.inputs[-1] = Lost((*last.traces, number))
        else:
            self._give(Lost((number,)))

    def _trace_succeeded(self, event: TraceSucceeded) -> None:
        if event["trace"] not in self._inside:
            # The output of a node type from elsewhere may be None, whatever its signature says.
            output = cast("str", event["output"])
            attempt = self._attempt(event["trace"])
            self._conclude(Outcome(event["trace"], attempt, event["changes"], output, None, event["message"]))
        self._ready = event["next"]

    def _trace_failed(self, event: TraceFailed) -> None:
        if event["trace"] not in self._inside:
            error = event["error"]
            given = Given(error["message"])
            # The run fails with the same words, in the event behind this one.
            self.given |= {self._index: given, self._index + 1: given}
            failed = Failed(error["type"], given.decidable)
            self._conclude(Outcome(event["trace"], self._attempt(event["trace"]), (), "", failed))
        self._ready = None

    def _conclude(self, outcome: Outcome) -> None:
        self._stop()
        self.taken.append(OUTCOME)
        self._give(outcome)
        self._advances = True

    def _attempt(self, number: int) -> int:
        return self._attempts.get(number, 1)


def refused_offsets(events: Iterable[Event]) -> Sequence[int]:
    """Return the offsets of the commands that these events refuse: known, they can be decided again."""
    offsets = [event.get("offset") for event in events if event["type"] == "command.refused"]
    # A record that says something else than an offset is found when it is decided again.
    return [offset for offset in offsets if offset.__class__ is int]
