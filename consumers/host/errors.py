"""What goes wrong at a host of progress services."""

from engine.errors import RunlineError
from engine.stopping import PartitionStoppedError, StopReason

__all__ = ["GroupDiffersError", "ParkedNotFoundError", "PartitionStoppedError", "ServiceInvalidError", "StopReason"]


class ServiceInvalidError(RunlineError):
    """A progress service cannot be loaded, or is none."""

    code = "service_invalid"


class ParkedNotFoundError(RunlineError):
    """No parked change has this event id."""

    code = "parked_not_found"


class GroupDiffersError(RunlineError):
    """The group follows with other services than this host has."""

    code = "group_differs"
