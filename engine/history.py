"""The history of one run: its accepted commits, read from the log by key."""

from collections.abc import Sequence
from heapq import merge

from engine.change import changes_of
from engine.core.records import FENCE_KEY
from engine.core.view import Accepted, View
from engine.log.partitioner import partition_of
from engine.log.port import EVENTS, Log, LogRecord
from engine.run import Run, Trace, run_of


async def read_history(log: Log, run_id: str) -> list[Accepted]:
    """Return a run's accepted commits, oldest first; empty for a run the log does not know.

    The fences are read too: they decide which commits count.
    """
    partition = partition_of(run_id, log.partitions)
    commits = await log.read_key(EVENTS, partition, run_id)
    if not commits:
        return []
    fences = await log.read_key(EVENTS, partition, FENCE_KEY)
    view = View()
    accepted = (view.fold(record) for record in merge(commits, fences, key=_offset))
    return [commit for commit in accepted if commit is not None]


def run_in(history: Sequence[Accepted]) -> Run | None:
    """Return the run as its history leaves it, or None when it has none."""
    return run_of(history[-1].after) if history else None


def traces_in(history: Sequence[Accepted]) -> list[Trace]:
    """Return a run's traces as its history leaves them, in the order in which they began."""
    traces: dict[int, Trace] = {}
    for accepted in history:
        for change in changes_of(accepted):
            if isinstance(change.subject, Trace):
                traces[change.subject.number] = change.subject
    return [traces[number] for number in sorted(traces)]


def _offset(record: LogRecord) -> int:
    return record.offset
