"""Checkpoints: is what a partition's own log says of its state the fold of the records below its *f*?

A checkpoint of the state at *f* stands behind *f*, so at *f* nobody knows yet that it will be wanted. Reading runs
ahead of folding by a bounded number of records, and sees the parts that name *f* before *f* is folded; then the state
at *f* is frozen: a copy of references, and states are copied before they change as long as something holds them. The
memory that takes is bounded by the open runs. Where a part names an *f* that has been folded already, the partition is
audited anew, with the *f* of all its parts collected in a pass before: slower, and as exact. (Folding twice always
costs a second reading of the log; an undo list since the last fence has no bound.)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple, cast

import orjson

from engine.limits import AUDIT_CHECKPOINTS_OPEN_MAX, WINDOW_SECONDS
from engine.log.port import LogRecord
from projections.audit.ended import EndedRuns
from projections.audit.rules import Rule
from projections.audit.run_fold import OpenRun
from projections.audit.shape import NO_CHECKPOINT, PART, PART_KEY, Found, is_decimal
from projections.audit.wire import canonical

_STATE_FIELDS: Final = (
    "run", "workflow", "version", "status", "created", "started", "correlation", "traceparent", "input", "ready",
    "open", "traces", "head", "decided",
)  # fmt: skip
_NUMBERS: Final = ("start", "part", "parts", "commands")


class UnforeseenError(Exception):
    """A part names a place that has been folded without freezing it."""


class Heading(NamedTuple):
    """What a part's headers say: its epoch, *f*, its number, the number of parts, C and T."""

    epoch: str
    start: int
    part: int
    parts: int
    commands: int
    clock: int


def heading_of(headers: Mapping[str, str]) -> Heading | None:
    """Return what a part's headers say, or None when they are not those of a part."""
    texts = [headers.get(name, "") for name in _NUMBERS]
    clock = headers.get("clock", "")
    if not all(map(is_decimal, texts)) or not (is_decimal(clock) or clock == "-1") or "epoch" not in headers:
        return None
    start, part, parts, commands = map(int, texts)
    return Heading(headers["epoch"], start, part, parts, commands, int(clock)) if part < parts else None


def is_part(record: LogRecord) -> bool:
    """Return whether a record is a checkpoint part for the readers of the log."""
    return record.headers.get("ce_type") == PART and record.key == PART_KEY


@dataclass
class _Frozen:
    """The state at a place, as far as no part has named it yet."""

    runs: dict[str, OpenRun]
    ended: set[str] = field(default_factory=set)
    ids: dict[int, str] = field(default_factory=dict)
    heading: Heading | None = None


class Past(NamedTuple):
    """The ended runs: all, and in memory those that a checkpoint may have to hold, each with its end and decided."""

    ended: EndedRuns
    remembered: dict[str, tuple[int, int]]


