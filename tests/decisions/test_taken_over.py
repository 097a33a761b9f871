"""What is not decided again is taken over from the record, and said."""

from collections.abc import Sequence

import pytest

from engine import Call, ContextObject, EngineService, Registry, RunStatus, WorkflowBuilder, WorkflowDefinition
from engine.context.values import WireObject
from engine.core.commands import CancelRun, StartRun, encode
from engine.core.records import commit_id
from engine.core.view import Accepted, View
from engine.log.port import COMMANDS, EVENTS, Record
from engine.nodes.node_type import Configuration, Done, Ended, Failed, Left, NodeType, Step, Work
from engine.ports import SystemIds
from projections.decisions import DecisionReport, Redecider, replay_decisions
from projections.decisions.inputs import COMMAND, OUTCOME, REFUSAL
from projections.decisions.plans import LEFT
from projections.decisions.redecider import OTHERS
from tests.decisions.test_planted import definition, runs
from tests.simulation.log import SimulatedLog
from tests.support.engines import QuickClock, until
from tests.support.workflows import END, chain, code, edit, registry

SECONDS = 60
NOT_REGISTERED = "what a node of type 'oracle' did: the type is not registered"


class OracleConfiguration(Configuration):
    answer: str


class Oracle(NodeType[OracleConfiguration]):
    """Does whatever its configuration says, without work outside or with it."""

    name = "oracle"
    configuration = OracleConfiguration

    def outputs(self, configuration: OracleConfiguration) -> tuple[str, ...]:  # noqa: ARG002 - the same for all
        return ("next", "other")

    def decide(self, configuration: OracleConfiguration, context: WireObject) -> Step:
        match configuration.answer:
            case "done":
                # Names in another order than they had: the order has no meaning.
                return Done([{"op": "set", "path": [], "value": {"z": 1, "a": {"b": [1]}, **context}}], message="done")
            case "several":
                return Done([{"op": "set", "path": [name], "value": 1} for name in "zyx"], "other", "several")
            case "long":
                return Done(message="long " * 2_000)
            case "over":
                return Done(output=None, message="over")
            case "ended":
                return Ended({"output": 1}, "ended")
            case "failed":
                return Failed("oracle", "no " * 3_000)
            case "wrong output":
                return Done(output="nowhere")
            case "error":
                raise LookupError("no answer")
        return Work()

    async def execute(self, configuration: OracleConfiguration, context: ContextObject, call: Call) -> Left:
        context.set("asked", f"{configuration.answer} {call.attempt}")
        return Left("other", f"asked for {configuration.answer}")


def with_oracle() -> Registry:
    made = registry()
    made.node_type(Oracle)
    return made


def asking(*answers: str) -> WorkflowDefinition:
    """Return a workflow that asks one oracle after the other."""
    builder = WorkflowBuilder("-".join(answers).replace(" ", "-"), "Oracles").start()
    for number, answer in enumerate(answers):
        builder.node(f"ask{number}", "oracle", answer=answer)
    builder.end()
    for number in range(len(answers)):
        # By whichever output it leaves.
        builder.connect(f"ask{number}", f"ask{number + 1}" if number + 1 < len(answers) else "end", "other")
    return builder.build(with_oracle())


ORACLES: Sequence[tuple[Sequence[str], int]] = [
    (("done",), 1),
    (("several", "done"), 2),
    (("long", "several"), 2),
    (("over",), 1),
    (("ended",), 1),
    (("failed",), 1),
    (("wrong output",), 1),
    (("error",), 1),
    (("work", "done", "work"), 3),
]


