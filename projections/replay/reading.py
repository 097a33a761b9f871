"""One reading of the log for the decisions, and for the rows of some runs, that can be interrupted and gone on with."""

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Final

import orjson

from engine.store.port import Batch
from projections.decisions.replay import DecisionReplay
from projections.decisions.saving import restore, save, save_difference
from projections.ended import FAMILY as ENDED
from projections.errors import ViewsError
from projections.projection import Commit, Projection, Rows, Stretch, Turn
from projections.replay.scratch import Scratch

_DECISIONS: Final = "decisions"
_POSITIONS: Final = "decided"
_FOLDED: Final = "folded"
_DIFFERENCE: Final = "difference "


class RunRows:
    """Folds the commits of some runs into rows.

    Args:
        scratch: Where the rows are.
        projections: What they are folded by.
        limits: By partition the offset up to which commits are folded; where there is none, none are.

    Attributes:
        limits: The same.
    """

    def __init__(self, scratch: Scratch, projections: Sequence[Projection], limits: Mapping[int, int]) -> None:
        self._scratch = scratch
        self._projections = projections
        self._stretches: dict[str, Stretch] = {}
        self.limits = limits

    def take(self, commit: Commit) -> None:
        """Take a run's next commit."""
        run_id = commit.record.key
        self._stretches.setdefault(run_id, Stretch(run_id, [])).commits.append(commit)

    def write(self, batch: Batch) -> None:
        """Put the rows of what was taken since the last time into a batch.

        Raises:
            ViewsError: A projection fails.
        """
        stretches, self._stretches = self._stretches, {}
        with Turn(Lock()) as turn:
            for projection in self._projections:
                try:
                    projection.fold((), stretches.values(), Rows(self._scratch.store, batch, projection, turn))
                except Exception as error:
                    runs = f"{len(stretches)} run(s), among them {next(iter(stretches))}"
                    raise ViewsError(
                        f"expected the projection {projection.name} to fold {runs}, but it failed: {error!r}."
                    ) from error
        for stretch in stretches.values():
            if stretch.after.status.terminal:
                batch.put(ENDED, stretch.run_id.encode(), b"")


class SavedReading:
    """Takes commits from a `CommitReader`, and keeps what came of them with the place in the log.

    Args:
        scratch: Where it is kept.
        decisions: Decides the commits once more.
        rows: Folds them into rows; None when nobody wants them.

    Attributes:
        advance: Is told how many more records were read.
    """

    def __init__(self, scratch: Scratch, decisions: DecisionReplay, rows: RunRows | None) -> None:
        self._scratch = scratch
        self._decisions = decisions
        self._rows = rows
        self.advance: Callable[[int], None] = lambda _: None
        self._decided = _read(scratch, _POSITIONS)
        self._folded = _read(scratch, _FOLDED)
        if rows is not None and any(rows.limits.get(number, 0) < folded for number, folded in self._folded.items()):
            # The views are not those that they were, and older.
            scratch.clear()
            self._decided, self._folded = {}, {}
        if (saved := scratch.get(_DECISIONS)) is not None:
            differences = _differences(scratch)
            restore(decisions.redecider, saved, differences)
        self._kept = len(decisions.report.differences)

    def position(self, number: int) -> int:
        """Return the offset of a partition below which all was taken before."""
        decided = self._decided.get(number, 0)
        return decided if self._rows is None else min(decided, self._rest(number, decided))

    def _rest(self, number: int, decided: int) -> int:
        """Return from where rows are to be folded, or the other position when there is nothing to fold."""
        assert self._rows is not None
        folded = self._folded.get(number, 0)
        return folded if folded < self._rows.limits.get(number, 0) else decided

    async def begin(self) -> None:
        """Hear that a partition is read."""
        await self._decisions.begin()

    def take(self, partition: int, commit: Commit) -> None:
        """Take a commit, unless that was done before."""
        offset = commit.record.offset
        if offset >= self._decided.get(partition, 0):
            self._decisions.take(partition, commit)
        if self._rows is not None and self._folded.get(partition, 0) <= offset < self._rows.limits.get(partition, 0):
            self._rows.take(commit)

    def unreadable(self, runs: Mapping[str, str]) -> None:
        """Hand on which runs cannot be read."""
        self._decisions.unreadable(runs)

    async def step(self, partition: int, count: int, position: int | None) -> None:
        """Keep what came of it."""
        await self._decisions.step(partition, count, position)
        batch = self._scratch.store.batch()
        if self._rows is not None:
            self._rows.write(batch)
        if position is not None:
            self._save(batch, partition, position)
        self._scratch.store.write(batch)
        self.advance(count)

    def _save(self, batch: Batch, partition: int, position: int) -> None:
        self._decided[partition] = max(position, self._decided.get(partition, 0))
        if self._rows is not None:
            limit = self._rows.limits.get(partition, 0)
            self._folded[partition] = max(min(position, limit), self._folded.get(partition, 0))
        differences = self._decisions.report.differences
        for number in range(self._kept, len(differences)):
            self._scratch.put(batch, f"{_DIFFERENCE}{number}", save_difference(differences[number]))
        self._kept = len(differences)
        self._scratch.put(batch, _DECISIONS, save(self._decisions.redecider))
        for name, positions in ((_POSITIONS, self._decided), (_FOLDED, self._folded)):
            self._scratch.put(batch, name, orjson.dumps(list(positions.items())))


def _read(scratch: Scratch, name: str) -> dict[int, int]:
    saved = scratch.get(name)
    return {} if saved is None else dict(orjson.loads(saved))


def _differences(scratch: Scratch) -> list[bytes]:
    found: list[bytes] = []
    while (saved := scratch.get(f"{_DIFFERENCE}{len(found)}")) is not None:
        found.append(saved)
    return found
