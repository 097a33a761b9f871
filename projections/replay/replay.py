"""Folds and decides a log once more with the code of today, and compares with its views and with what was decided."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.log.embedded import ReadOnlyLog
from engine.log.port import EVENTS, Log
from engine.registry import Registry
from projections.audit.audit import log_identity
from projections.commit_reader import CommitReader, Created
from projections.decisions import DecisionReport
from projections.decisions.replay import DecisionReplay
from projections.errors import ViewsNotReadyError
from projections.projection import Projection
from projections.projector import VIEWS
from projections.replay.live import LiveViews, open_live
from projections.replay.reading import RunRows, SavedReading
from projections.replay.rows import RowComparison
from projections.replay.scratch import Scratch, open_scratch
from projections.replay.some import SomeRuns
from projections.replay.whole import ReplayedPartition, WholeReplay

_ALL: Final = Created()
Advance = Callable[[int], None]
"""Is told how many more steps are done."""
Stage = Callable[[str, str, int | None], AbstractContextManager[Advance]]
"""Begins a part of the work: its title, what its steps are, and how many there are, if that is known."""


@dataclass(slots=True)
class ViewsReport:
    """What came of comparing the views.

    Attributes:
        directory: Where they are.
        why_not: Why they were not compared, or an empty text.
        partitions: How far they were compared.
        rows: Their rows.
    """

    directory: Path
    why_not: str = ""
    partitions: list[ReplayedPartition] = field(default_factory=list)
    rows: RowComparison = field(default_factory=RowComparison)

    @property
    def same(self) -> bool:
        """Whether nothing was found that differs."""
        return not self.rows.differing and not any(each.trouble for each in self.partitions)


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What came of a replay.

    Attributes:
        views: The views, beside the rows that the log gives.
        decisions: The recorded decisions, beside those of today.
    """

    views: ViewsReport
    decisions: DecisionReport

    @property
    def same(self) -> bool:
        """Whether nothing was found that differs, and all decisions were compared."""
        return self.views.same and self.decisions.same


@contextmanager
def unseen(title: str, unit: str, total: int | None) -> Iterator[Advance]:  # noqa: ARG001 - a `Stage` for nobody
    """Show nobody how far it is."""
    yield lambda _: None