@pytest.mark.parametrize(("answers", "count"), ORACLES, ids=["-".join(answers) for answers, _ in ORACLES])
async def test_what_a_node_of_an_unregistered_type_did_is_taken_over_and_the_rest_is_decided(
    answers: Sequence[str], count: int
) -> None:
    log = SimulatedLog()
    async with EngineService.open(log, with_oracle(), clock=QuickClock()) as service:
        await service.publish_workflow(asking(*answers))
        run = await service.run_workflow(asking(*answers).id, {"given": 1.5}, timeout=SECONDS)
    failing = {"failed", "wrong output", "error"} & set(answers)
    assert run.run_status is (RunStatus.FAILED if failing else RunStatus.SUCCESS), run.error
    known = await replay_decisions(log.client(), registry=with_oracle())
    assert known.same, known.differences
    unknown = await replay_decisions(log.client())
    assert unknown.same, unknown.differences
    assert unknown.taken_over - known.taken_over == {NOT_REGISTERED: count}


async def test_a_change_around_a_node_that_is_taken_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    log = SimulatedLog()
    async with EngineService.open(log, with_oracle(), clock=QuickClock()) as service:
        await service.publish_workflow(asking("done", "several"))
        await service.run_workflow("done-several", timeout=SECONDS)
    monkeypatch.setattr("engine.nodes.end.End.decide", lambda *_: Ended({}))
    report = await replay_decisions(log.client())
    (difference,) = report.differences
    assert difference.recorded is not None
    assert difference.recorded["type"] == "run.succeeded"
    assert difference.place == "output.z"


async def test_a_node_type_that_takes_its_configuration_no_more_is_taken_over_with_this_reason() -> None:
    class Strict(OracleConfiguration):
        more: str

    class Changed(Oracle):
        configuration: type[OracleConfiguration] = Strict

    log, changed = SimulatedLog(), Registry()
    changed.node_type(Changed)
    async with EngineService.open(log, with_oracle(), clock=QuickClock()) as service:
        await service.publish_workflow(asking("done"))
        await service.run_workflow("done", timeout=SECONDS)
    report = await replay_decisions(log.client(), registry=changed)
    assert report.same
    reason = "what a node of type 'oracle' did: the type takes its configuration no more"
    assert report.taken_over == {COMMAND: 1, reason: 1}


async def test_a_node_type_that_answers_otherwise_now_is_found() -> None:
    class Changed(Oracle):
        def decide(self, configuration: OracleConfiguration, context: WireObject) -> Step:  # noqa: ARG002 - as it is
            return Done(message="something else")

    log, changed = SimulatedLog(), Registry()
    changed.node_type(Changed)
    async with EngineService.open(log, with_oracle(), clock=QuickClock()) as service:
        await service.publish_workflow(asking("long"))
        await service.run_workflow("long", timeout=SECONDS)
    report = await replay_decisions(log.client(), registry=changed)
    assert [(each.index, each.place) for each in report.differences] == [(5, "message")]


async def test_functions_and_predicates_are_not_called_and_need_not_be_registered() -> None:
    calls: list[str] = []
    functions = Registry()

    @functions.node("count")
    async def count(context: ContextObject, call: Call) -> None:
        calls.append(call.trace_id)
        context.set("counted", True)

    @functions.predicate("is_right")
    def is_right(context: ContextObject) -> bool:
        calls.append("is_right")
        return context.get("counted", bool)

    builder = WorkflowBuilder("asks", "Asks").start().code("count", function="count")
    builder.switch("which", cases=[{"output": "right", "predicate": "is_right"}])
    definition = builder.after("which", "right").end().build(functions)
    log = SimulatedLog()
    async with EngineService.open(log, functions, clock=QuickClock()) as service:
        await service.publish_workflow(definition)
        await service.run_workflow("asks", timeout=SECONDS)
    assert len(calls) == 2
    for given in (None, functions):
        report = await replay_decisions(log.client(), registry=given)
        assert report.same, report.differences
        assert report.taken_over == {COMMAND: 1, OUTCOME: 2}
    assert len(calls) == 2


