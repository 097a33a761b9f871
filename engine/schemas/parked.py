"""The values of records on the topic `parked`, which hosts of progress services write.

They are written down here a second time: whoever describes the log cannot know its hosts. A test compares.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, RootModel
from typing_extensions import TypedDict

from engine.core.identity import RUN_ID_PATTERN
from engine.schemas.headers import RunId, Text, Time

_NAME: Final = "[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}"
_PARTITION: Final = "[0-9]{6}"
PARKED_KEY: Final = (
    f"^{_NAME}/{_NAME}/{_PARTITION}/{RUN_ID_PATTERN.removeprefix('^').removesuffix('$')}/[0-9]{{20}}[.][0-9]{{6}}$"
)
"""The group, the service, the partition, the run, and where the event stands: its commit's offset, its place there."""
CALLS_KEY: Final = f"^{_NAME}/!calls/{_PARTITION}$"
"""The group and the partition."""
HOST_KEY: Final = f"^{_NAME}/!host$"
"""The group."""

_Count = Annotated[int, Field(ge=0)]


class ParkedChange(TypedDict):
    """A change that a service kept failing on.

    Attributes:
        service: The service's name.
        partition: The partition of `events`.
        run_id: The run's id.
        offset: The offset of the commit's record in `events`.
        index: The event's place in the commit.
        event_id: The change's own id: the commit's, a dot, and the event's place.
        event_type: The event's type.
        error: Why the last call failed.
        attempts: Calls so far.
        time: When it was parked, RFC 3339 in UTC.
        held: Whether later changes of the run wait behind it.
        behind: How many do, when last counted.
        asked: What people asked for that is not done yet, or an empty text.
    """

    service: Text
    partition: _Count
    run_id: RunId
    offset: _Count
    index: _Count
    event_id: Text
    event_type: Text
    error: str
    attempts: _Count
    time: Time
    held: bool
    behind: _Count
    asked: Literal["", "retry", "skip"]


NotedCall = Annotated[
    list[str | _Count | bool],
    Field(
        min_length=5,
        max_length=5,
        description="The service's name, the offset of the commit, the event's place in it, how often a process ended "
        "in this call, and whether the call is under way or about to be.",
    ),
]


class NotedCalls(RootModel[list[NotedCall]]):
    """The calls that hosts of a group are about to make in a partition in which one has died, all of them."""


class HostAnnouncement(TypedDict):
    """What a host says of itself to the others of its group.

    Attributes:
        host: Tells it from others, for people, too.
        services: The names of its services, in their order.
        answer: Whether it says so because another host did.
    """

    host: Text
    services: list[Text]
    answer: bool
