"""Waiting: runs that cannot go on in this process are spoken of, once for each version and node."""

import logging
from typing import Final

from engine.core.plan import Plan
from engine.core.state import RunState

_LOGGER = logging.getLogger("runline.executor")

LEAVING: Final = "this executor is about to end"
"""Why every run waits in a process that takes nothing up any more; that is said elsewhere."""


class Waiting:
    """Says which runs wait for a process that has what their next node needs."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()

    def say(self, state: RunState, plan: Plan) -> None:
        """Say that a run with a next node waits here, unless that was said of its version and node before."""
        assert state.ready is not None
        node = plan.nodes[state.ready]
        if node.missing and node.missing is not LEAVING and (state.version, node.id) not in self._said:
            self._said.add((state.version, node.id))
            _LOGGER.warning(
                "Run %s, and perhaps others of %s, cannot go on here at node %s: %s",
                state.run_id, state.workflow, node.id, node.missing,
            )  # fmt: skip
