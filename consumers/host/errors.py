"""What goes wrong at a host of progress services."""

from engine.errors import RunlineError
from engine.stopping import PartitionStoppedError, StopReason

__all__ = [
    "GroupDiffersError",
    "HostCancelledError",
    "ParkedNotFoundError",
    "PartitionStoppedError",
    "ServiceInvalidError",
    "StopReason",
]


class ServiceInvalidError(RunlineError):
    """A progress service cannot be loaded, or is none."""

    code = "service_invalid"


class ParkedNotFoundError(RunlineError):
    """No parked change has this event id."""

    code = "parked_not_found"


class GroupDiffersError(RunlineError):
    """The group has other services than this host, or a host that must be alone, or is another one."""

    code = "group_differs"


class HostCancelledError(RunlineError):
    """The tasks of a host were cancelled although it was not closed, so it follows nothing any more."""

    code = "host_cancelled"

    def __init__(self) -> None:
        super().__init__(
            "expected nobody but the host to cancel its tasks, but all or some of them were cancelled: a service may "
            "have cancelled all tasks of its event loop, or the loop has ended before the host was closed.",
            hint="Cancel only tasks that the service has made, or give it an event loop of its own with --own-loops. "
            "What it had not dealt with is delivered by the next host.",
        )
