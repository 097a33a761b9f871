"""Does today's code make of a log what is in its views, and would it decide what was decided?

The log is folded once more into a scratch store, exactly as far as the views are folded, and every row is compared
byte for byte; and every recorded commit is decided once more (`projections.decisions`). For some runs, or those of a
time, only their commits are folded, and only their rows are compared.
"""

from projections.commit_reader import Created
from projections.replay.replay import Replay, ReplayReport, ViewsReport
from projections.replay.rows import RowComparison, RowDifference, RowKind
from projections.replay.whole import ReplayedPartition

__all__ = [
    "Created",
    "Replay",
    "ReplayReport",
    "ReplayedPartition",
    "RowComparison",
    "RowDifference",
    "RowKind",
    "ViewsReport",
]
