"""An outline of a run: what becomes of the run itself, without its nodes. For whoever waits for many of them."""

from typing import Final

from engine.core.evolve import evolve
from engine.core.records import commit_id, read_commit
from engine.core.state import GENESIS, RunState
from engine.core.view import Accepted
from engine.errors import RunlineError
from engine.log.port import LogRecord

_NODES: Final = "trace."
"""Begins the types of events about nodes."""


class Outline:
    """Applies the rule of the log to one run's commits, and reads only those that concern the run itself.

    Whether a commit's epoch counts where it stands is the caller's to know.

    Attributes:
        state: The run without its open nodes and without the context between them, or None before its first commit.
        head: The id of the last accepted commit.
    """

    __slots__ = ("head", "state")

    def __init__(self, state: RunState | None = None) -> None:
        if state is not None:
            state = state.copy()
            # Nobody tells an outline when a node is done.
            state.open = ()
        self.state = state
        self.head = GENESIS if state is None else state.head

    def accept(self, record: LogRecord) -> Accepted | None:
        """Return the commit if it counts and concerns the run itself.

        Raises:
            RunlineError: It counts, but this version cannot read it.
        """
        headers = record.headers
        prev = headers.get("prev")
        if prev != self.head:
            return None
        identity = commit_id(prev, headers["epoch"], record.value)
        if identity != headers.get("ce_id"):
            return None
        self.head = identity
        types = headers.get("types", "")
        if self.state is not None and types.startswith(_NODES) and "run." not in types and "command." not in types:
            return None
        return self._read(record, identity)

    def _read(self, record: LogRecord, identity: str) -> Accepted | None:
        before = self.state
        try:
            value = read_commit(record)
            events = [event for event in value["events"] if not event["type"].startswith(_NODES)]
            if not events:
                return None
            state = evolve(before, events, record.key, value["time"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunlineError(
                f"expected a commit at offset {record.offset} that can be read, but {error!r}."
            ) from error
        state.head = identity
        self.state = state
        return Accepted(identity, record.offset, value, before, state)
