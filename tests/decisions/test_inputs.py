"""Whatever is decided, from whatever inputs, can be decided once more from the events alone."""

from collections import Counter
from random import Random

import pytest

from engine.core.view import Accepted
from projections.decisions import Redecider, refused_offsets
from projections.decisions.inputs import COMMAND, OUTCOME, REFUSAL
from projections.decisions.plans import LEFT
from tests.decisions.histories import make_history

SEEDS = 400


@pytest.mark.parametrize("known", [True, False], ids=["commands known", "commands gone"])
@pytest.mark.parametrize("events_max", [4, 10, 200])
def test_every_decision_comes_out_the_same_from_the_inputs_that_its_events_show(
    events_max: int, *, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.core.decide.COMMIT_EVENTS_MAX", events_max)
    seen: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for seed in range(SEEDS):
        definition, history = make_history(Random(seed))
        redecider = Redecider({definition.version: definition}.get)
        for commit in history.commits:
            difference = redecider.check(commit, history.commands if known else {})
            assert difference is None, f"seed {seed}: {difference}"
            seen.update(event["type"] for event in commit.value["events"])
            seen["several commands"] += commands_in(commit) > 1
            seen["refusals"] += len(refused_offsets(commit.value["events"]))
        assert redecider.report.same
        assert redecider.report.compared == len(history.commits)
        taken.update(redecider.report.taken_over)
    print(seen, taken)
    # Where a commit is full after one step, nothing shows that more was left.
    left = {LEFT} if events_max > 4 else set()
    assert taken.keys() == {COMMAND, OUTCOME} | left | (set() if known else {REFUSAL})
    assert taken[REFUSAL] == (0 if known else seen["refusals"])
    assert seen["refusals"] > 50
    assert seen["several commands"] > 50
    assert min(seen[kind] for kind in ("run.failed", "run.cancelled", "trace.cancelled", "run.succeeded")) > 5


def commands_in(commit: Accepted) -> int:
    kinds = ("run.created", "run.started", "run.cancelled", "command.refused")
    return sum(event["type"] in kinds for event in commit.value["events"])