class Checkpoints:
    """Checks the checkpoints of one partition.

    Attributes:
        complete: The offsets of the first parts of all checkpoints that are complete.
        commands: C of the last one; below it late first commits do not count.
        clock: T of the last one.
        wanted: The places where the state is to be frozen, each with the epochs whose parts name it.
        generation: Rises with every freezing.
        completed: Where the last one was complete.
        restarted: Whether the places of all parts were collected before.
    """

    def __init__(self, past: Past) -> None:
        self._past = past
        self.complete: set[int] = set()
        self.commands = 0
        self.clock = -1
        self.wanted: dict[int, set[str]] = {}
        self.next_wanted: float = float("inf")
        self.generation = 0
        self.completed = -1
        self.restarted = False
        self._start = -1
        self._frozen: dict[int, _Frozen] = {}
        self._parts: dict[int, dict[int, int]] = {}
        self._last_ids: dict[int, str] = {}

    @property
    def quiet(self) -> bool:
        """Whether nothing is frozen or half complete."""
        return not self._frozen and not self._parts

    def want(self, record: LogRecord, position: int) -> None:
        """Take note of the place that a record further on names, when it is a part and the place is not folded yet."""
        if not is_part(record):
            return
        heading = heading_of(record.headers)
        if heading is not None and position <= heading.start <= record.offset:
            self.wanted.setdefault(heading.start, set()).add(heading.epoch)
            self.next_wanted = min(self.next_wanted, heading.start)

    def freeze(self, offset: int, epoch: str | None, runs: Mapping[str, OpenRun]) -> None:
        """Keep the state before `offset` for the parts under this epoch that name it, or a place in a hole before."""
        for place in [place for place in self.wanted if place <= offset]:
            epochs = self.wanted.pop(place)
            if epoch in epochs and len(self._frozen) < AUDIT_CHECKPOINTS_OPEN_MAX:
                self._frozen[place] = _Frozen(dict(runs))
                self.generation += 1
        self.next_wanted = min(self.wanted, default=float("inf"))

    def fenced(self) -> None:
        """Drop what is not complete: a fence ends the epoch."""
        self._frozen.clear()
        self._parts.clear()

    def named(self, text: str, found: Found) -> None:
        """Check the checkpoint that a record names."""
        if text != NO_CHECKPOINT and not (is_decimal(text) and int(text) in self.complete):
            found(Rule.CHECKPOINT_NAMED, f"expected a checkpoint that is complete before, but found {text[:80]!r}")

    def part(self, record: LogRecord, heading: Heading, unreadable: Mapping[str, str], found: Found) -> None:
        """Check a part written under the current epoch.

        Raises:
            UnforeseenError: The state that it sums up was not kept.
        """
        start = heading.start
        if start > record.offset:
            found(Rule.CHECKPOINT_PARTS, f"expected the sum of records before it, but it sums up those below {start}")
            return
        frozen = self._frozen.get(start)
        if frozen is None:
            self._check_late(record, heading, found)
        elif heading.part in frozen.ids:
            _check_copy(frozen.ids, record, heading, found)
        else:
            self._compare(frozen, record, heading, unreadable, found)
            frozen.ids[heading.part] = record.headers.get("ce_id", "")
        parts = self._parts.setdefault(start, {})
        parts.setdefault(heading.part, record.offset)
        if len(parts) == heading.parts:
            self._complete(record.offset, heading, frozen, unreadable, found)

    def _check_late(self, record: LogRecord, heading: Heading, found: Found) -> None:
        """Check a part whose state is not at hand: it is a copy, or not what it should be, or was not foreseen."""
        start = heading.start
        if start <= int(heading.epoch.partition(":")[0]):
            found(Rule.CHECKPOINT_PARTS, f"expected the sum of what its own epoch has folded, but it begins at {start}")
        elif start == self._start:
            _check_copy(self._last_ids, record, heading, found)
        elif not self.restarted:
            raise UnforeseenError
        else:
            found(Rule.CHECKPOINT_STATE, f"expected fewer checkpoints at once; the one of {start} cannot be compared")

    def _compare(
        self, frozen: _Frozen, record: LogRecord, heading: Heading, unreadable: Mapping[str, str], found: Found
    ) -> None:
        first = frozen.heading
        if first is None:
            frozen.heading = heading
        elif heading._replace(part=first.part) != first:
            found(Rule.CHECKPOINT_PARTS, f"expected a part of {first}, but found {heading}")
        value = _value(record.value)
        if value is None:
            found(Rule.VALUE_MALFORMED, "expected runs and ended in a checkpoint part")
            return
        runs, ended = value
        for item in runs:
            name = str(item.get("run"))
            run = frozen.runs.pop(name, None)
            if run is None:
                if name in unreadable:
                    continue
                text = (
                    f"expected only runs that are open below {heading.start}, each once, but found {item.get('run')!r}"
                )
                found(Rule.CHECKPOINT_STATE, text)
            elif differing := _difference(item, run):
                found(Rule.CHECKPOINT_STATE, f"expected run {run.run} as it is below {heading.start}; {differing}")
        for name, decided in ended.items():
            self._check_ended(frozen, name, decided, heading.start, found)

    def _check_ended(self, frozen: _Frozen, name: str, decided: object, start: int, found: Found) -> None:
        known = self._past.remembered.get(name)
        if known is None and (ended := self._past.ended.get(name)) is not None:
            known = (ended.offset, ended.decided)
        if known is None or known[0] >= start or decided.__class__ is not int or known[1] != decided:
            truth = "it had not" if known is None or known[0] >= start else f"it decided {known[1]}"
            found(Rule.CHECKPOINT_ENDED, f"expected ended runs, but {name} is said to have decided {decided}; {truth}")
        elif name in frozen.ended:
            found(Rule.CHECKPOINT_ENDED, f"expected each ended run once, but {name} comes again")
        frozen.ended.add(name)

    def _complete(
        self, offset: int, heading: Heading, frozen: _Frozen | None, unreadable: Mapping[str, str], found: Found
    ) -> None:
        parts = self._parts.pop(heading.start)
        self.complete.add(min(parts.values()))
        floor = _floor(heading.clock)
        if frozen is not None:
            del self._frozen[heading.start]
            self._last_ids = frozen.ids
            for run in frozen.runs.keys() - unreadable.keys():
                found(
                    Rule.CHECKPOINT_STATE,
                    f"expected every run that is open below {heading.start}, but {run} is missing",
                )
            for run, (end, decided) in self._past.remembered.items():
                if end < heading.start and run not in frozen.ended and not (decided < heading.commands and run < floor):
                    found(Rule.CHECKPOINT_ENDED, f"expected every run that may not be forgotten, but {run} is missing")
            if heading.start < self._start or heading.commands < self.commands or heading.clock < self.clock:
                before = f"start {self._start}, C {self.commands} and T {self.clock}"
                found(Rule.CHECKPOINT_BACK, f"expected at least {before}, but found {heading}")
        self._start = heading.start
        self.completed = offset
        self.commands = max(self.commands, heading.commands)
        self.clock = max(self.clock, heading.clock)
        for run in [
            run for run, (_, decided) in self._past.remembered.items() if decided < heading.commands and run < floor
        ]:
            del self._past.remembered[run]

    def forgotten(self, run: str, end: int, decided: int) -> bool:
        """Return whether readers may have forgotten a run that ended at `end`."""
        return end < self.completed and decided < self.commands and run < _floor(self.clock)

    def save(self) -> dict[str, object]:
        """Return it as JSON, while nothing is frozen or half complete."""
        assert self.quiet
        return {
            "complete": sorted(self.complete),
            "commands": self.commands,
            "clock": self.clock,
            "wanted": [[place, sorted(epochs)] for place, epochs in self.wanted.items()],
            "completed": self.completed,
            "restarted": self.restarted,
            "start": self._start,
            "last_ids": list(self._last_ids.items()),
        }

    def restore(self, saved: Mapping[str, object]) -> None:
        """Take over what `save` gave."""
        self.complete = set(cast("list[int]", saved["complete"]))
        self.commands, self.clock = cast("int", saved["commands"]), cast("int", saved["clock"])
        self.wanted = {place: set(epochs) for place, epochs in cast("list[tuple[int, list[str]]]", saved["wanted"])}
        self.next_wanted = min(self.wanted, default=float("inf"))
        self.completed, self._start = cast("int", saved["completed"]), cast("int", saved["start"])
        self.restarted = bool(saved["restarted"])
        self._last_ids = dict(cast("list[tuple[int, str]]", saved["last_ids"]))


