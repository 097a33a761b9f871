"""Decides commits once more, with the `decide` of today, and compares."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.core.commands import Command
from engine.core.decide import decide
from engine.core.decision import Decision
from engine.core.plan import Plan
from engine.core.view import Accepted
from engine.limits import DECISION_DIFFERENCES_MAX, DECISION_REASONS_MAX
from engine.registry import Registry
from projections.decisions.comparison import Difference, Given, differ, first_difference
from projections.decisions.inputs import RecordedInputs
from projections.decisions.plans import LEFT, Definitions, RecordedSteps, ReplayPlan, ReplayPlans, without

OTHERS: Final = "other reasons"
_NO_COMMANDS: Final[Mapping[int, Command]] = {}


@dataclass(slots=True)
class DecisionReport:
    """What came of deciding once more.

    Attributes:
        runs: Runs whose first commit was looked at.
        commits: Accepted commits that were looked at.
        events: Their events.
        compared: Commits that were decided once more; why the others were not is in `skipped`, or in a difference.
        taken_over: What was taken over from the record instead of being decided, and how many times.
        skipped: Why commits were not decided once more, and how many.
        differing_commits: Commits that would be decided otherwise, or cannot be decided any more.
        differing_runs: Runs that have such commits.
        differences: The first difference of each of these runs, `DECISION_DIFFERENCES_MAX` at most.
        unknown_runs: Runs that were asked for and that the log does not have.
        unreadable_runs: Runs with a commit that this version cannot read, and why; nothing behind it was looked at.
    """

    runs: int = 0
    commits: int = 0
    events: int = 0
    compared: int = 0
    taken_over: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    differing_commits: int = 0
    differing_runs: int = 0
    differences: list[Difference] = field(default_factory=list)
    unknown_runs: list[str] = field(default_factory=list)
    unreadable_runs: dict[str, str] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether all that was asked for was decided once more, and came out the same."""
        return not (self.differing_commits or self.skipped or self.unknown_runs or self.unreadable_runs)


class Redecider:
    """Decides commits once more; those of one run have to come in their order.

    Args:
        definitions: Where definitions are looked up by version, such as `Catalogue.definition`.
        registry: The node types that can be asked; the built-in ones unless given. Functions and predicates are not
            needed: they are never called.

    Attributes:
        report: What came of it so far.
        differing: Runs that have not ended and differ: only their first difference is kept.
    """

    def __init__(self, definitions: Definitions, registry: Registry | None = None) -> None:
        self._plans = ReplayPlans(definitions, Registry() if registry is None else registry)
        self.differing: set[str] = set()
        self.report = DecisionReport()

    def check(self, accepted: Accepted, commands: Mapping[int, Command] = _NO_COMMANDS) -> Difference | None:
        """Decide a commit once more; return where it would be another one, or None.

        Args:
            accepted: The commit, with the run's state before it.
            commands: Commands of the run's partition by their offset; `refused_offsets` says which are of use.
        """
        report, state = self.report, accepted.after
        report.runs += accepted.before is None
        report.commits += 1
        report.events += len(accepted.value["events"])
        difference = None
        try:
            found = self._plans.find(state.version)
            if found is None:
                _add(report.skipped, f"version {state.version} of workflow {state.workflow} was not published")
            else:
                difference = self._redecided(accepted, commands, found)
                report.compared += 1
        except Exception as error:  # noqa: BLE001 - whatever a commit holds and a node type does, the others go on
            difference = differ(accepted, None, why=f"it cannot be decided any more: {error!r}")
        if difference is not None:
            self._keep(difference)
        if state.stopped is not None:
            # Nothing follows: what is remembered is bounded by the runs that are open.
            self.differing.discard(state.run_id)
        return difference

    def _redecided(self, accepted: Accepted, commands: Mapping[int, Command], found: ReplayPlan) -> Difference | None:
        events = accepted.value["events"]
        record = RecordedInputs(accepted, commands)
        steps = RecordedSteps(found, accepted.before, events)
        taken = [*record.taken, *steps.taken]
        given = record.given | steps.given
        difference = _compared(accepted, record, steps.plan(), given)
        if difference is not None and record.left:
            # Perhaps whoever decided had not the functions of the nodes that it did not enter.
            again = _compared(accepted, record, without(steps.plan(), record.left), given)
            if again is None or _behind(again, difference):
                difference = again
                taken += [LEFT] * len(record.left)
        for reason in taken:
            _add(self.report.taken_over, reason)
        return difference

    def _keep(self, difference: Difference) -> None:
        report = self.report
        report.differing_commits += 1
        if difference.run_id not in self.differing:
            self.differing.add(difference.run_id)
            report.differing_runs += 1
            if len(report.differences) < DECISION_DIFFERENCES_MAX:
                report.differences.append(difference)


def _compared(accepted: Accepted, record: RecordedInputs, plan: Plan, given: Mapping[int, Given]) -> Difference | None:
    value = accepted.value
    decision = decide(
        accepted.before, record.inputs, plan, run_id=value["run"], time=value["time"], executor=record.executor
    )
    found = first_difference(value["events"], decision.events, given)
    if found is not None:
        return differ(accepted, *found, why=_reason(decision))
    if decision.decided != value["decided"]:
        why = f"decided is recorded as {value['decided']}, decided now as {decision.decided}"
        return differ(accepted, None, why=why)
    return None


def _reason(decision: Decision) -> str:
    """Return what a decision says about commands that it did not turn into events."""
    if decision.refused is not None:
        return f"now the command is refused: {decision.refused.rejection.reason}"
    if decision.recognised:
        return "now a command is recognised as done before"
    return f"now {len(decision.left)} input(s) are left for the next commit" if decision.left else ""


def _behind(one: Difference, other: Difference) -> bool:
    return one.index is None or (other.index is not None and one.index > other.index)


def _add(counts: Counter[str], reason: str) -> None:
    """Count, with as many different reasons as the limit lets be told apart."""
    counts[reason if reason in counts or len(counts) < DECISION_REASONS_MAX else OTHERS] += 1
