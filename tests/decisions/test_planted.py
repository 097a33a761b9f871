"""Changes of what is decided, planted one at a time: each is found where it shows, and nowhere else."""

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

import pytest
from pydantic import JsonValue

import engine.core.decide as core
from engine import Call, ContextObject, Registry, WorkflowBuilder, WorkflowDefinition
from engine.catalogue import plan_of
from engine.context.values import WireObject
from engine.core.commands import CancelRun, CreateRun, StartRun
from engine.core.decision import Asked, GoOn, Input, Lost, Outcome
from engine.core.events import Event
from engine.core.plan import PlannedNode
from engine.core.rejection import Rejection
from engine.nodes.edit import Edit, EditConfiguration
from engine.nodes.end import End, EndConfiguration
from engine.nodes.node_type import Done, Ended, Failed, Step
from engine.nodes.start import Start, StartConfiguration
from engine.nodes.switch import Switch, SwitchConfiguration
from projections.decisions import Difference, Redecider
from tests.decisions.histories import History

Plant = Callable[[pytest.MonkeyPatch], None]


class Place(NamedTuple):
    """Where a difference is: the number of the commit, the event in it, and the value in the event."""

    commit: int
    event: int | None
    value: str


def definition() -> WorkflowDefinition:
    """Return the workflow of all the runs; their contexts say which way they go."""
    builder = WorkflowBuilder("all", "All", node_execution_limit=12)
    builder.start(inputs=[{"path": "way", "type": "string", "default": "straight"}])
    builder.edit("note", title="Take note", set=[{"path": "noted", "value": True}])
    cases: list[JsonValue] = [{"output": way, "when": f"way == '{way}' || way == 'any'"} for way in ("work", "round")]
    builder.switch("ways", cases=cases).after("ways", "work").code("first", function="f").code("second", function="f")
    builder.end("done", mappings=[{"from": "way", "to": "went"}])
    builder.connect("ways", "done", "default").connect("ways", "note", "round")
    return builder.build()


def runs() -> Mapping[str, History]:
    """Return the runs by what is special about each."""
    made: dict[str, History] = {}
    random = Random(1)
    functions = Registry()
    functions.node("f")(nothing)
    plan = plan_of(definition(), functions)

    def run(name: str, *decisions: Callable[[History], list[Input]]) -> None:
        made[name] = history = History(random, definition(), [plan])
        for inputs in decisions:
            history.take(inputs(history), plan, "executor 1")

    run("straight", start({}))
    run("any", start({"way": "any"}), outcome(4), outcome(5))
    run("round", start({"way": "round"}))
    run("failing", start({"way": "work"}), lambda _: [Outcome(4, 1, (), "", Failed("ValueError", "no"))])
    run("retried", start({"way": "work"}), lambda _: [Lost((4,))], outcome(4, attempt=2))
    run("cancelled", start({"way": "work"}), lambda history: [history.ask(CancelRun(id="c", run=history.run_id))])
    run("refused", start({"way": "work"}), start({"way": "round"}))
    run("created", lambda history: [history.ask(CreateRun(id="c", run=history.run_id, workflow="all"))], start({}))
    return made


def nothing(context: ContextObject, call: Call) -> None:
    """Do a node's work."""
    del context, call


def start(context: dict[str, object]) -> Callable[[History], list[Input]]:
    return lambda history: [
        history.ask(StartRun(id="s", run=history.run_id, workflow="all", context=context)),
        GoOn(),
    ]


def outcome(trace: int, attempt: int = 1) -> Callable[[History], list[Input]]:
    return lambda _: [Outcome(trace, attempt, [{"op": "set", "path": ["worked"], "value": trace}], "next", None)]


