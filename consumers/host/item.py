"""An item: a change on its way to a service, made from the record that tells of it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from consumers.host.delivery import Delivery
from consumers.host.progress import Place
from consumers.host.wanted import Wanted
from engine.change import changes_of
from engine.core.view import Accepted
from engine.log.port import LogRecord
from engine.run import Run, Trace


class Item(NamedTuple):
    """A change on its way to a service."""

    place: Place
    run_id: str
    subject: Run | Trace
    delivery: Delivery

    @property
    def size(self) -> int:
        """About how many bytes it keeps in memory: those of its contexts."""
        return len(self.subject.input_context or "") + len(self.subject.output_context or "")


def items_of(partition: int, record: LogRecord, accepted: Accepted, wanted: Wanted) -> Iterator[Item]:
    """Yield the changes of a commit that are wanted, in order.

    Args:
        partition: The partition of `events`.
        record: The commit's record.
        accepted: The same, folded.
        wanted: Which changes to yield.
    """
    indexes = wanted.indexes(record)
    if not indexes:
        return
    value, headers = accepted.value, record.headers
    time = datetime.fromisoformat(value["time"]).astimezone(UTC)
    for change in changes_of(accepted):
        index = int(change.event_id.rpartition(".")[2])
        if index in indexes:
            delivery = Delivery(
                event_id=change.event_id,
                event_type=value["events"][index]["type"],
                partition=partition,
                offset=record.offset,
                index=index,
                time=time,
                cause=headers.get("causationid", ""),
                correlation=headers.get("correlationid", ""),
                attempt=1,
            )
            yield Item((record.offset, index), record.key, change.subject, delivery)
