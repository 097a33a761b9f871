"""All views beside the whole log, folded once more."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from threading import Lock

from engine.log.errors import LogReplacedError
from engine.log.partitioner import partition_of
from engine.log.port import EVENTS, WORKFLOWS, Log, LogRecord
from engine.stopping import PartitionStoppedError
from projections.partition_fold import PartitionFold
from projections.position import FAMILY as POSITIONS
from projections.position import Position, read_position
from projections.projection import Projection, family_name
from projections.replay.live import LiveViews
from projections.replay.row_keys import run_of
from projections.replay.rows import RowComparison, compare_family
from projections.replay.scratch import Scratch, families_of
from projections.workflows import ROWS_FAMILY as WORKFLOWS_FAMILY
from projections.workflows import decode_row


@dataclass(frozen=True, slots=True)
class ReplayedPartition:
    """A partition that is replayed.

    Attributes:
        position: How far it is folded into the views, which says too whether, and why, they stopped there.
        trouble: Why it cannot be folded so far now, or an empty text.
    """

    position: Position
    trouble: str = ""

    @property
    def name(self) -> str:
        """The partition as people write it."""
        return f"{self.position.topic}/{self.position.partition}"


class WholeReplay:
    """Folds a log as far as views are folded, and compares all of their rows.

    Args:
        log: The log.
        live: The views.
        scratch: Where it is folded to.
        projections: Whose rows are compared.
    """

    def __init__(self, log: Log, live: LiveViews, scratch: Scratch, projections: Sequence[Projection]) -> None:
        self._log = log
        self._live = live
        self._scratch = scratch
        self._projections = projections

    async def fold(self, advance: Callable[[int], None]) -> list[ReplayedPartition]:
        """Fold each partition up to where the views are; from where an interrupted replay was, if that can be.

        Args:
            advance: Is told how many more records are folded.
        """
        folded = [self._folded_before(position) for position in self._live.positions]
        if any(before > position.offset for before, position in zip(folded, self._live.positions, strict=True)):
            self._scratch.clear()
        resumed = self._scratch.resumed
        found = [await self._partition(position, advance) for position in self._live.positions]
        if resumed and any(each.trouble for each in found):
            # It may lie in what was folded the last time.
            self._scratch.clear()
            found = [await self._partition(position, lambda _: None) for position in self._live.positions]
        return found

    async def compare(self, partitions: Sequence[ReplayedPartition], comparison: RowComparison) -> AsyncIterator[int]:
        """Compare all rows but those of partitions that could not be folded; give the number of rows of each step."""
        gone = await self._gone()
        await self._compare_positions(partitions, gone, comparison)
        troubled = {(each.position.topic, each.position.partition) for each in partitions if each.trouble}
        topics = {
            family_name(projection.name, family): projection.topic
            for projection in self._projections
            for family in projection.families
        }
        for family in families_of(self._projections):
            if family != POSITIONS:
                passes = self._passes(family, topics.get(family, EVENTS), troubled)
                if family == WORKFLOWS_FAMILY:
                    passes = self._or_compacted(passes, gone)
                async for count in compare_family(self._live.store, self._scratch.store, family, comparison, passes):
                    yield count

    def _passes(self, family: str, topic: str, troubled: set[tuple[str, int]]) -> Callable[[bytes], bool]:
        """Return what says of a key whether its row comes from a partition that could not be folded."""
        numbers = {number for name, number in troubled if name == topic}

        def passes(key: bytes) -> bool:
            if not numbers:
                return False
            run_id = run_of(family, key) if topic == EVENTS else None
            return run_id is None or partition_of(run_id, self._log.partitions) in numbers

        return passes

    def _or_compacted(self, passes: Callable[[bytes], bool], gone: Collection[int]) -> Callable[[bytes], bool]:
        """Let pass too what was folded into the views from records that are gone."""

        def passes_too(key: bytes) -> bool:
            value = self._live.store.get(WORKFLOWS_FAMILY, key) if gone else None
            try:
                return passes(key) or (value is not None and decode_row(value).offset in gone)
            except (KeyError, TypeError, ValueError, AttributeError):
                # That it is no row is found when it is compared.
                return False

        return passes_too

    def _folded_before(self, position: Position) -> int:
        found = read_position(self._scratch.store, position.topic, position.partition)
        return 0 if found is None else found.offset

    async def _partition(self, position: Position, advance: Callable[[int], None]) -> ReplayedPartition:
        end = (await self._log.ends(position.topic, position.partition)).end
        if position.offset > end:
            name = f"{position.topic}/{position.partition}"
            text = f"expected {name} to reach offset {position.offset}, up to which the views are folded, but it ends"
            return ReplayedPartition(position, f"{text} at {end}: records were lost.")
        done = self._folded_before(position)
        advance(done)

        def moved() -> None:
            nonlocal done
            before, done = done, fold.position.offset
            advance(done - before)

        fold = PartitionFold(
            self._log,
            position.topic,
            position.partition,
            self._scratch.store,
            projections=[each for each in self._projections if each.topic == position.topic],
            moved=moved,
            lock=Lock(),
        )
        try:
            await fold.fold_to(position.offset)
        except (PartitionStoppedError, LogReplacedError) as error:
            return ReplayedPartition(position, str(error))
        return ReplayedPartition(position)

    async def _compare_positions(
        self, partitions: Sequence[ReplayedPartition], gone: Collection[int], comparison: RowComparison
    ) -> None:
        for each in partitions:
            if each.trouble:
                continue
            live = each.position
            folded = read_position(self._scratch.store, live.topic, live.partition)
            views = self._live.store.get(POSITIONS, live.key)
            if live.stopped is not None:
                # Why the views stopped there is no matter of the log.
                views = replace(live, stopped=None, message="").encode()
            if folded is not None and live.topic == WORKFLOWS and live.offset - 1 in gone:
                folded = replace(folded, offset=live.offset, digest=live.digest)
            comparison.compare(POSITIONS, live.key, views, None if folded is None else folded.encode())

    async def _gone(self) -> Collection[int]:
        """Return the offsets below the views' position of `workflows` that are gone: newer records have their keys."""
        end = next((each.offset for each in self._live.positions if each.topic == WORKFLOWS), 0)
        held: set[int] = set()
        ends = await self._log.ends(WORKFLOWS, 0)

        def take(records: Sequence[LogRecord]) -> None:
            held.update(record.offset for record in records)

        await self._log.scan(WORKFLOWS, 0, ends.start, min(end, ends.end), take)
        return set(range(min(end, ends.end))) - held
