"""Which changes a host delivers: decided from a record's headers, before contexts are made."""

from typing import Final, NamedTuple

from engine.core.records import types_in
from engine.core.state import RunStatus
from engine.log.port import LogRecord

_NOT_DELIVERED: Final = "command."
"""Begins the types of events that change no run and no trace."""
STATUS_OF: Final = {
    "created": RunStatus.CREATED,
    "started": RunStatus.RUNNING,
    "succeeded": RunStatus.SUCCESS,
    "failed": RunStatus.FAILED,
    "cancelled": RunStatus.CANCELLED,
}
"""The status of a run or a trace after an event, by the last word of the event's type."""


class Wanted(NamedTuple):
    """What a change must be to be delivered; an empty set wants all.

    Attributes:
        workflows: Ids of workflows; their runs alone are folded (`PartialView`).
        statuses: Statuses of the run or trace after the change, such as `Failed`.
        types: Types of events, such as `run.succeeded`.
    """

    workflows: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def indexes(self, record: LogRecord) -> list[int]:
        """Return which events of a commit of a wanted workflow's run are wanted, by their places in it."""
        return [index for index, event_type in enumerate(types_in(record.headers)) if self._wants(event_type)]

    def _wants(self, event_type: str) -> bool:
        if event_type.startswith(_NOT_DELIVERED) or (self.types and event_type not in self.types):
            return False
        return not self.statuses or STATUS_OF.get(event_type.rpartition(".")[2]) in self.statuses
