"""The runs: one row for each, found by workflow, status, kind of error, tag and time of creation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import ClassVar, Final

import orjson

from engine.core.state import RunState, RunStatus
from engine.log.port import EVENTS, LogRecord
from engine.run import RunError, message_of
from projections.keys import SEPARATOR, place_key, text_key
from projections.projection import Rows, Stretch, family_name

ROWS: Final = "rows"
INDEX: Final = "index"
_PREFIXES_KEPT: Final = 1_024
"""Beginnings of index keys that are remembered: most runs share a few."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in a list: all that a `Run` says except its contexts.

    Attributes:
        run_id: A UUID of version 7.
        workflow_id: The workflow's id.
        workflow_version: The version it is pinned to.
        run_status: Where it stands.
        message: The same for people.
        error: Why it failed, or None.
        tags: What it was tagged with.
        traces: How many node executions it has had.
        created: UTC.
        started: UTC, or None.
        stopped: UTC, or None.
        commit_id: The id of the last commit that is folded into this row.
    """

    run_id: str
    workflow_id: str
    workflow_version: str
    run_status: RunStatus
    message: str
    error: RunError | None
    tags: tuple[str, ...]
    traces: int
    created: datetime
    started: datetime | None
    stopped: datetime | None
    commit_id: str


class Runs:
    """Folds the events into a row for each run, and an index by everything that runs are looked for by."""

    name: ClassVar[str] = "runs"
    version: ClassVar[int] = 1
    topic: ClassVar[str] = EVENTS
    families: ClassVar[Sequence[str]] = (ROWS, INDEX)

    def fold(self, records: Sequence[LogRecord], stretches: Iterable[Stretch], rows: Rows) -> None:  # noqa: ARG002 - the protocol's
        """Write the rows of the runs of a batch, and what of the index has changed."""
        for stretch in stretches:
            before, after = stretch.before, stretch.after
            rows.put(ROWS, text_key(stretch.run_id), _encode(after))
            known = frozenset() if before is None else index_keys(before)
            wanted = index_keys(after)
            for key in known - wanted:
                rows.delete(INDEX, key)
            for key in wanted - known:
                rows.put(INDEX, key, b"")


ROWS_FAMILY: Final = family_name(Runs.name, ROWS)
INDEX_FAMILY: Final = family_name(Runs.name, INDEX)


@lru_cache(_PREFIXES_KEPT)
def prefix(*words: str) -> bytes:
    """Return the beginning of the index keys for one combination of values, such as `("status", "Failed")`."""
    return b"".join(text_key(word) + SEPARATOR for word in words)


def index_keys(state: RunState) -> frozenset[bytes]:
    """Return the keys under which a run in this state is found, without their values: they have none."""
    place = place_key(state.created, state.run_id)
    workflow, status = state.workflow, state.status.value
    words = [
        ("all",),
        ("status", status),
        ("workflow", workflow),
        ("workflow status", workflow, status),
        *(("tag", tag) for tag in state.tags),
    ]
    if state.error is not None:
        kind = state.error["type"]
        words += [("error", kind), ("workflow error", workflow, kind)]
    return frozenset(prefix(*each) + place for each in words)


def decode_row(value: bytes) -> RunSummary:
    """Return a row as a summary."""
    row = orjson.loads(value)
    error = row["error"]
    return RunSummary(
        run_id=row["run"],
        workflow_id=row["workflow"],
        workflow_version=row["version"],
        run_status=RunStatus(row["status"]),
        message=row["message"],
        error=None if error is None else RunError(error["type"], error["message"], error["node"]),
        tags=tuple(row["tags"]),
        traces=row["traces"],
        created=datetime.fromisoformat(row["created"]),
        started=_moment(row["started"]),
        stopped=_moment(row["stopped"]),
        commit_id=row["commit"],
    )


def _encode(state: RunState) -> bytes:
    return orjson.dumps(
        {
            "run": state.run_id,
            "workflow": state.workflow,
            "version": state.version,
            "status": state.status.value,
            "message": message_of(state),
            "error": state.error,
            "tags": state.tags,
            "traces": state.traces,
            "created": state.created,
            "started": state.started,
            "stopped": state.stopped,
            "commit": state.head,
        }
    )


def _moment(time: str | None) -> datetime | None:
    return None if time is None else datetime.fromisoformat(time)
