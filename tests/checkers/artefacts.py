"""Artefacts: what a log, callers, functions, services and views left behind, in memory or as JSON lines in a directory.

Every kind is one class and one or more files, `<kind>*.jsonl`. A process that may be killed writes each line with one
`note`, so that a kill leaves a line whole or out.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeVar

from pydantic import TypeAdapter

from tests.checkers.rule import Chains, LogLine, chains

Outcome = Literal["ok", "failed", "unknown", "waiting"]
"""`ok`: done and acknowledged. `failed`: not done, now or later. `unknown`: nobody knows. `waiting`: it hangs."""


class Facts(NamedTuple):
    """What is true of everything else here.

    Attributes:
        partitions: The number of partitions of `commands` and `events`.
        calm: Whether all faults were over for long enough that everything asked for had to happen.
        truncated: Topics and partitions, as `topic/partition`, whose end an unclean election took away.
        history: Whether everything that callers asked of engines is among the requests.
        slack_seconds: How much longer than its timeout a wait may take; processes that stood still take longer.
        services: Services that hear of everything, also those that heard of nothing.
        partial: Services that did not hear from the beginning to the end, such as those inside a process that died.
        going_on: After an election: services, and partitions in which they have not stopped and deal with everything.
    """

    partitions: int
    calm: bool = True
    truncated: tuple[str, ...] = ()
    history: bool = False
    slack_seconds: float = 1.0
    services: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    going_on: tuple[tuple[str, int], ...] = ()


class Line(NamedTuple):
    """A record of the log, from the first one ever written on."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str
    value: bytes
    headers: Mapping[str, str]


class Request(NamedTuple):
    """What a caller asked, and the answer.

    Attributes:
        kind: `create`, `start`, `cancel`, `wait`, or several joined by `+`, such as `create+start+wait`. A `send` is a
            command that was put on the log without an engine; it may be refused.
        run: The run's id; empty when the caller never heard of one.
        outcome: What the caller knows.
        run_given: Of a `wait` that is ok, the run in the answer.
        status: Of a `wait` that is ok, how the run ended.
        commit: Of a `wait` that is ok, the id of the commit it ended with.
        output: Of a `wait` that is ok, the output context as JSON text, or empty.
        error: What the caller was told, if not ok: a code, and the text that says more.
        text: The same.
        timeout: Seconds that the caller wanted to wait at most, or None.
        seconds: How long it took.
    """

    kind: str
    run: str
    outcome: Outcome
    run_given: str = ""
    status: str = ""
    commit: str = ""
    output: str = ""
    error: str = ""
    text: str = ""
    timeout: float | None = None
    seconds: float = 0.0


class Effect(NamedTuple):
    """What user code left outside: it ran for this trace and attempt, in this process, with this idempotency key."""

    run: str
    trace: int
    attempt: int
    process: str
    key: str = ""


class Delivered(NamedTuple):
    """A change that a service was called with, written when the call was over.

    Attributes:
        service: The service's name.
        run: The run's id.
        event: The event's id.
        event_type: Its type.
        dealt: Whether the service dealt with it; otherwise it raised.
        held: Whether later changes of the run wait until this one is dealt with.
    """

    service: str
    run: str
    event: str
    event_type: str
    dealt: bool = True
    held: bool = True


class Reading(NamedTuple):
    """What one reader of a partition of `events` took for accepted.

    Attributes:
        reader: Who.
        partition: Which partition.
        first: It looked at the records from this offset on.
        end: And below this one.
        accepted: The offsets and ids of the commits that counted for it.
    """

    reader: str
    partition: int
    first: int
    end: int
    accepted: Sequence[tuple[int, str]]


class ViewDump(NamedTuple):
    """All rows of a fold of the log.

    Attributes:
        name: Views of one name must be equal.
        origin: Where these come from, such as `live` or `from zero`.
        rows: Family, key and value, the latter two in hex.
    """

    name: str
    origin: str
    rows: Sequence[tuple[str, str, str]]


