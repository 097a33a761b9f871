"""The bugs: mistakes that somebody could have made, each of which a checker must catch."""

from typing import Final

from tests.planted.bugs.checkpoints import CHECKPOINTS
from tests.planted.bugs.commands import COMMANDS
from tests.planted.bugs.following import FOLLOWING
from tests.planted.bugs.rule import RULE
from tests.planted.bugs.runs import RUNS
from tests.planted.bugs.waits import WAITS

BUGS: Final = (*RULE, *COMMANDS, *RUNS, *CHECKPOINTS, *WAITS, *FOLLOWING)

__all__ = ["BUGS"]
