"""What the commands about groups of services share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from consumers.host.arguments import check_name
from consumers.host.opening import FOLLOWERS
from engine.cli.options import ReadingOptions
from engine.settings import Settings


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class GroupOptions(ReadingOptions):
    """What a command takes that is about a group of services."""

    group: Annotated[
        str, Parameter(name="--group", help="The group whose progress is recorded; others have their own")
    ] = "default"
    progress: Annotated[
        Path | None,
        Parameter(name="--progress", help="The directory of an embedded log's groups [followers in the log's]"),
    ] = None

    def directory(self, settings: Settings) -> Path | None:
        """Return the directory of the group's records, or None when they are on Kafka.

        Raises:
            ArgumentError: The group's name is none.
        """
        check_name("group", self.group)
        if not isinstance(settings.data, Path):
            return None
        return (self.progress or settings.data / FOLLOWERS) / self.group


GROUP_OPTIONS = GroupOptions()
