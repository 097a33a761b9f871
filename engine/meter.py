"""The meter: counts the steps that one node takes inside the core, so that none of them holds up all other runs. Pure.

A step is about as much work as visiting one value, mostly half a microsecond. Steps are counted, never time: the same
node takes as many in every process and in every replay.
"""

from typing import Final

from engine.errors import RunlineError
from engine.limits import EXPRESSION_STEPS_MAX

_CHARACTERS_PER_STEP: Final = 256


class StepsError(RunlineError):
    """A node needs more steps than one node may take."""

    code = "steps"


class Meter:
    """What one node may still do, and what it has done.

    Attributes:
        left: Steps that are left; below 0 when more were needed. Whoever counts often counts here, and calls `refuse`.
    """

    __slots__ = ("_characters", "left")

    def __init__(self) -> None:
        self.left = EXPRESSION_STEPS_MAX
        self._characters = 0

    @property
    def steps(self) -> int:
        """The steps that were taken."""
        return EXPRESSION_STEPS_MAX - self.left

    def charge(self, steps: int) -> None:
        """Take steps.

        Raises:
            StepsError: There are not so many left.
        """
        self.left -= steps
        if self.left < 0:
            self.refuse()

    def read(self, characters: int) -> None:
        """Take the steps for reading or writing so many characters; many short texts cost what one long text does.

        Raises:
            StepsError: There are not so many left.
        """
        steps, self._characters = divmod(self._characters + characters, _CHARACTERS_PER_STEP)
        if steps:
            self.charge(steps)

    def refuse(self) -> None:
        """Raise what there is to say when no steps are left.

        Raises:
            StepsError: Always.
        """
        raise StepsError(f"expected at most {EXPRESSION_STEPS_MAX} steps of evaluation in one node, found more")
