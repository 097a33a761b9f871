"""A projection: a fold of the log with a name, a version and families of rows of its own."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from engine.core.state import RunState
from engine.core.view import Accepted
from engine.log.port import LogRecord
from engine.store.port import Batch


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
    """What one projection changes, as part of a batch with everything else that goes with it.

    Args:
        batch: The store's batch.
        projection: Whose rows they are.
    """

    def __init__(self, batch: Batch, projection: "Projection") -> None:
        self._put = batch.put
        self._delete = batch.delete
        self._families = {family: family_name(projection.name, family) for family in projection.families}

    def put(self, family: str, key: bytes, value: bytes) -> None:
        """Set a row."""
        self._put(self._families[family], key, value)

    def delete(self, family: str, key: bytes) -> None:
        """Remove a row; it need not be there."""
        self._delete(self._families[family], key)


class Projection(Protocol):
    """A fold of one topic into rows.

    The rows must follow from the records alone: not from how these were cut into batches, from the time, or from
    anything else. Then a fold that was interrupted goes on exactly, and two folds of one log are equal byte for byte.
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