Item = Facts | Line | Request | Effect | Delivered | Reading | ViewDump
_FILES: Final[Mapping[type, str]] = {
    Facts: "facts",
    Line: "log",
    Request: "requests",
    Effect: "effects",
    Delivered: "deliveries",
    Reading: "readings",
    ViewDump: "views",
}
_ItemT = TypeVar("_ItemT", Facts, Line, Request, Effect, Delivered, Reading, ViewDump)


@dataclass
class Artefacts:
    """Everything that the checkers look at.

    Attributes:
        facts: What is true of everything else.
        log: All records, in the order of their offsets within each partition.
        requests: What callers asked.
        effects: What functions left outside, in order.
        deliveries: What services were called with, in order.
        readings: What readers took for accepted.
        views: Dumps of views.
    """

    facts: Facts
    log: list[Line] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    deliveries: list[Delivered] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    views: list[ViewDump] = field(default_factory=list)

    def records(self, topic: str, partition: int = 0) -> list[Line]:
        """Return the records of a partition, in order."""
        return [line for line in self.log if line.topic == topic and line.partition == partition]

    def add_log(self, topic: str, partition: int, records: Iterable[LogLine]) -> None:
        """Add the records of a partition, from its first one on."""
        self.log += [
            Line(topic, partition, each.offset, each.timestamp, each.key, each.value, each.headers) for each in records
        ]

    def chains(self) -> Chains:
        """Return the accepted commits of all runs, by the rule of the log written down a second time."""
        found = [chains(self.records("events", number)) for number in range(self.facts.partitions)]
        return {run: chain for each in found for run, chain in each.items()}

    def whole(self, topic: str, partition: int = 0) -> bool:
        """Return whether no election took away records of a partition."""
        return f"{topic}/{partition}" not in self.facts.truncated

    def dump(self, directory: Path) -> None:
        """Write everything into a directory, one file for each kind."""
        directory.mkdir(parents=True, exist_ok=True)
        note(directory, self.facts)
        kinds = (self.log, self.requests, self.effects, self.deliveries, self.readings, self.views)
        for items in kinds:
            for item in items:
                note(directory, item)

    @classmethod
    def load(cls, directory: Path) -> "Artefacts":
        """Read everything from a directory; the last line of facts counts."""
        found = cls(_load(directory, Facts)[-1])
        found.log = sorted(_load(directory, Line), key=lambda line: (line.topic, line.partition, line.offset))
        found.requests = _load(directory, Request)
        found.effects = _load(directory, Effect)
        found.deliveries = _load(directory, Delivered)
        found.readings = _load(directory, Reading)
        found.views = _load(directory, ViewDump)
        return found


def note(directory: Path, item: Item, name: str = "") -> None:
    """Add one line to a directory of artefacts, in one write.

    Args:
        directory: It is there.
        item: What to write.
        name: Tells the files of one kind apart, where several processes write.
    """
    row = item._asdict()
    if isinstance(item, Line):
        # Whatever bytes there are come back the same.
        row["value"] = item.value.decode("latin-1")
        row["headers"] = dict(item.headers)
    text = json.dumps(row).encode() + b"\n"
    file = os.open(directory / f"{_FILES[type(item)]}{name}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        written = os.write(file, text)
    finally:
        os.close(file)
    assert written == len(text), "the disk took a part of a line"


def _load(directory: Path, kind: type[_ItemT]) -> list[_ItemT]:
    adapter = TypeAdapter(kind)
    found: list[_ItemT] = []
    for path in sorted(directory.glob(f"{_FILES[kind]}*.jsonl")):
        for text in path.read_text().splitlines():
            row = json.loads(text)
            if kind is Line:
                row["value"] = row["value"].encode("latin-1")
            found.append(adapter.validate_python(row))
    return found
