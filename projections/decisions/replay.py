"""Decides what a log holds once more: all of it, some runs, or the runs of a time."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import merge
from typing import Final, NamedTuple

from engine.catalogue import Catalogue
from engine.core.commands import Command, decode
from engine.core.identity import id_time, is_run_id
from engine.core.records import COMMIT, FENCE_KEY
from engine.core.rejection import Rejection
from engine.core.state import RunState
from engine.core.view import Accepted, View
from engine.executor.beginning import begin
from engine.limits import WINDOW_SECONDS
from engine.log.errors import OffsetOutOfRangeError
from engine.log.partitioner import partition_of
from engine.log.port import COMMANDS, EVENTS, Log, LogRecord
from engine.ports import SystemClock
from engine.registry import Registry
from projections.decisions.inputs import refused_offsets
from projections.decisions.redecider import DecisionReport, Redecider

_READ_AT_ONCE: Final = 500
_SLACK: Final = timedelta(seconds=WINDOW_SECONDS + 60.0)
"""How far the times in run ids and commits may lie from those that the log gives its records."""
_MILLISECOND: Final = timedelta(milliseconds=1)


class Created(NamedTuple):
    """When runs were created.

    Attributes:
        since: At this time, which has a time zone, or later; None for any.
        until: Before this time, which has a time zone; None for any.
    """

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, state: RunState) -> bool:
        """Return whether a run was created within these times."""
        if self.since is None and self.until is None:
            return True
        created = datetime.fromisoformat(state.created)
        return (self.since is None or self.since <= created) and (self.until is None or created < self.until)


async def replay_decisions(
    log: Log,
    *,
    registry: Registry | None = None,
    runs: Iterable[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    advance: Callable[[int], None] | None = None,
) -> DecisionReport:
    """Decide every accepted commit once more, with the code of today, and compare.

    Nothing is written, and no function or predicate is called.

    Args:
        log: The log.
        registry: The node types that can be asked; the built-in ones unless given.
        runs: Ids of the runs to look at; all unless given.
        since: Only runs created at this time, with its time zone, or later.
        until: Only runs created before this time, with its time zone.
        advance: Is told how many more records of `events` were read; None when nobody asks.

    Raises:
        LogError: The log cannot be read. LogDamagedError: Or its beginning is gone and is needed.
    """
    catalogue = Catalogue(log, Registry(), source="", now=SystemClock().now)
    await catalogue.refresh()
    created = Created(since, until)
    replay = _Replay(log, Redecider(catalogue.definition, registry), created, advance)
    if runs is None:
        for partition in range(log.partitions):
            await replay.partition(partition)
    else:
        await replay.some(runs)
    return replay.report


class _Replay:
    """Reads a log and hands on its commits."""

    def __init__(self, log: Log, redecider: Redecider, created: Created, advance: Callable[[int], None] | None) -> None:
        self._log = log
        self._redecider = redecider
        self._created = created
        self._tell = advance
        self.report = redecider.report

    async def partition(self, number: int) -> None:
        """Read a partition, or the part of it that can hold the runs that are looked for."""
        since, until = self._created
        first = 0 if since is None else await self._log.first_after(EVENTS, number, _milliseconds(since - _SLACK))
        last = None if until is None else _milliseconds(until + _SLACK)
        async for view, records in self._pages(number, first):
            for record in records:
                await self._fold(number, view, record)
            self.report.unreadable_runs.update(view.unreadable)
            if last is not None and records[-1].timestamp > last and not self._awaits(view):
                return

    async def some(self, run_ids: Iterable[str]) -> None:
        """Read some runs; what is no run id is a run that the log does not have."""
        places: dict[int, set[str]] = defaultdict(set)
        for run_id in dict.fromkeys(run_ids):
            if is_run_id(run_id):
                places[partition_of(run_id, self._log.partitions)].add(run_id)
            else:
                self.report.unknown_runs.append(run_id)
        read = self._by_key if self._log.indexed else self._by_time
        for number, wanted in places.items():
            found = await read(number, wanted)
            self.report.unknown_runs += sorted(wanted - found - self.report.unreadable_runs.keys())

    async def _by_key(self, number: int, wanted: set[str]) -> set[str]:
        """Read some runs by a log's index; return those that have commits that count."""
        found: set[str] = set()
        fences = await self._log.read_key(EVENTS, number, FENCE_KEY)
        for run_id in sorted(wanted):
            commits = await self._log.read_key(EVENTS, number, run_id)
            view = View()
            for record in merge(commits, fences, key=_offset):
                if await self._fold(number, view, record) is not None:
                    found.add(run_id)
            self.report.unreadable_runs.update(view.unreadable)
            self._advance(len(commits))
        return found

    async def _by_time(self, number: int, wanted: set[str]) -> set[str]:
        """Read on from the first of the times that the ids carry until the runs have ended, or the log does."""
        found: set[str] = set()
        ended: set[str] = set()
        earliest = min(map(id_time, wanted)) - _SLACK // _MILLISECOND
        first = await self._log.first_after(EVENTS, number, earliest)
        async for view, records in self._pages(number, first):
            for record in records:
                if record.key not in wanted and record.headers.get("ce_type") == COMMIT:
                    view.position = record.offset + 1
                elif (accepted := await self._fold(number, view, record)) is not None:
                    found.add(record.key)
                    if accepted.after.status.terminal:
                        ended.add(record.key)
            self.report.unreadable_runs |= {run: why for run, why in view.unreadable.items() if run in wanted}
            if ended == wanted:
                break
        return found

    async def _pages(self, number: int, first: int) -> AsyncIterator[tuple[View, Sequence[LogRecord]]]:
        """Yield a partition's records from an offset on up to where it ends now, and the view that is to fold them."""
        ends = await self._log.ends(EVENTS, number)
        first = max(first, ends.start)
        view = (await begin(self._log, number, before=first)).view if first else View()
        while view.position < ends.end:
            count = min(_READ_AT_ONCE, ends.end - view.position)
            records = await self._log.read(EVENTS, number, view.position, count)
            if not records:
                return
            self._advance(len(records))
            yield view, records
            # Some logs never wait when they are read, and others in this process want their turn.
            await asyncio.sleep(0)

    async def _fold(self, number: int, view: View, record: LogRecord) -> Accepted | None:
        accepted = view.fold(record)
        if accepted is not None and self._created.holds(accepted.after):
            offsets = refused_offsets(accepted.value["events"])
            self._redecider.check(accepted, await self._commands(number, offsets) if offsets else {})
        return accepted

    async def _commands(self, number: int, offsets: Sequence[int]) -> Mapping[int, Command]:
        """Return those of some commands that are still there."""
        found: dict[int, Command] = {}
        for offset in offsets:
            try:
                records = await self._log.read(COMMANDS, number, offset, 1)
            except OffsetOutOfRangeError:
                continue
            command = decode(records[0].value) if records and records[0].offset == offset else None
            if command is not None and not isinstance(command, Rejection):
                found[offset] = command
        return found

    def _advance(self, count: int) -> None:
        if self._tell is not None:
            self._tell(count)

    def _awaits(self, view: View) -> bool:
        return any(self._created.holds(state) for state in view.runs.values())


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _offset(record: LogRecord) -> int:
    return record.offset
