"""Which connections a run took."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from engine.core.view import Accepted


class Exit(NamedTuple):
    """An output of a node: what a connection begins at.

    Attributes:
        node: The node's id.
        output: The output's name.
    """

    node: str
    output: str


def taken_in(history: Sequence[Accepted]) -> dict[Exit, int]:
    """Return how often a run left its nodes by each connected output.

    Args:
        history: The run's accepted commits, oldest first, from the first one on.
    """
    nodes: dict[int, str] = {}
    taken: Counter[Exit] = Counter()
    for accepted in history:
        for event in accepted.value["events"]:
            if event["type"] == "trace.started":
                nodes[event["trace"]] = event["node"]
            elif event["type"] == "trace.succeeded" and event["output"] is not None and event["next"] is not None:
                taken[Exit(nodes[event["trace"]], event["output"])] += 1
    return dict(taken)
