"""The history of one run: its accepted commits, read from the log by key."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import merge

from engine.change import changes_of
from engine.core.identity import id_time
from engine.core.records import FENCE_KEY
from engine.core.view import Accepted, View
from engine.executor.beginning import begin
from engine.limits import SEARCH_SLACK_SECONDS, WINDOW_SECONDS
from engine.log.partitioner import partition_of
from engine.log.port import EVENTS, Log, LogRecord
from engine.run import Run, Trace, run_of

_READ_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a trace: what one executor had of it.

    Attributes:
        number: From 1.
        executor: The process that worked on it; empty for a node that needs none.
        started: UTC.
        stopped: UTC: when the trace stopped, or when the next attempt replaced this one; None while it runs.
        lost: Whether another attempt replaced it, because its executor was lost.
    """

    number: int
    executor: str
    started: datetime
    stopped: datetime | None
    lost: bool


async def read_history(log: Log, run_id: str) -> list[Accepted]:
    """Return a run's accepted commits, oldest first; empty for a run the log does not know.

    The fences are read too: they decide which commits count.

    Raises:
        LogError: The log cannot be read.
    """
    if not log.indexed:
        return await _search_history(log, run_id)
    partition = partition_of(run_id, log.partitions)
    commits = await log.read_key(EVENTS, partition, run_id)
    if not commits:
        return []
    fences = await log.read_key(EVENTS, partition, FENCE_KEY)
    view = View()
    accepted = (view.fold(record) for record in merge(commits, fences, key=_offset))
    return [commit for commit in accepted if commit is not None]


async def _search_history(log: Log, run_id: str) -> list[Accepted]:
    """Read on from the time that the run's id carries until the run ends, or the log does.

    The times of ids are bound to the times of the log: nobody can create a run with an id from outside the window.
    """
    partition = partition_of(run_id, log.partitions)
    end = (await log.ends(EVENTS, partition)).end
    for slack in (SEARCH_SLACK_SECONDS, WINDOW_SECONDS + SEARCH_SLACK_SECONDS):
        start = await log.first_after(EVENTS, partition, id_time(run_id) - int(slack * 1000))
        view = (await begin(log, partition, before=start)).view
        if run_id not in view.runs and (history := await _follow_run(log, partition, run_id, view, end)):
            return history
    return []


async def _follow_run(log: Log, partition: int, run_id: str, view: View, end: int) -> list[Accepted]:
    history: list[Accepted] = []
    while view.position < end:
        records = await log.read(EVENTS, partition, view.position, min(_READ_AT_ONCE, end - view.position))
        for record in records:
            if record.key in (run_id, FENCE_KEY) and (accepted := view.fold(record)) is not None:
                history.append(accepted)
                if accepted.after.status.terminal:
                    return history
        if not records:
            break
        view.position = records[-1].offset + 1
    return history


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


def attempts_in(history: Sequence[Accepted]) -> dict[int, list[Attempt]]:
    """Return the attempts of a run's traces by the traces' numbers, each in order, as its history leaves them."""
    attempts: dict[int, list[Attempt]] = {}
    for accepted in history:
        time = datetime.fromisoformat(accepted.value["time"])
        for event in accepted.value["events"]:
            match event["type"]:
                case "trace.started":
                    known = attempts.setdefault(event["trace"], [])
                    if known:
                        known[-1] = replace(known[-1], stopped=time, lost=True)
                    known.append(Attempt(event["attempt"], event.get("executor", ""), time, None, lost=False))
                case "trace.succeeded" | "trace.failed" | "trace.cancelled":
                    known = attempts[event["trace"]]
                    known[-1] = replace(known[-1], stopped=time)
                case _:
                    pass
    return attempts


def _offset(record: LogRecord) -> int:
    return record.offset
