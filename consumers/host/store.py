"""Where a group keeps how far its services have come: the port of both adapters."""

from collections.abc import Sequence
from typing import Protocol

from consumers.host.bulletin import Announced
from consumers.host.calls import NotedCall
from consumers.host.parked import Parked, Request
from consumers.host.progress import PartitionProgress
from engine.errors import LogError
from engine.log.port import Owner


class ProgressStore(Protocol):
    """A group's records of its services: how far they have come, and what is parked.

    All methods raise RunlineError when the records cannot be read or written now.
    """

    @property
    def shared(self) -> bool:
        """Whether other hosts may be in the group at the same time."""
        ...

    async def join(self, owner: Owner, services: Sequence[str]) -> None:
        """Become a member of the group with these services; the owner hears which partitions are its own."""
        ...

    async def others(self) -> Announced:
        """Wait for the next host of the group that begins with other services, or is at work with them."""
        ...

    async def shut_out(self) -> LogError:
        """Wait until this host can never be in the group again, and return why; for ever where that cannot be."""
        ...

    async def leave(self) -> None:
        """Leave the group, and let go of the records."""
        ...

    async def load(self, partition: int) -> PartitionProgress | None:
        """Return how far the group has come in a partition, or None when it has not begun."""
        ...

    async def save(self, partition: int, progress: PartitionProgress) -> None:
        """Record how far the group has come in a partition, which is this member's."""
        ...

    async def parked(self, partition: int) -> list[Parked]:
        """Return what is parked of a partition."""
        ...

    async def park(self, parked: Parked) -> None:
        """Keep a parked change, in place of what was kept under its key."""
        ...

    async def unpark(self, key: str) -> None:
        """Forget a parked change, by its key."""
        ...

    async def noted(self, partition: int) -> Sequence[NotedCall]:
        """Return the calls that were written down in a partition."""
        ...

    async def note(self, partition: int, calls: Sequence[NotedCall]) -> None:
        """Write calls down, in place of those that were: they survive the death of the process."""
        ...

    async def asked(self) -> Request:
        """Wait for the next thing that people ask for, of any partition."""
        ...
