"""Named places at which a process may die: tests kill processes there, in production nothing happens.

Each stands between two steps that a crash must not tear apart: before something is made durable, or after it and before
the process acts on it or hears of it.
"""

from collections.abc import Callable
from enum import Enum


class CrashPoint(Enum):
    """Where a process may die."""

    FENCE_BEFORE = "before a fence is sent"
    FENCE_AFTER = "after a fence is on the log, before it is read back"
    TAKEN_OVER = "after everything up to the own fence is read, before work begins"
    COMMIT_BEFORE = "before a commit is sent"
    COMMIT_SENT = "after a commit is sent, before it is read back"
    COMMIT_READ_BACK = "after a commit is read back, before it is acted on"
    COMMIT_ACTED = "after a commit is acted on"
    COMMAND_TAKEN = "after a command is read, before it is decided"
    REFUSAL_RECORDED = "after a run's own refusal is read back, before it is repeated on rejections"
    REJECTION_BEFORE = "before a rejection is sent"
    REJECTION_AFTER = "after a rejection is on the log, before its command counts as decided"
    FORWARD_BEFORE = "before a command is sent to its own partition"
    FORWARD_AFTER = "after a command is on its own partition, before it counts as decided here"
    CHECKPOINT_TAKEN = "after a checkpoint's state is taken, before its first part is sent"
    CHECKPOINT_PART = "after a checkpoint's part is on the log, before the next one"
    CHECKPOINT_WRITTEN = "after a checkpoint's last part is on the log, before any record names it"
    ATTEMPT_BEFORE = "after an attempt's start is accepted, before the user's function is called"
    ATTEMPT_AFTER = "after the user's function has returned, before its outcome is proposed"
    REVOKED_DRAINED = "after partitions are drained for another executor, before they are let go"
    OFFSETS_BEFORE = "before the offsets of decided commands are committed"
    OFFSETS_AFTER = "after the offsets of decided commands are committed"
    EMBEDDED_BEFORE = "before a batch of the embedded log is written"
    EMBEDDED_WRITTEN = "after a batch of the embedded log is written, before it is synced"
    EMBEDDED_AFTER = "after a batch of the embedded log is synced, before anybody is told"
    PROJECTION_BEFORE = "before a projection's batch is written"
    PROJECTION_AFTER = "after a projection's batch is written, before the next one"
    VIEWS_BEFORE = "after new views are complete, before they take the place of the old ones"
    VIEWS_LISTED = "after the list of stores is replaced, before stores that it no longer names are removed"
    SERVICE_BEFORE = "before a progress service is called with a change"
    SERVICE_AFTER = "after a progress service has dealt with a change, before that is stored"
    PROGRESS_BEFORE = "before the progress of services is stored"
    PROGRESS_AFTER = "after the progress of services is stored"


def _pass(point: CrashPoint, /) -> None:
    """Go on."""


reached: Callable[[CrashPoint], None] = _pass
"""Called at each of these places, as `crash_points.reached(...)`; tests replace it."""
