"""Folding a partition up to a place, from the checkpoint that serves it."""

from engine.core.view import View
from engine.executor.beginning import begin
from engine.limits import FOLLOW_TURN_RECORDS
from engine.log.port import EVENTS, Log


async def fold_before(log: Log, partition: int, offset: int) -> View:
    """Return the fold of everything below an offset.

    Raises:
        LogDamagedError: The log's beginning is gone and no checkpoint can be used.
        LogError: The log cannot be read now.
    """
    view = (await begin(log, partition, before=offset)).view
    while view.position < offset:
        records = await log.read(EVENTS, partition, view.position, min(FOLLOW_TURN_RECORDS, offset - view.position))
        if not records:
            break
        for record in records:
            view.fold(record)
    return view