async def test_work_that_was_left_to_a_process_with_the_function_is_no_difference() -> None:
    log = SimulatedLog()
    async with EngineService.open(log, registry(), clock=QuickClock()) as service:
        await service.publish_workflow(chain(edit("e", set=[{"path": "x", "value": 1}]), code("a", "add"), END))
    async with EngineService.open(log, Registry(), clock=QuickClock()) as service:
        # Whoever has the functions asks; whoever decides has not.
        run_id = SystemIds(QuickClock()).run_id()
        log.land(COMMANDS, 0, Record(run_id, encode(StartRun(id="start", run=run_id, workflow="chain")), {}))
        await until(lambda: len(commits_of(log)) == 1)
    async with EngineService.open(log, registry(), clock=QuickClock()) as service:
        assert (await service.wait_for_workflow_run(run_id, timeout=SECONDS)).run_status is RunStatus.SUCCESS
    report = await replay_decisions(log.client())
    assert report.same, report.differences
    assert report.taken_over == {COMMAND: 1, LEFT: 1, OUTCOME: 1}


@pytest.mark.parametrize("length", [3_999, 4_000, 4_001, 100_000])
async def test_an_error_whose_text_was_cut_is_no_difference_and_another_text_behind_it_is(length: int) -> None:
    log, failing = SimulatedLog(), Registry()

    @failing.node("fail")
    async def fail(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - a node function's signature
        raise ValueError("é" * length)

    workflow = chain(code("a", "fail"), END)
    async with EngineService.open(log, failing, clock=QuickClock()) as service:
        await service.publish_workflow(workflow)
        await service.run_workflow("chain", timeout=SECONDS)
    report = await replay_decisions(log.client())
    assert report.same, report.differences
    commit = commits_of(log)[-1]
    ended = commit.value["events"][1]
    assert ended["type"] == "run.failed"
    # Behind what is compared with what was given: only the event before it has the whole text.
    ended["error"]["message"] += "!"
    difference = Redecider({workflow.version: workflow}.get).check(commit)
    assert difference is not None
    assert (difference.index, difference.place) == (1, "error.message")


# Commands.


async def refusing(log: SimulatedLog, workflow: WorkflowDefinition) -> str:
    """Let a run refuse two starts, and end."""
    gate = Registry()

    @gate.node("wait")
    async def wait(context: ContextObject, call: Call) -> None:  # noqa: ARG001 - a node function's signature
        await call.wait_cancelled()

    async with EngineService.open(log, gate, clock=QuickClock()) as service:
        await service.publish_workflow(workflow)
        run_id = await service.create_workflow_run(workflow.id)
        for number in range(3):
            start = StartRun(id=f"start {number}", run=run_id, context={"n": number})
            log.land(COMMANDS, 0, Record(run_id, encode(start), {}))
        log.land(COMMANDS, 0, Record(run_id, encode(CancelRun(id="cancel", run=run_id)), {}))
        run = await service.wait_for_workflow_run(run_id, timeout=SECONDS)
        assert run.run_status is RunStatus.CANCELLED
    return run_id


async def test_a_refused_command_is_decided_again_while_it_is_there_and_taken_over_when_it_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, workflow = SimulatedLog(), chain(code("a", "wait"), END)
    await refusing(log, workflow)
    there = await replay_decisions(log.client())
    assert there.same, there.differences
    assert REFUSAL not in there.taken_over

    commands = log.partition(COMMANDS, 0)
    kept, commands.records = commands.records, []
    commands.start = len(kept)
    gone = await replay_decisions(log.client())
    assert gone.same, gone.differences
    assert gone.taken_over[REFUSAL] == 2

    # What only the commands tell: whether these starts ask for another run.
    monkeypatch.setattr("engine.core.decide._same_json", lambda *_: True)
    assert (await replay_decisions(log.client())).same
    commands.start, commands.records = 0, kept
    report = await replay_decisions(log.client())
    assert [each.why for each in report.differences] == ["now a command is recognised as done before"]


async def test_another_command_at_the_offset_of_a_refused_one_is_not_taken_for_it() -> None:
    log, workflow = SimulatedLog(), chain(code("a", "wait"), END)
    await refusing(log, workflow)
    commands = log.partition(COMMANDS, 0)
    # As when a topic was made anew: other commands, or none at all, at the same offsets.
    other = encode(CancelRun(id="other", run="01939d5c-0000-7000-8000-000000000001"))
    values = [other, b"", b"\xff", other]
    commands.records = [
        record._replace(value=values[number % len(values)]) for number, record in enumerate(commands.records)
    ]
    report = await replay_decisions(log.client())
    assert report.same, report.differences
    assert report.taken_over[REFUSAL] == 2


# What cannot be decided at all.


async def test_runs_of_a_version_that_was_not_published_are_counted_as_skipped() -> None:
    log, workflow = SimulatedLog(), chain(END, workflow_id="gone")
    async with EngineService.open(log, clock=QuickClock()) as service:
        await service.publish_workflow(chain(END))
        await service.publish_workflow(workflow)
        for name in ("chain", "gone", "gone"):
            await service.run_workflow(name, timeout=SECONDS)
    log.partition("workflows", 0).records.pop()
    report = await replay_decisions(log.client())
    assert not report.same
    reason = f"version {workflow.version} of workflow gone was not published"
    assert (report.runs, report.skipped) == (3, {reason: report.commits - report.compared})
    assert report.compared > 0
    assert report.differences == []


@pytest.mark.parametrize("shared", [False, True], ids=["by key", "by time"])
async def test_a_run_that_this_version_cannot_read_is_named_with_the_reason(*, shared: bool) -> None:
    log = SimulatedLog(shared=shared)
    async with EngineService.open(log, executor=True, clock=QuickClock()) as service:
        await service.publish_workflow(chain(END))
        run_ids = [(await service.run_workflow("chain", timeout=SECONDS)).run_id for _ in range(2)]
    make_unreadable(log, run_ids[0])
    for wanted, runs_read in ((None, 1), (run_ids, 1), (run_ids[:1], 0)):
        report = await replay_decisions(log.client(), runs=wanted)
        assert not report.same
        assert report.unreadable_runs.keys() == {run_ids[0]}
        assert "trace.flown" in report.unreadable_runs[run_ids[0]]
        assert (report.runs, report.unknown_runs) == (runs_read, [])


def make_unreadable(log: SimulatedLog, run_id: str) -> None:
    """Let a run's first commit hold an event that no version knows yet."""
    records = log.partition(EVENTS, 0).records
    for number, record in enumerate(records):
        if record.key == run_id:
            value = record.value.replace(b"trace.started", b"trace.flown")
            identity = commit_id(record.headers["prev"], record.headers["epoch"], value)
            records[number] = record._replace(value=value, headers={**record.headers, "ce_id": identity})
            return


# What a report keeps.


def test_every_run_that_differs_is_counted_and_the_first_difference_of_some_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("projections.decisions.redecider.DECISION_DIFFERENCES_MAX", 3)
    histories = runs()
    monkeypatch.setattr("engine.core.decide.COMMIT_BYTES_MAX", 10)
    report = checked(histories["any"].commits, *(history.commits for history in histories.values()))
    assert (report.differing_runs, len(report.differences)) == (len(histories) + 1, 3)
    assert report.differing_commits > report.differing_runs
    assert {(each.commit_id, each.index) for each in report.differences} == {("commit 0", 2)}


def test_so_many_reasons_are_told_apart_and_the_others_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.decisions.redecider.DECISION_REASONS_MAX", 2)
    commit = runs()["straight"].commits[0]
    nothing: dict[str, WorkflowDefinition] = {}
    redecider = Redecider(nothing.get)
    for number in (1, 2, 3, 3, 1):
        after = commit.after.copy()
        after.version = f"v{number}"
        redecider.check(commit._replace(after=after))
    reasons = [f"version v{number} of workflow all was not published" for number in (1, 2)]
    assert redecider.report.skipped == {reasons[0]: 2, reasons[1]: 1, OTHERS: 2}


def checked(*parts: Sequence[Accepted]) -> DecisionReport:
    known = definition()
    redecider = Redecider({known.version: known}.get)
    for commits in parts:
        for commit in commits:
            redecider.check(commit)
    return redecider.report


def commits_of(log: SimulatedLog) -> list[Accepted]:
    view = View()
    found = [view.fold(record) for record in log.partition(EVENTS, 0).records]
    return [commit for commit in found if commit is not None]
