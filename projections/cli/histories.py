"""A run's history, from where it is found quickest and is as fresh as the log."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from engine.core.view import Accepted
from engine.errors import RunlineError, RunNotFoundError
from engine.history import read_history
from engine.log.partitioner import partition_of
from engine.log.port import EVENTS, Log
from engine.settings import Settings
from projections.views import Views

_PATIENCE_SECONDS: Final = 0.5
"""How long views that somebody keeps fresh may trail; searching the log takes about as long."""


async def find_history(log: Log, settings: Settings, run_id: str) -> Sequence[Accepted]:
    """Return a run's accepted commits with the states between them, oldest first, at least one.

    A log that finds records by key is asked itself. Another one has to be searched from the run's creation on, so views
    that reach to its end are asked instead, where there are any; none are made for that.

    Raises:
        RunNotFoundError: There is no such run.
        LogError: The log cannot be read.
    """
    if not log.indexed and (viewed := await _viewed(log, settings, run_id)):
        return viewed
    history = await read_history(log, run_id)
    if not history:
        raise RunNotFoundError(
            f"Expected the id of a run in {settings.data}, but it has none with the id {run_id}.",
            hint="'runline runs' lists the runs of a log.",
        )
    return history


async def _viewed(log: Log, settings: Settings, run_id: str) -> Sequence[Accepted]:
    """Return what the views have of a run if they reach to the log's end; nothing if only the log can tell."""
    with suppress(RunlineError):
        async with Views.open(settings.views) as views:
            topic_id = await log.topic_id(EVENTS)
            if any(position.topic_id != topic_id for position in await views.positions() if position.topic == EVENTS):
                return ()
            end = (await log.ends(EVENTS, partition_of(run_id, log.partitions))).end
            await views.reach_offset(run_id, end, timeout=_PATIENCE_SECONDS)
            return views.get_history(run_id)
    return ()