def found(histories: Mapping[str, History]) -> dict[str, Place]:
    """Decide all runs once more and return where each differs first."""
    known = definition()
    redecider = Redecider({known.version: known}.get)
    places: dict[str, Place] = {}
    for name, history in histories.items():
        for number, commit in enumerate(history.commits):
            difference = redecider.check(commit, history.commands)
            if difference is not None:
                assert difference.event_id.split(".")[0] == commit.id
                assert str(difference)
                places.setdefault(name, Place(number, difference.index, difference.place))
    assert redecider.report.differing_runs == len(places)
    assert [each.run_id for each in redecider.report.differences] == [histories[name].run_id for name in places]
    return places


# The changes.


def another_title(patch: pytest.MonkeyPatch) -> None:
    started = core._Draft._started

    def changed(self: core._Draft, node: PlannedNode, number: int, attempt: int, *, work: bool) -> Event:
        event = started(self, node, number, attempt, work=work)
        assert event["type"] == "trace.started"
        return {**event, "title": event["title"].upper()} if node.id == "note" else event

    patch.setattr(core._Draft, "_started", changed)


def last_case_first(patch: pytest.MonkeyPatch) -> None:
    decide = Switch.decide

    def changed(self: Switch, configuration: SwitchConfiguration, context: WireObject) -> Step:
        return decide(self, configuration.model_copy(update={"cases": configuration.cases[::-1]}), context)

    patch.setattr(Switch, "decide", changed)


def another_limit_text(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core._Draft, "_limit_text", lambda *_: "too many")


def an_edit_that_does_more(patch: pytest.MonkeyPatch) -> None:
    decide = Edit.decide

    def changed(self: Edit, configuration: EditConfiguration, context: WireObject) -> Step:
        done = decide(self, configuration, context)
        assert isinstance(done, Done)
        return done._replace(changes=[*done.changes, {"op": "set", "path": ["more"], "value": 1}])

    patch.setattr(Edit, "decide", changed)


def an_end_without_mappings(patch: pytest.MonkeyPatch) -> None:
    def changed(self: End, configuration: EndConfiguration, context: WireObject) -> Step:
        del self, configuration
        return Ended(context)

    patch.setattr(End, "decide", changed)


def a_start_without_defaults(patch: pytest.MonkeyPatch) -> None:
    def changed(self: Start, configuration: StartConfiguration, context: WireObject) -> Step:
        del self, configuration, context
        return Done()

    patch.setattr(Start, "decide", changed)


def attempts_counted_by_two(patch: pytest.MonkeyPatch) -> None:
    started = core._Draft._started

    def changed(self: core._Draft, node: PlannedNode, number: int, attempt: int, *, work: bool) -> Event:
        return started(self, node, number, attempt + (attempt > 1), work=work)

    patch.setattr(core._Draft, "_started", changed)


def a_cancellation_that_leaves_traces_open(patch: pytest.MonkeyPatch) -> None:
    def changed(self: core._Draft, command: CancelRun) -> None:
        assert self.state is not None
        output = self.state.context
        self._add({"type": "run.cancelled", "reason": command.reason, "output": output, "command": command.id})

    patch.setattr(core._Draft, "_cancel", changed)


def another_start_that_is_recognised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core, "asked_again", lambda *_: None)


def another_reason(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core, "asked_again", lambda *_: Rejection("run_not_created", "no"))


def an_error_without_its_node(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core, "_error", lambda failed, _: {"type": failed.type, "message": failed.message, "node": None})


def a_path_that_goes_on_elsewhere(patch: pytest.MonkeyPatch) -> None:
    add = core._succeeded

    def changed(number: int, changes: object, output: str | None, target: str | None, message: str) -> Event:
        return add(number, changes, output, "done" if target == "second" else target, message)  # type: ignore[arg-type]  # passed on

    patch.setattr(core, "_succeeded", changed)


def smaller_commits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core, "COMMIT_EVENTS_MAX", 11)


def commits_of_one_step(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core, "COMMIT_BYTES_MAX", 10)


def offsets_that_are_not_named(patch: pytest.MonkeyPatch) -> None:
    ask = core._Draft.ask

    def changed(self: core._Draft, asked: Asked) -> None:
        ask(self, asked)
        self._decided = None

    patch.setattr(core._Draft, "ask", changed)


