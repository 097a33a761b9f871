"""Folding a partition up to a place, from the checkpoint that serves it."""

from collections.abc import Collection

from consumers.host.partial import PartialView
from engine.executor.beginning import begin
from engine.limits import FOLLOW_TURN_RECORDS
from engine.log.port import EVENTS, Log


async def fold_before(log: Log, partition: int, offset: int, workflows: Collection[str] = ()) -> PartialView:
    """Return the fold of everything below an offset.

    Args:
        log: The log.
        partition: The partition of `events`.
        offset: Where the fold ends.
        workflows: Ids of the workflows whose runs are folded; empty for all.

    Raises:
        LogDamagedError: The log's beginning is gone and no checkpoint can be used.
        LogError: The log cannot be read now.
    """
    view = PartialView((await begin(log, partition, before=offset)).view, workflows)
    while view.position < offset:
        records = await log.read(EVENTS, partition, view.position, min(FOLLOW_TURN_RECORDS, offset - view.position))
        if not records:
            break
        for record in records:
            view.fold(record)
    return view
