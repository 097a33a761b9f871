"""What engines decided under a storm of faults, decided once more."""

import logging
from collections import Counter
from collections.abc import Iterator

import pytest

from engine.core.view import Accepted
from projections.decisions import DecisionReport, replay_decisions
from projections.decisions.inputs import COMMAND, OUTCOME
from projections.decisions.plans import LEFT
from tests.decisions.storms import weathered
from tests.simulation.world import World

SEEDS = 300
SEEDS_TOGETHER = 100
"""So many that everything that can be decided is among them, whatever becomes of single seeds when storms change."""

_KINDS = ("run.succeeded", "run.failed", "run.cancelled", "trace.cancelled", "command.refused")
_BATCHES = [list(range(first, first + SEEDS_TOGETHER)) for first in range(0, SEEDS, SEEDS_TOGETHER)]


@pytest.mark.parametrize("seeds", _BATCHES, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
async def test_whatever_happens_every_commit_would_be_decided_again_as_it_was(
    seeds: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Faults are loud, as they should be; a thousand of them tell nobody anything.
    caplog.set_level(logging.CRITICAL)
    seen: Counter[str] = Counter()
    for seed in seeds:
        world = await weathered(seed, monkeypatch)
        report = await replay_decisions(world.log.client())
        assert report.same, [str(each) for each in report.differences]
        commits = list(accepted_in(world))
        assert (report.commits, report.compared) == (len(commits), len(commits))
        assert report.runs == sum(commit.before is None for commit in commits)
        left = report.taken_over.pop(LEFT, 0)
        assert report.taken_over == expected_takings(commits)
        # Processes that drain leave runs before the node that comes next.
        assert left <= sum(commit.after.ready is not None for commit in commits)
        report.taken_over[LEFT] = left
        seen.update(event["type"] for commit in commits for event in commit.value["events"])
        seen["retried"] += sum(event.get("attempt", 1) != 1 for each in commits for event in each.value["events"])
        await check_some_runs(world, report, [commit.after.run_id for commit in commits])
    print(seen)
    # A batch in which these never happen would show nothing.
    assert min(seen[kind] for kind in _KINDS) > 0
    assert seen["retried"] > 0


async def check_some_runs(world: World, whole: DecisionReport, run_ids: list[str]) -> None:
    """Decide a third of the runs once more, and the others: together they are all of them."""
    ids = list(dict.fromkeys(run_ids))
    parts = [await replay_decisions(world.log.client(), runs=part) for part in (ids[::3], ids[1::3] + ids[2::3])]
    assert all(part.same for part in parts)
    assert [part.runs for part in parts] == [len(ids[::3]), len(ids) - len(ids[::3])]
    assert sum(part.commits for part in parts) == whole.commits
    assert parts[0].taken_over + parts[1].taken_over == whole.taken_over


def accepted_in(world: World) -> Iterator[Accepted]:
    for partition in range(world.log.partitions):
        yield from world.accepted(partition)[1]


def inputs_in(commit: Accepted) -> set[object]:
    """Return what shows that a commit was decided from several inputs: its commands, and traces that ended in it."""
    begun = {event["trace"] for event in commit.value["events"] if event["type"] == "trace.started"}
    found: set[object] = set()
    for event in commit.value["events"]:
        if isinstance(command := event.get("command"), str):
            found.add(command)
        if event["type"] in {"trace.succeeded", "trace.failed"} and event.get("trace") not in begun:
            found.add(event.get("trace"))
    return found


def expected_takings(commits: list[Accepted]) -> Counter[str]:
    """Return what has to be taken over, counted another way: one for each command and for each outcome."""
    counts: Counter[str] = Counter()
    for commit in commits:
        events = commit.value["events"]
        started = {event["command"] for event in events if event["type"] in {"run.created", "run.started"}}
        counts[COMMAND] += len(started) + sum(event["type"] == "run.cancelled" for event in events)
        counts[OUTCOME] += sum(not isinstance(found, str) for found in inputs_in(commit))
    # Nothing else: the commands that were refused are all still there, and every process has every function.
    return counts
