"""Decides what a log holds once more: all of it, some runs, or the runs of a time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from engine.catalogue import Catalogue
from engine.core.commands import Command, decode
from engine.core.rejection import Rejection
from engine.core.view import Accepted
from engine.log.errors import OffsetOutOfRangeError
from engine.log.port import COMMANDS, Log
from engine.ports import SystemClock
from engine.registry import Registry
from projections.commit_reader import CommitReader, Created
from projections.decisions.inputs import refused_offsets
from projections.decisions.redecider import DecisionReport, Redecider
from projections.projection import Commit


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
    replay = DecisionReplay(log, registry, advance)
    reader = CommitReader(log, replay, Created(since, until))
    if runs is None:
        for partition in range(log.partitions):
            await reader.partition(partition)
    else:
        replay.report.unknown_runs += await reader.some(runs)
    return replay.report


class DecisionReplay:
    """Takes commits from a `CommitReader` and decides them once more.

    Args:
        log: The log that they are from: definitions and refused commands are read there.
        registry: The node types that can be asked; the built-in ones unless given.
        advance: Is told how many more records were read; None when nobody asks.

    Attributes:
        redecider: What decides.
    """

    def __init__(
        self, log: Log, registry: Registry | None = None, advance: Callable[[int], None] | None = None
    ) -> None:
        self._log = log
        self._catalogue = Catalogue(log, Registry(), source="", now=SystemClock().now)
        self._tell = advance
        self._held: dict[str, list[Accepted]] = {}
        self.redecider = Redecider(self._catalogue.definition, registry)

    @property
    def report(self) -> DecisionReport:
        """What came of it so far."""
        return self.redecider.report

    async def begin(self) -> None:
        """Learn the versions of all runs that are there: they have been published before."""
        await self._catalogue.refresh()

    def take(self, partition: int, commit: Commit) -> None:  # noqa: ARG002 - the protocol's
        """Decide a commit once more; hold it when commands are to be read for that."""
        accepted = commit.accepted
        run_id = accepted.after.run_id
        if run_id in self._held or refused_offsets(accepted.value["events"]):
            # What follows in the run waits too: its commits are looked at in their order.
            self._held.setdefault(run_id, []).append(accepted)
        else:
            self.redecider.check(accepted)

    def unreadable(self, runs: Mapping[str, str]) -> None:
        """Take over which runs cannot be read."""
        self.report.unreadable_runs.update(runs)

    async def step(self, partition: int, count: int, position: int | None) -> None:  # noqa: ARG002 - the protocol's
        """Do what was held, and say how far it is."""
        held, self._held = self._held, {}
        for commits in held.values():
            for accepted in commits:
                commands = await self._commands(partition, refused_offsets(accepted.value["events"]))
                self.redecider.check(accepted, commands)
        if self._tell is not None:
            self._tell(count)

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
