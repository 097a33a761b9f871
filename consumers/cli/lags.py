"""How far a group is behind, from what it has recorded: a line for each service and partition."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from consumers.host.parked import Parked
from consumers.host.progress import PartitionProgress


class Row(NamedTuple):
    """How far a service is behind in a partition, as recorded."""

    service: str
    partition: int
    position: int
    end: int
    behind: int
    open: int
    parked: int


def rows_of(progress: Mapping[int, PartitionProgress], parked: Sequence[Parked], ends: Mapping[int, int]) -> list[Row]:
    """Return a row for each service and partition, in order of their names and numbers."""
    return [
        Row(
            service=name,
            partition=number,
            position=each.position[0],
            end=ends[number],
            behind=max(0, ends[number] - each.position[0]),
            open=len(each.open),
            parked=sum(one.service == name and one.partition == number for one in parked),
        )
        for name in sorted({name for each in progress.values() for name in each.services})
        for number in sorted(progress)
        if (each := progress[number].services.get(name)) is not None
    ]


def draw_lags(rows: Sequence[Row]) -> Table:
    """Return a table for people."""
    table = Table(box=None, pad_edge=False)
    table.add_column("service", no_wrap=True)
    for name in Row._fields[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row))
    return table
