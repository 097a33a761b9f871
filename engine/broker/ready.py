"""Waiting until nodes answer."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from engine.broker.errors import BrokerError
from engine.broker.ports import HOST
from engine.broker.probe import describe

START_SECONDS: Final = 120.0
"""How long nodes may take to answer; two to ten seconds are usual."""
_POLL_SECONDS: Final = 0.05


def await_nodes(ports: Mapping[int, int], cluster_id: str, check: Callable[[int], str]) -> None:
    """Wait until nodes answer, and each of them knows all of them to be up.

    Args:
        ports: The nodes waited for, and the port on which each serves clients.
        cluster_id: What they were formatted with: another cluster's node may have been quicker to take a port.
        check: Returns the last lines of a node's log, each begun with a line feed.

    Raises:
        BrokerError: From `check`, because a node has died; or one does not answer in time.
    """
    waiting, deadline = dict(ports), time.monotonic() + START_SECONDS
    while waiting:
        for node, port in list(waiting.items()):
            lines = check(node)
            found = describe(HOST, port)
            if found is not None and found.cluster_id == cluster_id and found.nodes >= ports.keys():
                del waiting[node]
            elif time.monotonic() > deadline:
                raise BrokerError(f"Expected node {node} to answer within {START_SECONDS:g} s, but it did not.{lines}")
        time.sleep(_POLL_SECONDS if waiting else 0)