class Replay:
    """One replay of a log.

    Args:
        log: The log; others may write it meanwhile.
        views: The directory of its views; others may fold into it meanwhile.
        work: The directory from which an interrupted replay goes on; what a finished one wrote there is removed.
        registry: The node types that can be asked; the built-in ones unless given. Nothing is executed.
        stage: Shows how far it is.
        projections: The set that the views are folded by, and that is compared of them.
    """

    def __init__(
        self,
        log: Log,
        views: Path,
        work: Path,
        *,
        registry: Registry | None = None,
        stage: Stage = unseen,
        projections: Sequence[Projection] = VIEWS,
    ) -> None:
        self._log = log
        self._work = work
        self._projections = projections
        self._stage = stage
        self._views = ViewsReport(views)
        self._decisions = DecisionReplay(log, registry)

    async def whole(self, name: str = "") -> ReplayReport:
        """Replay the whole log.

        Args:
            name: Tells replays from each other that may not go on from what the other one wrote.

        Raises:
            ViewsError: The views are of another log, or of a newer version.
            StoreError: They cannot be read, or the working directory cannot be used.
            LogError: The log cannot be read.
        """
        with ExitStack() as opened:
            live, scratch = await self._open(opened, self._projections, "whole", name)
            if live is not None:
                await self._compare_all(live, scratch)
            reading = SavedReading(scratch, self._decisions, None)
            await self._read("deciding once more", reading, _ALL)
            scratch.remove()
        return ReplayReport(self._views, self._decisions.report)

    async def created(self, created: Created, name: str = "") -> ReplayReport:
        """Replay the runs that were created within a time; the views of other projections than ours are left out.

        Args:
            created: The time.
            name: As for `whole`.

        Raises:
            ValueError: A time has no time zone.
            ViewsError: The views are of another log, or of a newer version, or cannot be folded.
            StoreError: They cannot be read, or the working directory cannot be used.
            LogError: The log cannot be read.
        """
        created.check()
        with ExitStack() as opened:
            live, scratch = await self._open(opened, VIEWS, "created", *map(str, created), name)
            reading = SavedReading(scratch, self._decisions, _rows(live, scratch))
            await self._read("folding and deciding once more", reading, created)
            await self._compare_some(live, scratch, created)
            scratch.remove()
        return ReplayReport(self._views, self._decisions.report)

    async def runs(self, run_ids: Collection[str]) -> ReplayReport:
        """Replay some runs, from their beginnings each time; errors are those of `created`.

        Args:
            run_ids: The runs.
        """
        with ExitStack() as opened:
            live, scratch = await self._open(opened, VIEWS, "runs", *sorted(run_ids))
            scratch.clear()
            # Nothing of it is gone on with.
            opened.callback(scratch.remove)
            reading = SavedReading(scratch, self._decisions, _rows(live, scratch))
            reader = CommitReader(self._log, reading, _ALL)
            with self._stage("folding and deciding once more", "records", None) as reading.advance:
                self._decisions.report.unknown_runs += await reader.some(run_ids)
            await self._compare_some(live, scratch, run_ids)
        return ReplayReport(self._views, self._decisions.report)

    async def _open(
        self, opened: ExitStack, projections: Sequence[Projection], *of: str
    ) -> tuple[LiveViews | None, Scratch]:
        live = None
        try:
            live = opened.enter_context(open_live(self._views.directory, projections))
        except ViewsNotReadyError as error:
            self._views.why_not = error.args[0]
        else:
            await live.require_own(self._log)
            self._views.partitions = [ReplayedPartition(position) for position in live.positions]
        if isinstance(self._log, ReadOnlyLog):
            # The views may be ahead of what this reader of the log has seen.
            await self._log.refresh()
        versions = [[projection.name, projection.version] for projection in projections]
        names = [await log_identity(self._log), str(self._views.directory), versions, *of]
        return live, opened.enter_context(open_scratch(self._work, projections, names))

    async def _compare_all(self, live: LiveViews, scratch: Scratch) -> None:
        replay = WholeReplay(self._log, live, scratch, self._projections)
        total = sum(position.offset for position in live.positions)
        with self._stage("folding once more", "records", total) as advance:
            self._views.partitions = await replay.fold(advance)
        with self._stage("comparing the views", "rows", None) as advance:
            async for count in replay.compare(self._views.partitions, self._views.rows):
                advance(count)

    async def _compare_some(self, live: LiveViews | None, scratch: Scratch, runs: Collection[str] | Created) -> None:
        if live is not None:
            with self._stage("comparing the views", "rows", None) as advance:
                async for count in SomeRuns(live.store, scratch.store, self._views.rows).compare(runs):
                    advance(count)

    async def _read(self, title: str, reading: SavedReading, created: Created) -> None:
        reader = CommitReader(self._log, reading, created)
        numbers = range(self._log.partitions)
        firsts = [max(await reader.first(number), reading.position(number)) for number in numbers]
        ends = [(await self._log.ends(EVENTS, number)).end for number in numbers]
        total = sum(max(0, end - first) for first, end in zip(firsts, ends, strict=True))
        with self._stage(title, "records", total) as reading.advance:
            for number in numbers:
                await reader.partition(number, reading.position(number))


def _rows(live: LiveViews | None, scratch: Scratch) -> RunRows | None:
    if live is None:
        return None
    limits = {position.partition: position.offset for position in live.positions if position.topic == EVENTS}
    return RunRows(scratch, [projection for projection in VIEWS if projection.topic == EVENTS], limits)