def _check_copy(ids: Mapping[int, str], record: LogRecord, heading: Heading, found: Found) -> None:
    if ids.get(heading.part) != record.headers.get("ce_id"):
        found(Rule.CHECKPOINT_PARTS, f"expected a copy of part {heading.part}, but it is another")


def part_id(heading: Heading, value: bytes) -> str:
    """Return the id that a part must have."""
    return sha256("\n".join(map(str, heading)).encode() + b"\n" + value).hexdigest()


def _value(data: bytes) -> tuple[list[Mapping[str, object]], Mapping[str, object]] | None:
    try:
        value = orjson.loads(data)
        runs, ended = value["runs"], value["ended"]
    except (ValueError, KeyError, TypeError):
        return None
    whole = isinstance(runs, list) and isinstance(ended, dict) and all(isinstance(item, dict) for item in runs)
    return (runs, ended) if whole else None


def _difference(item: Mapping[str, object], run: OpenRun) -> str:
    """Return how an open run in a part differs from the fold, or an empty text."""
    wrong = [
        name for name in _STATE_FIELDS if name not in item or canonical(item[name]) != canonical(getattr(run, name))
    ]
    context = item.get("context", ...)
    if context is None:
        context = {} if item.get("input") is None else item["input"]
    if context is ... or canonical(context) != canonical(run.context):
        wrong.append("context")
    if item.get("tags", []) != run.tags:
        wrong.append("tags")
    return f"these differ: {', '.join(wrong)}" if wrong else ""


def _floor(clock: int) -> str:
    """Return the text that sorts before all run ids that T keeps: the window before it, or later."""
    digits = f"{max(clock - int(WINDOW_SECONDS * 1000), 0):012x}"
    return f"{digits[:8]}-{digits[8:]}"
