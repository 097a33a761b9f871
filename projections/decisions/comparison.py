"""What was recorded beside what would be decided now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, NamedTuple, cast

import orjson

from engine.context.changes import same
from engine.context.paths import find, render
from engine.context.values import MISSING, TYPE, Change, Path, Wire, shown
from engine.core.events import Event
from engine.core.view import Accepted
from engine.limits import ERROR_MESSAGE_CHARACTERS_MAX

_SHOWN_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a commit is another one than would be decided now.

    Attributes:
        run_id: The run.
        workflow: Its workflow's id.
        version: The version it is pinned to.
        commit_id: The commit.
        offset: Where the commit stands in the run's partition of `events`.
        index: The first event that differs, from 0; None when it is the commit's `decided`, or when nothing could be
            compared.
        recorded: That event, or None when the commit has none there.
        decided: What would be decided in its place, or None when nothing would.
        why: What else is known about it, for people, or an empty text.
    """

    run_id: str
    workflow: str
    version: str
    commit_id: str
    offset: int
    index: int | None
    recorded: Event | None
    decided: Event | None
    why: str

    @property
    def event_id(self) -> str:
        """The id of the event that differs, `<commit id>.<index>`; the commit's where it is none of its events."""
        return self.commit_id if self.index is None else f"{self.commit_id}.{self.index}"

    @property
    def place(self) -> str:
        """The path of the first value that differs inside the two events; empty where one of them is not there."""
        return render(_first_place(cast("Wire", self.recorded), cast("Wire", self.decided)))

    def __str__(self) -> str:
        """Return the difference in one line."""
        words = [] if self.index is None else [_beside(self.recorded, self.decided)]
        if self.why:
            words.append(self.why)
        return f"run {self.run_id}, {self.event_id}: {'; '.join(words)}"


def differ(accepted: Accepted, index: int | None, decided: Event | None = None, *, why: str = "") -> Difference:
    """Return the difference of a commit at one of its events, or behind them."""
    state, events = accepted.after, accepted.value["events"]
    recorded = events[index] if index is not None and index < len(events) else None
    return Difference(
        state.run_id, state.workflow, state.version, accepted.id, accepted.offset, index, recorded, decided, why
    )


class Given(NamedTuple):
    """What of an event is taken over.

    Attributes:
        text: Its message as it was recorded: cut when it was too long, so that it may not come out again the same.
        changes: Its changes, or None when they are not.
    """

    text: str
    changes: list[Change] | None = None

    @property
    def decidable(self) -> str:
        """The text as it can be given to `decide` without being cut once more."""
        return self.text[:ERROR_MESSAGE_CHARACTERS_MAX]


def first_difference(
    recorded: Sequence[Event], decided: Sequence[bytes], given: Mapping[int, Given]
) -> tuple[int, Event | None] | None:
    """Return the index of the first event that differs, and what would be decided there; None when all are the same.

    Events are the same type for type and bit for bit; the order of names in an object has no meaning.

    Args:
        recorded: The events of a commit.
        decided: What would be decided now, encoded.
        given: What is taken over, by the index of the event.
    """
    for index, (old, new) in enumerate(zip_longest(recorded, decided)):
        if old is None or new is None:
            return index, None if new is None else orjson.loads(new)
        if orjson.dumps(old) != new:
            event: Event = orjson.loads(new)
            if index in given:
                _complete(event, given[index])
            if not same(cast("Wire", old), cast("Wire", event)):
                return index, event
    return None


def _complete(event: Event, given: Given) -> None:
    """Put what is taken over into an event, where it came out of `decide` as it was given."""
    match event["type"]:
        case "trace.failed" | "run.failed" if event["error"]["message"] == given.decidable:
            event["error"]["message"] = given.text
        case "trace.succeeded" if event["message"] == given.decidable:
            event["message"] = given.text
            event["changes"] = event["changes"] if given.changes is None else given.changes


def _beside(recorded: Event | None, decided: Event | None) -> str:
    if recorded is None or decided is None or recorded["type"] != decided["type"]:
        return f"recorded is {_named(recorded)}, decided now {_named(decided)}"
    old, new = cast("Wire", recorded), cast("Wire", decided)
    place = _first_place(old, new)
    return f"{render(place)} of {recorded['type']} is recorded as {_at(old, place)}, decided now as {_at(new, place)}"


def _named(event: Event | None) -> str:
    if event is None:
        return "nothing"
    return f"{event['type']} of node {event['node']}" if event["type"] == "trace.started" else event["type"]


def _at(event: Wire, place: Path) -> str:
    value = find(event, place)
    return "nothing" if value is MISSING else shown(value, _SHOWN_CHARACTERS)


def _first_place(recorded: Wire, decided: Wire) -> Path:
    """Return where two values differ first; an empty path when they differ as a whole."""
    if isinstance(recorded, dict) and isinstance(decided, dict) and TYPE not in recorded and TYPE not in decided:
        for name in (*recorded, *decided):
            if name not in recorded or name not in decided:
                return (name,)
            if not same(recorded[name], decided[name]):
                return (name, *_first_place(recorded[name], decided[name]))
    if isinstance(recorded, list) and isinstance(decided, list):
        for index, (old, new) in enumerate(zip(recorded, decided, strict=False)):
            if not same(old, new):
                return (index, *_first_place(old, new))
        return (min(len(recorded), len(decided)),)
    return ()
