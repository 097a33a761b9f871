"""A projection: a fold of the log with a name, a version and families of rows of its own."""

import re
import threading
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from engine.core.state import RunState
from engine.core.view import Accepted
from engine.errors import ArgumentError
from engine.log.port import EVENTS, WORKFLOWS, LogRecord
from engine.store.port import Batch, Store

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


class Commit(NamedTuple):
    """An accepted commit, and the record that it came in."""

    accepted: Accepted
    record: LogRecord


class Stretch(NamedTuple):
    """What happened to one run within a batch.

    Attributes:
        run_id: The run.
        commits: Its accepted commits, in order, at least one.
    """

    run_id: str
    commits: list[Commit]

    @property
    def before(self) -> RunState | None:
        """The run's state before the first of the commits; None when the run begins with it."""
        return self.commits[0].accepted.before

    @property
    def after(self) -> RunState:
        """The run's state after the last of the commits."""
        return self.commits[-1].accepted.after


class Rows:
    """The rows of one projection, and what it changes of them in a batch with everything else that goes with it.

    Args:
        store: The rows as they were before the batch.
        batch: The store's batch.
        projection: Whose rows they are.
        turn: Taken before anything is read.
    """

    def __init__(self, store: Store, batch: Batch, projection: "Projection", turn: "Turn") -> None:
        self._store = store
        self._batch = batch
        self._turn = turn
        self._families = {family: family_name(projection.name, family) for family in projection.families}
        self._changes: list[tuple[str, bytes, bytes | None]] = []
        self._changed: dict[tuple[str, bytes], bytes | None] = {}

    def get(self, family: str, key: bytes) -> bytes | None:
        """Return a row as it is with all changes until now, also those of this batch, or None."""
        # Looked at only here: most projections read nothing, and change many rows.
        self._changed.update(((changed, row), value) for changed, row, value in self._changes)
        self._changes.clear()
        if (family, key) in self._changed:
            return self._changed[family, key]
        self._turn.take()
        return self._store.get(self._families[family], key)

    def put(self, family: str, key: bytes, value: bytes) -> None:
        """Set a row."""
        self._batch.put(self._families[family], key, value)
        self._changes.append((family, key, value))

    def delete(self, family: str, key: bytes) -> None:
        """Remove a row; it need not be there."""
        self._batch.delete(self._families[family], key)
        self._changes.append((family, key, None))


class Turn:
    """The turn of one batch to read rows and write them: what it has read stays so until it is written.

    Partitions are folded in several threads at times. Most projections read nothing and wait for nobody.

    Args:
        lock: Shared by all partitions of a store.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._taken = False

    def take(self) -> None:
        """Wait for the turn, unless it was taken before."""
        if not self._taken:
            self._lock.acquire()
            self._taken = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._taken:
            self._lock.release()


class Projection(Protocol):
    """A fold of one topic into rows.

    The rows must follow from the records alone: not from how these were cut into batches, from the time, or from
    anything else. Then a fold that was interrupted goes on exactly, and two folds of one log are equal byte for byte.
    Partitions are folded side by side: rows that several of them change, such as counts, must come out the same in
    whatever order that happens.
    """

    @property
    def name(self) -> str:
        """A word that no other projection has."""
        ...

    @property
    def version(self) -> int:
        """Raised whenever the same records lead to other rows: then all is folded anew."""
        ...

    @property
    def topic(self) -> str:
        """What is folded: `events` or `workflows`."""
        ...

    @property
    def families(self) -> Sequence[str]:
        """The families of rows."""
        ...

    def fold(self, records: Sequence[LogRecord], stretches: Iterable[Stretch], rows: Rows) -> None:
        """Fold a batch of one partition.

        Args:
            records: All records of the batch, in order; for folds of `workflows`.
            stretches: What the accepted commits among them say, run by run; for folds of `events`.
            rows: Takes the changes.
        """
        ...


def family_name(projection: str, family: str) -> str:
    """Return the name that a projection's family has in the store."""
    return f"{projection}.{family}"


def check_projections(projections: Sequence[Projection]) -> None:
    """Require projections that can be folded together.

    Raises:
        ArgumentError: A name is no word or comes twice, or the topic is not one that is folded.
    """
    names = [projection.name for projection in projections]
    for projection in projections:
        for word in (projection.name, *projection.families):
            if not _NAME.fullmatch(word):
                raise ArgumentError(f"Expected names that match {_NAME.pattern}, but found {word!r:.80}.")
        if names.count(projection.name) > 1:
            raise ArgumentError(f"Expected projections with different names, but {projection.name} comes twice.")
        if projection.topic not in (EVENTS, WORKFLOWS):
            raise ArgumentError(
                f"Expected the projection {projection.name} to fold {EVENTS} or {WORKFLOWS}, "
                f"but found {projection.topic!r:.80}."
            )
