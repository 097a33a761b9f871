"""What commands, outcomes and takeovers mean for a run."""

from collections.abc import Sequence

import orjson
import pytest

from engine.catalogue import plan_of
from engine.context.values import WireObject
from engine.core.commands import CancelRun, Command, CreateRun, StartRun, encode
from engine.core.decide import decide
from engine.core.decision import Asked, Decision, GoOn, Input, Lost, Outcome
from engine.core.evolve import evolve
from engine.core.plan import Plan
from engine.core.state import RunState, RunStatus
from engine.limits import COMMIT_BYTES_MAX, COMMIT_EVENTS_MAX, COMMIT_STEPS_MAX, RECORD_BYTES_MAX, WINDOW_SECONDS
from engine.nodes.edit import Edit
from engine.nodes.node_type import Configuration, Done, Failed, NodeType
from tests.support.workflows import END, chain, code, edit, plan, registry

RUN = "01939d5c-0000-7000-8000-000000000001"
CLOCK = int("01939d5c0000", 16)
TIME = "2026-11-22T12:00:00.000000Z"


def fold(state: RunState | None, decision: Decision) -> RunState:
    return evolve(state, [orjson.loads(encoded) for encoded in decision.events], RUN, TIME)


def take(state: RunState | None, ready: Plan | None, *inputs: Input) -> Decision:
    return decide(state, inputs, ready, run_id=RUN, time=TIME, executor="me")


def asked(command: Command, offset: int = 0) -> Asked:
    return Asked(command, encode(command), offset, CLOCK)


def start(**fields: object) -> StartRun:
    return StartRun.model_validate({"id": "c1", "run": RUN, "workflow": "chain"} | fields)


def types(decision: Decision) -> Sequence[str]:
    return decision.types.split(",") if decision.types else []


def test_a_start_carries_the_run_through_all_nodes_that_need_no_work_outside() -> None:
    ready = plan(chain(*(edit(f"e{i}", set=[{"path": f"v{i}", "value": i}]) for i in range(10)), END))
    decision = take(None, ready, asked(start()))
    state = fold(None, decision)
    assert state.status is RunStatus.SUCCESS
    assert state.output == {f"v{i}": i for i in range(10)}
    assert types(decision).count("trace.succeeded") == 12
    assert decision.decided == 0


def test_a_run_stops_where_work_outside_begins_and_names_who_does_it() -> None:
    decision = take(None, plan(chain(code("a", "add"), END)), asked(start()))
    state = fold(None, decision)
    assert types(decision)[-1] == "trace.started"
    assert state.status is RunStatus.RUNNING
    assert [(trace.node, trace.executor, trace.attempt) for trace in state.open] == [("a", "me", 1)]


def test_an_outcome_of_an_attempt_that_was_replaced_changes_nothing() -> None:
    ready = plan(chain(code("a", "add"), END))
    state = fold(None, take(None, ready, asked(start())))
    state = fold(state, take(state, ready, Lost((2,))))
    assert state.open[0].attempt == 2
    assert take(state, ready, Outcome(2, 1, (), "next", None)).events == []
    done = take(state, ready, Outcome(2, 2, ({"op": "set", "path": ["x"], "value": 1},), "next", None))
    assert fold(state, done).output == {"x": 1}


def test_a_failed_outcome_ends_the_run_with_type_message_and_node() -> None:
    ready = plan(chain(code("a", "add"), END))
    state = fold(None, take(None, ready, asked(start())))
    failed = fold(state, take(state, ready, Outcome(2, 1, (), "", Failed("ValueError", "x" * 10_000_000))))
    assert failed.status is RunStatus.FAILED
    assert failed.error is not None
    assert failed.error["type"] == "ValueError"
    assert failed.error["node"] == "a"
    assert len(failed.error["message"]) < 5_000
    assert "cut from 10000000 characters" in failed.error["message"]


@pytest.mark.parametrize(
    ("command", "code_"),
    [
        (CancelRun(id="c", run=RUN), "run_unknown"),
        (StartRun(id="c", run=RUN), "run_unknown"),
        (StartRun(id="c", run=RUN, workflow="other"), "workflow_unknown"),
    ],
)
def test_commands_about_unknown_runs_and_workflows_are_refused_directly(command: Command, code_: str) -> None:
    decision = take(None, None, asked(command))
    assert decision.events == []
    assert decision.refused is not None
    assert decision.refused.rejection.code == code_


