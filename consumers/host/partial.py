"""A partition's fold that reads only runs of some workflows: what counts of the others is known by their headers."""

from collections.abc import Collection
from typing import Final, NamedTuple

from engine.core.records import COMMIT, commit_id, types_in, workflow_of
from engine.core.state import GENESIS, RunState
from engine.core.view import Accepted, View
from engine.log.port import LogRecord

_ENDS: Final = frozenset({"run.succeeded", "run.failed", "run.cancelled"})
"""The types of the events that end a run."""


class _Other(NamedTuple):
    """An open run of a workflow that nobody wants.

    Attributes:
        head: The id of its last commit.
        decided: The highest offset of `commands` that it decided, or -1.
    """

    head: str
    decided: int


class PartialView:
    """Applies the rule of the log to all commits, and decodes and folds only those of runs of the wanted workflows.

    Of other runs nobody learns that a commit cannot be read, and nobody needs to. A commit whose headers do not name
    its workflow, as early versions wrote them, is read to find out.

    Args:
        view: Folded up to where this one begins; it is taken over.
        workflows: Ids of the wanted workflows; empty for all.
    """

    def __init__(self, view: View, workflows: Collection[str] = ()) -> None:
        self._view = view
        self._workflows = frozenset(workflows)
        self._others: dict[str, _Other] = {}
        for state in list(view.runs.values()) if self._workflows else ():
            self._let_go(state)

    @property
    def position(self) -> int:
        """The offset of the next record to fold."""
        return self._view.position

    def fold(self, record: LogRecord) -> Accepted | None:
        """Fold the next record; return the commit if it counts and is of a wanted workflow's run."""
        if not self._workflows:
            return self._view.fold(record)
        if record.headers.get("ce_type") == COMMIT and self._is_other(record):
            self._pass_over(record)
            return None
        accepted = self._view.fold(record)
        if accepted is not None and accepted.after.workflow not in self._workflows:
            self._let_go(accepted.after)
            return None
        return accepted

    def unreadable(self, run_id: str) -> str:
        """Return why nothing more of a run is accepted here, or an empty text."""
        return self._view.unreadable.get(run_id, "")

    def is_from_future(self, run_id: str) -> bool:
        """Return whether it is because of an event of a newer version."""
        return run_id in self._view.from_future

    def _let_go(self, state: RunState) -> None:
        """Keep nothing of a run but its head, if nobody wants it."""
        if state.workflow not in self._workflows and self._view.runs.pop(state.run_id, None) is not None:
            self._others[state.run_id] = _Other(state.head, state.decided)

    def _is_other(self, record: LogRecord) -> bool:
        if record.key in self._others:
            return True
        if record.key in self._view.runs:
            return False
        workflow = workflow_of(record.headers)
        return workflow is not None and workflow not in self._workflows

    def _pass_over(self, record: LogRecord) -> None:
        """Apply the rule to a commit by its headers and the hash of its value."""
        view, headers, run_id = self._view, record.headers, record.key
        assert record.offset >= view.position, "records are folded in order"
        view.position = record.offset + 1
        epoch, prev, known = headers.get("epoch"), headers.get("prev"), self._others.get(run_id)
        if epoch is None or epoch != view.epoch or prev != (GENESIS if known is None else known.head):
            return
        decided = _number(headers.get("decided", ""))
        if known is None:
            if run_id in view.ended or run_id in view.unreadable or 0 <= decided < view.commands:
                return
        else:
            decided = max(decided, known.decided)
        identity = commit_id(prev, epoch, record.value)
        if identity != headers.get("ce_id"):
            return
        if _ENDS.isdisjoint(types_in(headers)):
            self._others[run_id] = _Other(identity, decided)
        else:
            self._others.pop(run_id, None)
            view.ended[run_id] = decided


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else -1
