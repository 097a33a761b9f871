"""A proposal: what was sent for a run and not yet read back."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from engine.core.decision import Asked, Input
from engine.log.port import Record


class Proposal(NamedTuple):
    """What was sent for a run and not yet read back.

    Attributes:
        sent: The commit, or None for a rejection.
        inputs: What it decides.
        recognised: Those of them that ask for what was done before, or is done by this very commit.
    """

    sent: Record | None
    inputs: Sequence[Input]
    recognised: Sequence[Asked]


REJECTION: Final = Proposal(None, (), ())
"""A rejection on its way; also what stands for no proposal at all."""
