"""Reading accepted commits out of a log: all of them, those of some runs, or of the runs of a time."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from heapq import merge
from typing import Final, NamedTuple, Protocol

from engine.core.identity import id_floor, id_time, is_run_id
from engine.core.records import COMMIT, FENCE_KEY
from engine.core.state import RunState
from engine.core.view import Accepted, View
from engine.executor.beginning import begin
from engine.limits import WINDOW_SECONDS
from engine.log.partitioner import partition_of
from engine.log.port import EVENTS, Log, LogRecord
from projections.projection import Commit

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

    def check(self) -> None:
        """Require times with a time zone.

        Raises:
            ValueError: One has none.
        """
        for moment in self:
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"expected a time with a time zone, but found {moment.isoformat()}")

    def holds(self, state: RunState) -> bool:
        """Return whether a run was created within these times."""
        return (self.since is None and self.until is None) or self.covers(datetime.fromisoformat(state.created))

    def covers(self, created: datetime) -> bool:
        """Return whether a time lies within these times."""
        return (self.since is None or self.since <= created) and (self.until is None or created < self.until)

    def ids(self) -> tuple[str, str | None]:
        """Return texts between which the ids of these runs lie, the first one included; None for no end."""
        first = "" if self.since is None else id_floor(_milliseconds(self.since) - _SLACK_MS)
        return first, None if self.until is None else id_floor(_milliseconds(self.until) + _SLACK_MS)


class CommitTaker(Protocol):
    """Is handed what a `CommitReader` finds."""

    async def begin(self) -> None:
        """Hear that it is settled how far a partition is read: what its runs need is on the log already."""
        ...

    def take(self, partition: int, commit: Commit) -> None:
        """Take an accepted commit; those of one run come in their order."""
        ...

    def unreadable(self, runs: Mapping[str, str]) -> None:
        """Hear of all runs so far with a commit that this version cannot read, and why; nothing more of them comes."""
        ...

    async def step(self, partition: int, count: int, position: int | None) -> None:
        """Hear how far it is.

        Args:
            partition: The partition that is read.
            count: How many records were read since the step before, of those that had to be.
            position: All that is below this offset was handed over; None when only some runs are read.
        """
        ...


class CommitReader:
    """Reads the accepted commits of a log.

    Args:
        log: The log.
        taker: Is handed the commits.
        created: Only commits of runs created within these times are handed over. Where to begin and to stop to read
            follows from the times of the records: what a process wrote whose clock was an hour off may be left out.

    Raises:
        ValueError: A time has no time zone.
    """

    def __init__(self, log: Log, taker: CommitTaker, created: Created) -> None:
        created.check()
        self._log = log
        self._taker = taker
        self._created = created
        self._unreadable: dict[str, str] = {}

    async def first(self, number: int) -> int:
        """Return an offset of a partition below which there is nothing of the runs that are looked for."""
        since = self._created.since
        return 0 if since is None else await self._first_after(number, _milliseconds(since))

    async def partition(self, number: int, position: int = 0) -> None:
        """Read a partition, or the part of it that can hold the runs that are looked for.

        Args:
            number: The partition.
            position: All that is below this offset was handed over before.

        Raises:
            LogDamagedError: Something in the log is damaged, or its beginning is gone and is needed.
            LogError: It cannot be read.
        """
        until = self._created.until
        first = await self.first(number)
        last = None if until is None else _milliseconds(until) + _SLACK_MS
        now = 0

        def take(view: View, record: LogRecord) -> None:
            nonlocal now
            accepted = view.fold(record)
            if record.offset >= position:
                self._take(number, accepted, record)
            now = record.timestamp

        def enough(view: View) -> bool:
            return last is not None and now > last and not any(map(self._created.holds, view.runs.values()))

        await self._read(number, max(first, position), take, enough, done=position)

    async def some(self, run_ids: Iterable[str]) -> list[str]:
        """Read some runs; return those that the log does not have. What is no run id is one of them.

        Raises:
            LogDamagedError: Something in the log is damaged, or its beginning is gone and is needed.
            LogError: It cannot be read.
        """
        unknown: list[str] = []
        places: dict[int, set[str]] = defaultdict(set)
        for run_id in dict.fromkeys(run_ids):
            if is_run_id(run_id):
                places[partition_of(run_id, self._log.partitions)].add(run_id)
            else:
                unknown.append(run_id)
        read = self._by_key if self._log.indexed else self._by_time
        for number, wanted in places.items():
            found = await read(number, wanted)
            unknown += sorted(wanted - found - self._unreadable.keys())
        return unknown

    async def _by_key(self, number: int, wanted: set[str]) -> set[str]:
        """Read some runs by a log's index; return those that have commits that count."""
        found: set[str] = set()
        fences = await self._log.read_key(EVENTS, number, FENCE_KEY)
        for run_id in sorted(wanted):
            commits = await self._log.read_key(EVENTS, number, run_id)
            await self._taker.begin()
            view = View()
            for record in merge(commits, fences, key=_offset):
                if self._take(number, view.fold(record), record):
                    found.add(run_id)
            await self._step(number, len(commits), None, view)
        return found

    async def _by_time(self, number: int, wanted: set[str]) -> set[str]:
        """Read on from the first of the times that the ids carry until the runs have ended, or the log does."""
        found: set[str] = set()
        ended: set[str] = set()

        def take(view: View, record: LogRecord) -> None:
            if record.key in wanted or record.headers.get("ce_type") != COMMIT:
                accepted = view.fold(record)
                if self._take(number, accepted, record):
                    found.add(record.key)
                    if accepted is not None and accepted.after.status.terminal:
                        ended.add(record.key)

        first = await self._first_after(number, min(map(id_time, wanted)))
        await self._read(number, first, take, lambda _: ended == wanted)
        return found

    async def _read(
        self,
        number: int,
        first: int,
        take: Callable[[View, LogRecord], None],
        enough: Callable[[View], bool],
        *,
        done: int | None = None,
    ) -> None:
        """Hand over a partition's records, from an offset on up to where it ends now or where it is enough."""
        ends = await self._log.ends(EVENTS, number)
        await self._taker.begin()
        first = max(first, ends.start)
        view = (await begin(self._log, number, before=first)).view if first else View()

        def take_all(records: Sequence[LogRecord]) -> None:
            for record in records:
                take(view, record)

        while view.position < ends.end and not enough(view):
            start, stop = view.position, min(view.position + _STRETCH_RECORDS, ends.end)
            await self._log.scan(EVENTS, number, start, stop, take_all)
            view.position = stop
            # What is read only to know where runs stand at the first offset is no step forward.
            await self._step(number, max(0, stop - max(start, first)), None if done is None else max(stop, done), view)

    async def _first_after(self, number: int, milliseconds: int) -> int:
        return await self._log.first_after(EVENTS, number, max(0, milliseconds - _SLACK_MS))

    def _take(self, number: int, accepted: Accepted | None, record: LogRecord) -> bool:
        """Hand a commit over if it is one and asked for; return whether it is one."""
        if accepted is None:
            return False
        if self._created.holds(accepted.after):
            self._taker.take(number, Commit(accepted, record))
        return True

    async def _step(self, number: int, count: int, position: int | None, view: View) -> None:
        self._unreadable.update(view.unreadable)
        self._taker.unreadable(self._unreadable)
        await self._taker.step(number, count, position)
        # Some logs never wait when they are read, and others in this process want their turn.
        await asyncio.sleep(0)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _offset(record: LogRecord) -> int:
    return record.offset
