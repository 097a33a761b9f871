"""Rejections: refusals as data, with a code and an "expected ..., but ..." sentence."""

from typing import Final, NamedTuple

UNDECODABLE: Final = "undecodable"
OVERSIZED: Final = "oversized"
RUN_UNKNOWN: Final = "run_unknown"
RUN_ENDED: Final = "run_ended"
RUN_NOT_CREATED: Final = "run_not_created"
RUN_DIFFERS: Final = "run_differs"
WORKFLOW_UNKNOWN: Final = "workflow_unknown"
OUTSIDE_WINDOW: Final = "outside_window"
WRONG_PARTITION: Final = "wrong_partition"
RUN_UNREADABLE: Final = "run_unreadable"


class Rejection(NamedTuple):
    """Why a command was refused: a stable code, and what was expected but found otherwise."""

    code: str
    reason: str
