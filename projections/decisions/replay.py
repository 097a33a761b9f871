"""Decides what a log holds once more: all of it, some runs, or the runs of a time."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
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

_STRETCH_RECORDS: Final = 5_000
"""Records that are read before it is said how far it is, and looked whether that is enough."""
_SLACK_MS: Final = int((WINDOW_SECONDS + 60.0) * 1000)
"""How far the times in run ids and commits may lie from those that the log gives its records."""


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
        since: Only runs created at this time, with its time zone, or later. Where to begin to read follows from the
            times of the records: what a process wrote whose clock was an hour behind them may be left out.
        until: Only runs created before this time, with its time zone; where to stop follows in the same way.
        advance: Is told how many more records of `events` were read; None when nobody asks.

    Raises:
        ValueError: A time has no time zone.
        LogDamagedError: Something in the log is damaged, or its beginning is gone and is needed.
        LogError: It cannot be read.
    """
    for moment in (since, until):
        if moment is not None and moment.tzinfo is None:
            raise ValueError(f"expected a time with a time zone, but found {moment.isoformat()}")
    replay = _Replay(log, registry, Created(since, until), advance)
    if runs is None:
        for partition in range(log.partitions):
            await replay.partition(partition)
    else:
        await replay.some(runs)
    return replay.report


class _Replay:
    """Reads a log and hands on its commits."""

    def __init__(
        self, log: Log, registry: Registry | None, created: Created, advance: Callable[[int], None] | None
    ) -> None:
        self._log = log
        self._catalogue = Catalogue(log, Registry(), source="", now=SystemClock().now)
        self._redecider = Redecider(self._catalogue.definition, registry)
        self._created = created
        self._tell = advance
        self._held: dict[str, list[Accepted]] = {}
        self.report = self._redecider.report

    async def partition(self, number: int) -> None:
        """Read a partition, or the part of it that can hold the runs that are looked for."""
        since, until = self._created
        first = 0 if since is None else await self._first_after(number, _milliseconds(since))
        last = None if until is None else _milliseconds(until) + _SLACK_MS
        now = 0

        def take(view: View, record: LogRecord) -> None:
            nonlocal now
            self._take(view.fold(record))
            now = record.timestamp

        def enough(view: View) -> bool:
            return last is not None and now > last and not any(map(self._created.holds, view.runs.values()))

        view = await self._read(number, first, take, enough)
        self.report.unreadable_runs.update(view.unreadable)

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
            await self._catalogue.refresh()
            view = View()
            for record in merge(commits, fences, key=_offset):
                if self._take(view.fold(record)):
                    found.add(run_id)
            self.report.unreadable_runs.update(view.unreadable)
            await self._step(number, len(commits))
        return found

    async def _by_time(self, number: int, wanted: set[str]) -> set[str]:
        """Read on from the first of the times that the ids carry until the runs have ended, or the log does."""
        found: set[str] = set()
        ended: set[str] = set()

        def take(view: View, record: LogRecord) -> None:
            if record.key in wanted or record.headers.get("ce_type") != COMMIT:
                accepted = view.fold(record)
                if self._take(accepted):
                    found.add(record.key)
                    if accepted is not None and accepted.after.status.terminal:
                        ended.add(record.key)

        first = await self._first_after(number, min(map(id_time, wanted)))
        view = await self._read(number, first, take, lambda _: ended == wanted)
        self.report.unreadable_runs |= {run: why for run, why in view.unreadable.items() if run in wanted}
        return found

    async def _read(
        self, number: int, first: int, take: Callable[[View, LogRecord], None], enough: Callable[[View], bool]
    ) -> View:
        """Hand over a partition's records, from an offset on up to where it ends now or where it is enough."""
        ends = await self._log.ends(EVENTS, number)
        # Only now: the versions of all runs that are there have been published before.
        await self._catalogue.refresh()
        first = max(first, ends.start)
        view = (await begin(self._log, number, before=first)).view if first else View()

        def take_all(records: Sequence[LogRecord]) -> None:
            for record in records:
                take(view, record)

        while view.position < ends.end and not enough(view):
            start, stop = view.position, min(view.position + _STRETCH_RECORDS, ends.end)
            await self._log.scan(EVENTS, number, start, stop, take_all)
            view.position = stop
            await self._step(number, stop - start)
        return view

    async def _first_after(self, number: int, milliseconds: int) -> int:
        return await self._log.first_after(EVENTS, number, max(0, milliseconds - _SLACK_MS))

    def _take(self, accepted: Accepted | None) -> bool:
        """Decide a commit once more if it is one and asked for; hold it when commands are to be read for that."""
        if accepted is None:
            return False
        if self._created.holds(accepted.after):
            run_id = accepted.after.run_id
            if run_id in self._held or refused_offsets(accepted.value["events"]):
                # What follows in the run waits too: its commits are looked at in their order.
                self._held.setdefault(run_id, []).append(accepted)
            else:
                self._redecider.check(accepted)
        return True

    async def _step(self, number: int, count: int) -> None:
        """Do what was held, and say how far it is."""
        held, self._held = self._held, {}
        for commits in held.values():
            for accepted in commits:
                commands = await self._commands(number, refused_offsets(accepted.value["events"]))
                self._redecider.check(accepted, commands)
        if self._tell is not None:
            self._tell(count)
        # Some logs never wait when they are read, and others in this process want their turn.
        await asyncio.sleep(0)

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


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _offset(record: LogRecord) -> int:
    return record.offset
