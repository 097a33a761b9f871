"""A view of one partition of `events`: which records count, and the state they lead to. The same in every reader."""

from collections.abc import Mapping
from typing import NamedTuple

from engine.core import records
from engine.core.evolve import UnknownEventError, evolve
from engine.core.identity import id_floor
from engine.core.records import (
    FENCE_KEY,
    PART_KEY,
    CommitValue,
    PartHeading,
    commit_id,
    fence_epoch,
    read_commit,
    read_part,
)
from engine.core.state import GENESIS, RunState
from engine.errors import RunlineError
from engine.limits import WINDOW_SECONDS
from engine.log.port import LogRecord, Record


class Accepted(NamedTuple):
    """A commit that counts.

    Attributes:
        id: The commit's id; its events are addressed `<id>.<index>`.
        offset: Where it stands.
        value: What it says.
        before: The run's state before it, None for a first commit.
        after: The run's state after it.
    """

    id: str
    offset: int
    value: CommitValue
    before: RunState | None
    after: RunState


class View:
    """Folds the records of one partition in order, by the rule of the log.

    Attributes:
        position: The offset of the next record to fold.
        epoch: The epoch of the last fence, or None before any.
        runs: The state of every open run.
        ended: For every ended run that is remembered, the highest `commands` offset it decided.
        unreadable: Runs with a commit that this version cannot fold, and why; nothing more is accepted for them here.
        from_future: Those of them whose commit holds an event of a newer version.
        checkpoint: The offset of the first part of the last complete checkpoint, or None.
        commands: Its C, or 0: below this offset of `commands` everything is decided.
        clock: Its T, or -1: the highest timestamp of `commands` below C, in milliseconds.
    """

    def __init__(self, position: int = 0, epoch: str | None = None) -> None:
        self.position = position
        self.epoch = epoch
        self.runs: dict[str, RunState] = {}
        self.ended: dict[str, int] = {}
        self.unreadable: dict[str, str] = {}
        self.from_future: set[str] = set()
        self.checkpoint: int | None = None
        self.commands = 0
        self.clock = -1
        self._parts: dict[tuple[str, int], dict[int, int]] = {}

    def fold(self, record: LogRecord, sent: Record | None = None) -> Accepted | None:
        """Fold the next record; return the commit if it was one that counts.

        A commit whose place in the chain is right, but which this version cannot read, makes its run unreadable: a
        newer version wrote it, or something else that knows the rule. Other runs have nothing to do with it.

        Args:
            record: As the log gave it.
            sent: The commit that was made here and may be this record, or None.
        """
        assert record.offset >= self.position, "records are folded in order"
        self.position = record.offset + 1
        match record.headers.get("ce_type"):
            case records.COMMIT:
                return self._fold_commit(record, sent)
            case records.FENCE if record.key == FENCE_KEY:
                self.epoch = fence_epoch(record.offset, record.headers)
                self._parts.clear()
            case records.PART if record.key == PART_KEY:
                self._fold_part(record)
        return None

    def restore(self, heading: PartHeading, runs: dict[str, RunState], ended: dict[str, int]) -> None:
        """Begin from a checkpoint: take its states, and its guard against late first commits."""
        self.runs.update(runs)
        self.ended.update(ended)
        self.commands = heading.commands
        self.clock = heading.clock

    def _fold_commit(self, record: LogRecord, sent: Record | None) -> Accepted | None:
        headers = record.headers
        epoch = headers.get("epoch")
        if epoch is None or epoch != self.epoch:
            return None
        run_id = record.key
        before = self.runs.get(run_id)
        prev = headers.get("prev")
        if prev != (GENESIS if before is None else before.head) or (
            before is None and (run_id in self.ended or run_id in self.unreadable)
        ):
            return None
        identity = headers.get("ce_id")
        if identity is None or not (_is(record, sent) or identity == commit_id(prev, epoch, record.value)):
            return None
        try:
            value = read_commit(record)
            decided = value["decided"]
            if before is None and decided is not None and decided < self.commands:
                return None
            state = evolve(before, value["events"], run_id, value["time"])
        except (RunlineError, KeyError, TypeError, ValueError, AttributeError) as error:
            self.runs.pop(run_id, None)
            if isinstance(error, UnknownEventError):
                self.from_future.add(run_id)
            self.unreadable[run_id] = f"commit {identity} at offset {record.offset}: {error!r}"
            return None
        state.head = identity
        if decided is not None and decided > state.decided:
            state.decided = decided
        if state.stopped is not None:
            self.runs.pop(run_id, None)
            self.ended[run_id] = state.decided
        else:
            self.runs[run_id] = state
        return Accepted(identity, record.offset, value, before, state)

    def _fold_part(self, record: LogRecord) -> None:
        heading = read_part(record.headers)
        if heading is None or heading.epoch != self.epoch:
            return
        parts = self._parts.setdefault((heading.epoch, heading.start), {})
        parts.setdefault(heading.part, record.offset)
        if len(parts) == heading.parts:
            del self._parts[heading.epoch, heading.start]
            self.checkpoint = min(parts.values())
            self._forget(heading)

    def _forget(self, heading: PartHeading) -> None:
        self.commands = max(self.commands, heading.commands)
        self.clock = max(self.clock, heading.clock)
        for run_id in outlived(self.ended, heading.commands, heading.clock):
            del self.ended[run_id]


def _is(record: LogRecord, sent: Record | None) -> bool:
    """Return whether a log gave back the very objects that were sent to it, which nobody changes.

    Their id was computed from these bytes and these headers, and would come out the same a second time. Equal is not
    enough here: a record that came another way is what the id protects against.
    """
    return sent is not None and record.value is sent.value and record.headers is sent.headers


def outlived(ended: Mapping[str, int], commands: int, clock: int) -> list[str]:
    """Return the ended runs whose ids may be forgotten: their times and their offsets are both behind T and C.

    Args:
        ended: For every ended run the highest `commands` offset it decided.
        commands: C of a checkpoint.
        clock: Its T, in milliseconds.
    """
    first_kept = id_floor(clock - int(WINDOW_SECONDS * 1000))
    # Mostly none is old enough, and the oldest is found much faster than all are looked at.
    if min(ended, default=first_kept) >= first_kept:
        return []
    return [run_id for run_id, decided in ended.items() if decided < commands and run_id < first_kept]
