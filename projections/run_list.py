"""The list of runs, the most recently active first, read from the end of the log."""

from collections.abc import AsyncIterator
from heapq import heapify, heappop, heappush

from engine.core.records import COMMIT
from engine.core.state import RunStatus
from engine.history import read_history, run_in
from engine.log.port import EVENTS, Log, LogRecord
from engine.run import Run

_READ_AT_ONCE = 256
"""Records read at once while walking back."""


async def list_runs(log: Log, *, limit: int, status: RunStatus | None = None, workflow: str | None = None) -> list[Run]:
    """Return runs as they stand now, the most recently active first.

    Reads the log backwards and stops when it has enough.

    Args:
        log: The log.
        limit: How many runs at most, 0 or more.
        status: Only runs in this status; None for all.
        workflow: Only runs of the workflow with this id; None for all.

    Raises:
        LogError: The log cannot be read.
    """
    found: list[Run] = []
    seen: set[str] = set()
    if limit <= 0:
        return found
    async for record in _backwards(log):
        run_id = record.headers.get("ce_subject", "")
        if record.headers.get("ce_type") != COMMIT or run_id in seen:
            continue
        seen.add(run_id)
        # None for a run whose every commit was written by a replaced executor.
        run = run_in(await read_history(log, run_id))
        if run is not None and status in {None, run.run_status} and workflow in {None, run.workflow_id}:
            found.append(run)
            if len(found) == limit:
                break
    return found


async def _backwards(log: Log) -> AsyncIterator[LogRecord]:
    """Yield the records of all partitions, the newest first."""
    partitions = [_partition_backwards(log, number) for number in range(log.partitions)]
    newest: list[tuple[int, int, LogRecord]] = []
    for number, partition in enumerate(partitions):
        async for record in partition:
            newest.append((-record.timestamp, number, record))
            break
    heapify(newest)
    while newest:
        _, number, record = heappop(newest)
        yield record
        async for following in partitions[number]:
            heappush(newest, (-following.timestamp, number, following))
            break


async def _partition_backwards(log: Log, partition: int) -> AsyncIterator[LogRecord]:
    ends = await log.ends(EVENTS, partition)
    end = ends.end
    while end > ends.start:
        first = max(ends.start, end - _READ_AT_ONCE)
        for record in reversed(await log.read(EVENTS, partition, first, end - first)):
            yield record
        end = first
