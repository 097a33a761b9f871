"""Whose views these are: those of another log are never shown as this one's, and nothing is folded into them."""

from collections.abc import Sequence
from pathlib import Path

from engine.log.port import Log
from projections.errors import ViewsError
from projections.position import Position


async def is_own(position: Position, log: Log) -> bool:
    """Return whether a partition was folded from this log, or nothing of it was folded yet.

    Raises:
        LogError: The log cannot be read.
    """
    return position.topic_id in {"", await log.topic_id(position.topic)}


async def require_own(positions: Sequence[Position], log: Log, directory: Path) -> None:
    """Refuse the views of another log.

    Args:
        positions: How far each partition is folded into them.
        log: The log whose views they are to be.
        directory: Where they are.

    Raises:
        ViewsError: They are of another one.
        LogError: The log cannot be read.
    """
    for position in positions:
        if not await is_own(position, log):
            raise ViewsError(
                f"expected the views of this log in {directory}, but they are those of another log, "
                f"or of the topic {position.topic} before it was made again.",
                hint="Name another directory with --views DIR. Or fold this log into it: runline rebuild.",
            )
