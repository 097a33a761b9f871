"""The traces: for each run its accepted commits, from which its traces and contexts are folded when asked for.

The commits say what changed. Whole contexts for each trace would be many times as much, and could not show a run as it
stood at any moment. Each row is the commit's bytes with the epoch they were written under, so that reading computes the
run's chain again: its end must be the commit that the run's own row names.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from engine.core.evolve import evolve
from engine.core.records import commit_id, read_commit
from engine.core.state import GENESIS, RunState
from engine.core.view import Accepted
from engine.errors import LogDamagedError
from engine.log.port import EVENTS, LogRecord
from engine.store.errors import StoreDamagedError
from engine.store.port import Store, pages, prefix_end
from projections.keys import SEPARATOR, offset_key, text_key
from projections.projection import Rows, Stretch, family_name

COMMITS: Final = "commits"
_EPOCH_LENGTH_BYTES: Final = 4
_ROWS_AT_ONCE: Final = 256


class Traces:
    """Folds the events into the histories of runs."""

    name: ClassVar[str] = "traces"
    version: ClassVar[int] = 1
    topic: ClassVar[str] = EVENTS
    families: ClassVar[Sequence[str]] = (COMMITS,)

    def fold(self, records: Sequence[LogRecord], stretches: Iterable[Stretch], rows: Rows) -> None:  # noqa: ARG002 - the protocol's
        """Write the commits of a batch, each under its run."""
        for stretch in stretches:
            start = text_key(stretch.run_id) + SEPARATOR
            for _, record in stretch.commits:
                epoch = record.headers["epoch"].encode()
                length = len(epoch).to_bytes(_EPOCH_LENGTH_BYTES, "big")
                rows.put(COMMITS, start + offset_key(record.offset), length + epoch + record.value)


COMMITS_FAMILY: Final = family_name(Traces.name, COMMITS)


def read_commits(store: Store, run_id: str) -> list[Accepted]:
    """Return a run's accepted commits, oldest first, with the states before and after each.

    Raises:
        StoreDamagedError: The rows are not what the log had.
    """
    start = text_key(run_id) + SEPARATOR
    history: list[Accepted] = []
    state: RunState | None = None
    for page in pages(store, COMMITS_FAMILY, start, prefix_end(start), _ROWS_AT_ONCE):
        for key, row in page:
            offset = int.from_bytes(key[len(start) :], "big")
            behind = _EPOCH_LENGTH_BYTES + int.from_bytes(row[:_EPOCH_LENGTH_BYTES], "big")
            epoch, value = row[_EPOCH_LENGTH_BYTES:behind], row[behind:]
            record = LogRecord(offset, 0, run_id, value, {})
            try:
                commit = read_commit(record)
                after = evolve(state, commit["events"], run_id, commit["time"])
            except LogDamagedError as error:
                raise StoreDamagedError(f"the store {store.directory} is damaged: {error}.") from error
            prev = GENESIS if state is None else state.head
            after.head = commit_id(prev, epoch.decode(), value)
            if commit["decided"] is not None:
                after.decided = max(after.decided, commit["decided"])
            history.append(Accepted(after.head, offset, commit, state, after))
            state = after
    return history
