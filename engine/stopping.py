"""Why whoever follows the log goes on no further in a partition: the words for it, the same for all of them."""

from enum import StrEnum

from engine.errors import RunlineError


class StopReason(StrEnum):
    """Why a partition is followed no further."""

    TOPIC_RECREATED = "topic_recreated"
    """The topic is not the one that was followed: it was deleted and made again, or it is another log's."""
    LOG_TRUNCATED = "log_truncated"
    """The partition ends before the position: records that were read are no longer there."""
    HISTORY_DIFFERS = "history_differs"
    """The partition holds other records below the position than those that were read."""
    PREFIX_LOST = "prefix_lost"
    """The partition begins behind the position: records that were not read are gone."""
    EVENT_FROM_FUTURE = "event_from_future"
    """A commit holds an event of a newer version of Runline."""
    PROJECTION_FAILED = "projection_failed"
    """A projection cannot fold the next records: it has a fault."""
    TOO_MANY_PARKED = "too_many_parked"
    """So many changes wait to be looked at by people that the progress service itself must be at fault."""


class PartitionStoppedError(RunlineError):
    """A partition cannot be followed further; others can, and others can follow this one.

    Attributes:
        reason: Why.
    """

    code = "partition_stopped"

    def __init__(self, reason: StopReason, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
