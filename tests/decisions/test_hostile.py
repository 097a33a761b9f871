"""Commits that hold anything: none stops the others from being looked at."""

from random import Random
from typing import cast

from engine.context.values import Wire, WireObject
from engine.core.commands import CancelRun, Command
from engine.core.events import Event
from engine.core.view import Accepted
from projections.decisions import Redecider, refused_offsets
from tests.decisions.histories import make_history
from tests.decisions.test_compared import leaves

SEEDS = 150

ANYTHING: list[Wire] = [
    None, True, -1, 0, 2**63 - 1, 1.5, "", "x", "run.flown", "\0", [], [[]], {}, {"$type": "datetime", "value": "x"},
    {"type": "x"}, "x" * 5_000, [{"op": "set", "path": [], "value": 1}], [{"op": "remove", "path": ["absent"]}],
]  # fmt: skip


def test_a_commit_that_holds_anything_gives_a_difference_or_none_and_no_error() -> None:
    found = 0
    for seed in range(SEEDS):
        random = Random(seed)
        definition, history = make_history(random)
        redecider = Redecider({definition.version: definition}.get)
        for commit in history.commits:
            damaged = with_anything(commit, random)
            # As a command of that offset may be: any.
            commands: dict[int, Command] = {0: CancelRun(id="x", run=commit.after.run_id)}
            difference = redecider.check(damaged, commands)
            refused_offsets(damaged.value["events"])
            if difference is not None:
                found += 1
                assert str(difference).startswith(f"run {commit.after.run_id}, {difference.event_id}: ")
            # Whoever asks gets an answer about the commit as it was, too.
            assert redecider.check(commit, history.commands) is None
        assert redecider.report.commits == 2 * len(history.commits)
    assert found > SEEDS


def with_anything(commit: Accepted, random: Random) -> Accepted:
    """Return the commit with one of its values, fields or events replaced, removed or doubled."""
    events = list(commit.value["events"])
    index = random.randrange(len(events))
    match random.choice(("value", "value", "field", "remove", "double", "swap", "decided", "before")):
        case "value":
            events[index] = replaced(events[index], random)
        case "field":
            kept = dict(events[index])
            # The type stays: the view has read the commit.
            del kept[random.choice([name for name in kept if name != "type"])]
            events[index] = cast("Event", kept)
        case "remove":
            del events[index]
        case "double":
            events.insert(index, events[index])
        case "swap":
            events[index], events[0] = events[0], events[index]
        case "decided":
            return commit._replace(value={**commit.value, "decided": random.choice((None, 10**18, -1))})
        case _:
            return commit._replace(before=None if random.random() < 0.5 else commit.after)
    return commit._replace(value={**commit.value, "events": events})


def replaced(event: Event, random: Random) -> Event:
    path = random.choice([path for path in leaves(cast("Wire", event)) if path != ("type",)])
    return cast("Event", put(cast("WireObject", event), list(path), random.choice(ANYTHING)))


def put(container: Wire, path: list[str | int], value: Wire) -> Wire:
    """Return a copy with another value at the path, whatever the rules of contexts say."""
    if not path:
        return value
    if isinstance(container, list):
        index = cast("int", path[0])
        return [*container[:index], put(container[index], path[1:], value), *container[index + 1 :]]
    assert isinstance(container, dict)
    name = cast("str", path[0])
    return {**container, name: put(container[name], path[1:], value)}
