"""The group of a log that has one process: it owns every partition, at once and for good."""

import asyncio

from engine.errors import LogError
from engine.log.port import Owner


class Alone:
    """The only member of a group."""

    def __init__(self, partitions: int, owner: Owner) -> None:
        owner.assigned(range(partitions))

    async def confirm(self, partition: int) -> bool:  # noqa: ARG002 - every partition is
        """Nobody else could own it."""
        return True

    async def shut_out(self) -> LogError:
        """Wait for ever: nobody else could take its place."""
        never: asyncio.Future[LogError] = asyncio.get_running_loop().create_future()
        return await never

    async def leave(self) -> None:
        """There is nobody to leave."""
