"""What goes wrong at a host of progress services."""

from enum import StrEnum

from engine.errors import RunlineError


class ServiceInvalidError(RunlineError):
    """A progress service cannot be loaded, or is none."""

    code = "service_invalid"


class ParkedNotFoundError(RunlineError):
    """No parked change has this event id."""

    code = "parked_not_found"


class GroupDiffersError(RunlineError):
    """The group follows with other services than this host has."""

    code = "group_differs"


class StopReason(StrEnum):
    """Why a service follows a partition no further."""

    TOPIC_RECREATED = "topic_recreated"
    """The topic is not the one that was followed: it was deleted and made again, or it is another log's."""
    LOG_TRUNCATED = "log_truncated"
    """The partition ends before the position: records that were followed are no longer there."""
    POSITION_GONE = "position_gone"
    """The partition begins behind the position."""
    EVENT_FROM_FUTURE = "event_from_future"
    """A commit holds an event of a newer version of Runline."""
    TOO_MANY_PARKED = "too_many_parked"
    """So many changes wait to be looked at by people that the service itself must be at fault."""


class PartitionStoppedError(RunlineError):
    """A service cannot follow a partition further; it can others, and others can this one.

    Attributes:
        reason: Why.
    """

    code = "partition_stopped"

    def __init__(self, reason: StopReason, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