def retries_that_break(patch: pytest.MonkeyPatch) -> None:
    def changed(self: core._Draft, lost: Lost) -> None:
        del self, lost
        raise LookupError("no node can be tried again")

    patch.setattr(core._Draft, "retry", changed)


def everywhere(event: int | None, value: str) -> dict[str, Place]:
    """Return a place in the commit that starts each run; one of them is created in a commit of its own."""
    later = None if event is None else event - 1
    commit = 0 if event is None else 1
    return dict.fromkeys(runs(), Place(0, event, value)) | {"created": Place(commit, later, value)}


PLANTS: list[tuple[Plant, dict[str, Place]]] = [
    (another_title, everywhere(4, "title")),
    (last_case_first, {"any": Place(0, 7, "output")}),
    (another_limit_text, {"round": Place(0, 26, "error.message")}),
    (an_edit_that_does_more, everywhere(5, "changes[1]")),
    (
        an_end_without_mappings,
        {
            "straight": Place(0, 10, "output.went"),
            "any": Place(2, 3, "output.went"),
            "created": Place(1, 9, "output.went"),
        },
    ),
    (a_start_without_defaults, {"straight": Place(0, 3, "changes[0]"), "created": Place(1, 2, "changes[0]")}),
    (attempts_counted_by_two, {"retried": Place(1, 0, "attempt")}),
    (a_cancellation_that_leaves_traces_open, {"cancelled": Place(1, 0, "type")}),
    (another_start_that_is_recognised, {"refused": Place(1, 0, "")}),
    (another_reason, {"refused": Place(1, 0, "reason")}),
    (an_error_without_its_node, {"round": Place(0, 26, "error.node"), "failing": Place(1, 0, "error.node")}),
    (a_path_that_goes_on_elsewhere, {"any": Place(1, 0, "next"), "retried": Place(2, 0, "next")}),
    (smaller_commits, {"round": Place(0, 10, "")}),
    (commits_of_one_step, everywhere(2, "")),
    (offsets_that_are_not_named, everywhere(None, "")),
    (retries_that_break, {"retried": Place(1, None, "")}),
]


@pytest.mark.parametrize(("plant", "expected"), PLANTS, ids=[plant.__name__ for plant, _ in PLANTS])
def test_a_change_is_found_in_the_runs_where_it_shows_at_the_event_where_it_shows(
    plant: Plant, expected: dict[str, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    histories = runs()
    assert found(histories) == {}
    plant(monkeypatch)
    assert found(histories) == expected


def test_a_difference_says_in_one_line_what_is_recorded_and_what_would_be_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    histories = runs()
    texts = []
    for plant, name in (
        (another_limit_text, "round"),
        (another_start_that_is_recognised, "refused"),
        (a_cancellation_that_leaves_traces_open, "cancelled"),
        (offsets_that_are_not_named, "straight"),
        (retries_that_break, "retried"),
    ):
        with monkeypatch.context() as patch:
            plant(patch)
            texts += [
                str(each).removeprefix(f"run {histories[name].run_id}, ") for each in differences(histories[name])
            ]
    limit = "expected at most 12 node executions in one run, but there was one more"
    assert texts == [
        f"commit 0.26: error.message of run.failed is recorded as '{limit}', decided now as 'too many'",
        "commit 1.0: recorded is command.refused, decided now nothing; now a command is recognised as done before",
        "commit 1.0: recorded is trace.cancelled, decided now run.cancelled",
        "commit 0: decided is recorded as 0, decided now as None",
        "commit 1: it cannot be decided any more: LookupError('no node can be tried again')",
    ]


def differences(history: History) -> list[Difference]:
    known = definition()
    redecider = Redecider({known.version: known}.get)
    checked = [redecider.check(commit, history.commands) for commit in history.commits]
    return [difference for difference in checked if difference is not None]