@pytest.mark.parametrize(("seconds", "refused"), [(-1, False), (0, False), (1, True)])
@pytest.mark.parametrize("side", [1, -1])
def test_a_run_id_made_outside_the_window_of_its_command_is_refused(seconds: int, side: int, *, refused: bool) -> None:
    clock = CLOCK + side * int((WINDOW_SECONDS + seconds) * 1000)
    decision = take(None, plan(chain(END)), Asked(start(), b"", 0, clock))
    assert (decision.refused is not None) == refused
    if decision.refused is not None:
        assert decision.refused.rejection.code == "outside_window"


def test_the_same_start_sent_again_is_recognised_and_another_one_is_refused_as_an_event() -> None:
    ready = plan(chain(code("a", "add"), END))
    state = fold(None, take(None, ready, asked(start(context={"n": 1}))))
    again = take(state, ready, asked(start(id="c2", context={"n": 1}), 7))
    assert (again.events, [asked.offset for asked in again.recognised]) == ([], [7])
    for other in ({"n": 1.0}, {"n": True}, {}):
        refused = take(state, ready, asked(start(id="c3", context=other), 8))
        event = orjson.loads(refused.events[0])
        assert (event["type"], event["code"], event["command"]) == ("command.refused", "run_not_created", "c3")
        assert refused.decided == 8


def test_a_created_run_is_started_later_with_its_context() -> None:
    ready = plan(chain(END))
    state = fold(None, take(None, ready, asked(CreateRun(id="c", run=RUN, workflow="chain"))))
    assert state.status is RunStatus.CREATED
    state = fold(state, take(state, ready, asked(StartRun(id="d", run=RUN, context={"x": 1}), 1)))
    assert (state.status, state.output) == (RunStatus.SUCCESS, {"x": 1})


def create(*tags: str, **fields: object) -> CreateRun:
    return CreateRun.model_validate({"id": "c", "run": RUN, "workflow": "chain", "tags": list(tags) or None} | fields)


def test_a_run_carries_the_tags_of_the_command_that_created_it_in_their_order() -> None:
    ready = plan(chain(code("a", "add"), END))
    for command in (create("b", "a"), start(tags=["b", "a"])):
        decision = take(None, ready, asked(command))
        assert orjson.loads(decision.events[0])["tags"] == ["b", "a"]
        assert fold(None, decision).tags == ("b", "a")
    for untagged in (create(), create(tags=[]), start(), start(tags=[])):
        decision = take(None, ready, asked(untagged))
        assert "tags" not in orjson.loads(decision.events[0])
        assert fold(None, decision).tags == ()


@pytest.mark.parametrize(
    ("first", "again", "code_"),
    [
        (create("a"), create("a"), ""),
        (create("a", "b"), create("b", "a"), "run_differs"),
        (create("a"), create("b"), "run_differs"),
        (create("a"), create(), "run_differs"),
        (create("a"), create(tags=[]), "run_differs"),
        (create(), create("a"), "run_differs"),
        (create(), create(tags=[]), ""),
        (create("a"), start(tags=["b"]), "run_differs"),
        (create("a"), start(tags=[]), "run_differs"),
        (create("a"), start(workflow="other"), "run_differs"),
        (start(tags=["a"]), start(tags=["a"]), ""),
        (start(tags=["a"]), start(), ""),
        (start(tags=["a"]), start(workflow=None), ""),
        (start(tags=["a"]), start(tags=["b"]), "run_not_created"),
        (start(), start(tags=["a"]), "run_not_created"),
        (start(tags=["a"]), create("b"), "run_differs"),
    ],
)
def test_the_same_run_id_with_other_tags_is_another_body(first: Command, again: Command, code_: str) -> None:
    ready = plan(chain(code("a", "add"), END))
    state = fold(None, take(None, ready, asked(first)))
    decision = take(state, ready, asked(again, 1))
    if code_:
        event = orjson.loads(decision.events[0])
        assert (event["type"], event["code"]) == ("command.refused", code_)
        print(event["reason"])
        assert not event["reason"].endswith("is in Created")
    else:
        assert (decision.events, len(decision.recognised)) == ([], 1)


def test_whoever_starts_a_created_run_need_not_repeat_its_tags() -> None:
    ready = plan(chain(END))
    state = fold(None, take(None, ready, asked(create("a"))))
    for command in (start(workflow=None), start(), start(tags=["a"])):
        ended = fold(state, take(state, ready, asked(command, 1)))
        assert (ended.status, ended.tags) == (RunStatus.SUCCESS, ("a",))


def test_a_cancel_ends_open_traces_and_the_run_and_leaves_later_inputs_alone() -> None:
    ready = plan(chain(code("a", "add"), END))
    state = fold(None, take(None, ready, asked(start())))
    late = Outcome(2, 1, (), "next", None)
    decision = take(state, ready, asked(CancelRun(id="x", run=RUN, reason="enough"), 1), late)
    assert types(decision) == ["trace.cancelled", "run.cancelled"]
    assert list(decision.left) == [late]
    assert fold(state, decision).status is RunStatus.CANCELLED


