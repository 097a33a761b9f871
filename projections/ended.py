"""The ended runs that a fold must know, kept in the store instead of in memory: there may be millions."""

from typing import Final

from engine.store.port import Store

FAMILY: Final = "ended"
"""The family of the store that holds the ids of ended runs."""


class EndedRuns(dict[str, int]):
    """A view's ended runs: those of the batch in memory, all others in the store.

    A run that ended is never forgotten here. That makes no difference to what is accepted: what a view has forgotten is
    kept from coming back by the guard for late first commits.

    Args:
        store: Where the ids are.
    """

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def __delitem__(self, run_id: str) -> None:
        """Forget nothing: what a batch does not know any more would else depend on where it was cut."""

    def __contains__(self, run_id: object) -> bool:
        """Return whether the run has ended."""
        if super().__contains__(run_id):
            return True
        return isinstance(run_id, str) and self._store.get(FAMILY, run_id.encode()) is not None
