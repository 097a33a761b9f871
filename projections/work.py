"""Open work: what every run that has not ended waits for, and since when."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final

import orjson

from engine.core.state import OpenTrace, RunState, RunStatus
from engine.log.port import EVENTS, LogRecord
from projections.keys import SEPARATOR, offset_key, text_key, time_key
from projections.projection import Rows, Stretch, family_name

ROWS: Final = "rows"


class WaitsFor(StrEnum):
    """What a run waits for."""

    START = "start"
    """It was created; somebody has to start it."""
    NODE = "node"
    """A node is being executed."""
    EXECUTOR = "executor"
    """A node comes next, and no executor has begun with it."""


@dataclass(frozen=True, slots=True)
class OpenWork:
    """One thing that a run waits for.

    Attributes:
        run_id: The run.
        workflow_id: Its workflow's id.
        waits_for: What it waits for.
        since: UTC: when the run was created, when the node's first attempt began, or when the run was started.
        node_id: The node, or an empty text while the run waits for its start.
        title: The node's title where it is known.
        attempt: The node's attempt, 0 before the first.
        executor: The process that works on it, or an empty text.
    """

    run_id: str
    workflow_id: str
    waits_for: WaitsFor
    since: datetime
    node_id: str
    title: str
    attempt: int
    executor: str


class Work:
    """Folds the events into rows for what runs wait for, the oldest first."""

    name: ClassVar[str] = "work"
    version: ClassVar[int] = 1
    topic: ClassVar[str] = EVENTS
    families: ClassVar[Sequence[str]] = (ROWS,)

    def fold(self, records: Sequence[LogRecord], stretches: Iterable[Stretch], rows: Rows) -> None:  # noqa: ARG002 - the protocol's
        """Write what the runs of a batch wait for now instead of what they waited for before."""
        for stretch in stretches:
            before = {} if stretch.before is None else _rows(stretch.before)
            after = _rows(stretch.after)
            for key in before.keys() - after.keys():
                rows.delete(ROWS, key)
            for key, value in after.items():
                if before.get(key) != value:
                    rows.put(ROWS, key, value)


ROWS_FAMILY: Final = family_name(Work.name, ROWS)


def decode_row(value: bytes) -> OpenWork:
    """Return a row as open work."""
    row = orjson.loads(value)
    return OpenWork(
        run_id=row["run"],
        workflow_id=row["workflow"],
        waits_for=WaitsFor(row["for"]),
        since=datetime.fromisoformat(row["since"]),
        node_id=row["node"],
        title=row["title"],
        attempt=row["attempt"],
        executor=row["executor"],
    )


def _rows(state: RunState) -> dict[bytes, bytes]:
    if state.status.terminal:
        return {}
    if state.status is RunStatus.CREATED:
        return dict([_row(state, WaitsFor.START, state.created)])
    rows = dict(_row(state, WaitsFor.NODE, trace.started, trace) for trace in state.open)
    if state.ready is not None:
        rows |= [_row(state, WaitsFor.EXECUTOR, state.started or state.created)]
    return rows


def _row(state: RunState, waits_for: WaitsFor, since: str, trace: OpenTrace | None = None) -> tuple[bytes, bytes]:
    number = 0 if trace is None else trace.number
    key = time_key(since) + text_key(state.run_id) + SEPARATOR + offset_key(number)
    value = {
        "run": state.run_id,
        "workflow": state.workflow,
        "for": waits_for.value,
        "since": since,
        "node": state.ready or "" if trace is None else trace.node,
        "title": "" if trace is None else trace.title,
        "attempt": 0 if trace is None else trace.attempt,
        "executor": "" if trace is None else trace.executor,
    }
    return key, orjson.dumps(value)