def test_an_input_finds_what_the_input_before_it_led_to() -> None:
    ready = plan(chain(code("a", "add"), code("b", "add"), END))
    state = fold(None, take(None, ready, asked(start())))
    first, second = Outcome(2, 1, (), "next", None), Outcome(3, 1, (), "next", None)
    together = fold(state, take(state, ready, first, asked(CancelRun(id="x", run=RUN), 1)))
    assert (together.status, together.open, together.traces) == (RunStatus.CANCELLED, (), 3)
    assert fold(state, take(state, ready, first, second)).status is RunStatus.SUCCESS


def test_a_loop_is_bounded_by_the_node_execution_limit() -> None:
    definition = chain(edit("again", set=[{"path": "x", "value": 1}]), limit=50)
    definition = definition.model_validate(
        definition.model_dump() | {"connections": [{"from": "start", "to": "again"}, {"from": "again", "to": "again"}]}
    )
    state = fold(None, take(None, plan(definition), asked(start())))
    assert state.status is RunStatus.FAILED
    assert state.error is not None
    assert state.error["type"] == "node_execution_limit"
    assert state.traces == 50


def test_a_decision_that_is_too_long_stops_at_a_valid_state_and_goes_on() -> None:
    ready = plan(chain(*(edit(f"e{i}", set=[{"path": "x", "value": i}]) for i in range(300)), END))
    state: RunState | None = None
    inputs: list[Input] = [asked(start())]
    commits = 0
    while state is None or not state.status.terminal:
        decision = decide(state, inputs, ready, run_id=RUN, time=TIME, executor="me")
        assert 0 < len(decision.events) <= COMMIT_EVENTS_MAX
        state = fold(state, decision)
        inputs = [GoOn()]
        commits += 1
    assert state.output == {"x": 299}
    assert commits == 4


def test_a_commit_of_large_events_still_fits_a_record() -> None:
    ready = plan(chain(*(edit(f"e{i}", copy=[{"from": f"y{i % 2}", "to": "x"}]) for i in range(12)), END))
    state: RunState | None = None
    inputs: list[Input] = [asked(start(context={"y0": "a" * 85_000, "y1": "b" * 85_000}))]
    sizes = []
    while state is None or not state.status.terminal:
        decision = decide(state, inputs, ready, run_id=RUN, time=TIME, executor="me")
        sizes.append(sum(map(len, decision.events)))
        state = fold(state, decision)
        inputs = [GoOn()]
    assert state.status is RunStatus.SUCCESS
    assert max(sizes) > COMMIT_BYTES_MAX
    assert max(sizes) < RECORD_BYTES_MAX - 10_000


def heavy(node_id: str) -> dict[str, object]:
    """Return an edit node that takes about sixty thousand steps."""
    expression = "|".join(["[@,@]", *["[@,@][]"] * 13]) + "|length(@)"
    return edit(node_id, set=[{"path": "x", "expression": expression}])


def test_a_decision_of_too_many_steps_stops_at_a_valid_state_and_goes_on() -> None:
    nodes = [heavy(f"e{i}") for i in range(40)]
    ready = plan(chain(*nodes, END))
    state: RunState | None = None
    inputs: list[Input] = [asked(start())]
    entered: list[int] = []
    while state is None or not state.status.terminal:
        decision = decide(state, inputs, ready, run_id=RUN, time=TIME, executor="me")
        again = decide(state, inputs, ready, run_id=RUN, time=TIME, executor="me")
        assert decision == again
        entered.append(types(decision).count("trace.started"))
        state = fold(state, decision)
        inputs = [GoOn()]
    assert state.output == {"x": 2**14}
    assert sum(entered) == 42
    one = Edit().decide(Edit().configure(nodes[0]["configuration"]), {})  # type: ignore[arg-type]  # it is an object
    assert isinstance(one, Done)
    heavy_ones = COMMIT_STEPS_MAX // one.steps + 1
    assert 2 < heavy_ones < 10
    # The start node costs nothing, and neither does the end, which comes with the last ones.
    assert entered[0] == heavy_ones + 1
    assert set(entered[1:-1]) == {heavy_ones}


