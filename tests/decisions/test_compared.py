"""What of a commit is compared, and what is taken over: every value of every event, changed one at a time."""

import logging
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import cast

import pytest

from engine.context.paths import find, set_at
from engine.context.values import Path, Wire, WireObject
from engine.core.events import Event
from engine.core.view import Accepted
from engine.workflow.definition import WorkflowDefinition
from projections.decisions import Redecider
from tests.decisions.histories import make_history
from tests.decisions.storms import weathered
from tests.simulation.workflows import definitions

HISTORIES = 30
STORMS = 4

NOBODY_ELSE_KNOWS = {
    "run.created command",
    "run.created correlation",
    "run.created traceparent",
    "run.started command",
    "run.cancelled command",
    "run.cancelled reason",
    "trace.succeeded of an attempt message",
    "command.refused command",
    "trace.started executor",
}
"""What only the record can say: whatever stands there, the decision is the same."""
KNOWN_BY_OTHERS = {
    "run.created tags",
    "run.started context",
    "trace.succeeded of an attempt changes",
    "trace.failed of an attempt error",
    "command.refused offset",
}
"""What is taken over too, but may show again in the same commit: in later events, their texts, or its `decided`."""


async def test_every_value_of_every_event_is_compared_or_known_to_be_taken_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr("engine.core.decide.COMMIT_EVENTS_MAX", 12)
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for seed in range(HISTORIES):
        definition, history = make_history(Random(seed))
        count_noticed([definition], history.commits, counts)
    for seed in range(STORMS):
        world = await weathered(seed, monkeypatch)
        for partition in range(world.log.partitions):
            count_noticed(definitions(), world.accepted(partition)[1], counts)
    noticed, unnoticed = counts
    print(noticed, unnoticed)
    assert unnoticed.keys() <= NOBODY_ELSE_KNOWS | KNOWN_BY_OTHERS
    assert unnoticed.keys() >= NOBODY_ELSE_KNOWS
    assert not noticed.keys() & NOBODY_ELSE_KNOWS - {"trace.started executor"}
    assert len(noticed) > 40


def count_noticed(
    published: list[WorkflowDefinition], commits: list[Accepted], counts: tuple[Counter[str], Counter[str]]
) -> None:
    """Count, for every value that is changed, whether the redecider notices."""
    redecider = Redecider({each.version: each for each in published}.get)
    for commit in commits:
        assert redecider.check(commit) is None
        begun: set[object] = set()
        for index, event in enumerate(commit.value["events"]):
            for path in leaves(cast("Wire", event)):
                name = named(event, path, attempt=event.get("trace") not in begun)
                difference = redecider.check(changed(commit, index, path))
                counts[difference is None][name] += 1
            begun |= {event["trace"]} if event["type"] == "trace.started" and "executor" not in event else set()


def leaves(value: Wire, path: tuple[str | int, ...] = ()) -> Iterator[Path]:
    """Yield the paths of all values that have no others in them."""
    items: list[tuple[str | int, Wire]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    if not items:
        yield path
    for name, inner in items:
        yield from leaves(inner, (*path, name))


def changed(commit: Accepted, index: int, path: Path) -> Accepted:
    """Return the commit with another value at the place."""
    events = list(commit.value["events"])
    event = cast("WireObject", events[index])
    value = find(event, path)
    other: Wire
    match value:
        case bool():
            other = not value
        case int() | float():
            other = value + 1
        case str():
            other = f"{value}x"
        case list():
            other = [1]
        case dict():
            other = {"x": 1}
        case _:
            other = "x"
    events[index] = cast("Event", set_at(event, path, other))
    return commit._replace(value={**commit.value, "events": events})


def named(event: Event, path: Path, *, attempt: bool) -> str:
    """Return what a value is: the event's type, whether it is about an attempt, and the field that holds it."""
    ended = event["type"] in {"trace.succeeded", "trace.failed"}
    return f"{event['type']}{' of an attempt' if ended and attempt else ''} {path[0]}"