def test_inputs_behind_a_commit_of_too_many_steps_wait_for_the_next_one() -> None:
    ready = plan(chain(*(heavy(f"e{i}") for i in range(8)), code("a", "add"), END))
    first, cancel = asked(start(), 1), asked(CancelRun(id="x", run=RUN), 2)
    decision = take(None, ready, first, cancel)
    assert (decision.decided, decision.left) == (1, (cancel,))
    state = fold(None, decision)
    assert state.ready is not None
    assert fold(state, take(state, ready, *decision.left, GoOn())).status is RunStatus.CANCELLED


def test_checking_large_contexts_counts_for_a_commit_too() -> None:
    ready = plan(chain(*(edit(f"e{i}", set=[{"path": "x", "value": i}]) for i in range(60)), END))
    large: WireObject = {"l": [[]] * 80_000}
    entered = types(take(None, ready, asked(start(context=large)))).count("trace.started")
    assert 10 < entered < 40
    assert types(take(None, ready, asked(start(context={"l": [[]] * 50})))).count("trace.started") == 62


@pytest.mark.parametrize("steps", [True, -(10**9), "many", None, 1.5])
def test_what_a_node_type_says_it_took_is_taken_only_when_it_is_a_number(steps: object) -> None:
    class Boast(NodeType[Configuration]):
        name = "boast"
        configuration = Configuration

        def decide(self, configuration: Configuration, context: WireObject) -> Done:  # noqa: ARG002 - it has none
            return Done(steps=steps)  # type: ignore[arg-type]  # that is the point

    functions = registry()
    functions.node_type(Boast)
    nodes: list[dict[str, object]] = [{"id": f"b{i}", "type": "boast"} for i in range(3)]
    ready = plan_of(chain(*nodes, END), functions)
    assert fold(None, take(None, ready, asked(start()))).status is RunStatus.SUCCESS


def test_a_node_type_that_says_it_took_many_steps_ends_the_commit() -> None:
    class Slow(NodeType[Configuration]):
        name = "slow"
        configuration = Configuration

        def decide(self, configuration: Configuration, context: WireObject) -> Done:  # noqa: ARG002 - it has none
            return Done(steps=COMMIT_STEPS_MAX + 1)

    functions = registry()
    functions.node_type(Slow)
    nodes: list[dict[str, object]] = [{"id": f"b{i}", "type": "slow"} for i in range(3)]
    ready = plan_of(chain(*nodes, END), functions)
    assert types(take(None, ready, asked(start()))).count("trace.started") == 2


def test_a_context_that_grows_over_the_limit_fails_the_node_that_did_it() -> None:
    ready = plan(chain(*(edit(f"e{i}", copy=[{"from": "y", "to": f"x{i}"}]) for i in range(3)), END))
    state: RunState | None = None
    inputs: list[Input] = [asked(start(context={"y": "z" * 100_000}))]
    while state is None or not state.status.terminal:
        state = fold(state, decide(state, inputs, ready, run_id=RUN, time=TIME, executor="me"))
        inputs = [GoOn()]
    assert state.error is not None
    assert (state.error["type"], state.error["node"]) == ("context_size", "e1")
    assert "262,144" in state.error["message"]


def test_changes_longer_than_the_context_are_written_as_the_whole_context() -> None:
    class Shrink(NodeType[Configuration]):
        name = "shrink"
        configuration = Configuration

        def decide(self, configuration: Configuration, context: WireObject) -> Done:  # noqa: ARG002 - it has none
            return Done([{"op": "remove", "path": [name]} for name in list(context)[1:]])

    functions = registry()
    functions.node_type(Shrink)
    ready = plan_of(chain({"id": "a", "type": "shrink"}, END), functions)
    context = {f"k{i}": 0 for i in range(12_000)}
    decision = take(None, ready, asked(start(context=context)))
    assert sum(map(len, decision.events)) - len(orjson.dumps(context)) < 10_000
    assert fold(None, decision).output == {"k0": 0}


def test_a_node_whose_function_is_not_registered_here_waits_and_its_run_can_be_cancelled() -> None:
    ready = plan(chain(code("a", "not_here"), END))
    state = fold(None, take(None, ready, asked(start())))
    assert (state.status, state.ready, state.open) == (RunStatus.RUNNING, "a", ())
    assert take(state, ready, GoOn()).events == []
    cancelled = fold(state, take(state, ready, asked(CancelRun(id="x", run=RUN), 1)))
    assert cancelled.status is RunStatus.CANCELLED


def test_the_same_inputs_give_the_same_bytes() -> None:
    ready = plan(chain(edit("e", set=[{"path": "b.a", "value": 1}]), code("a", "add"), END))
    inputs = (asked(start(context={"z": 1, "a": {"y": 2, "b": 3}})),)
    assert take(None, ready, *inputs) == take(None, ready, *inputs)
