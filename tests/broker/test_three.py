"""Three brokers lose one of them and nothing else."""

import time

import pytest

from engine.broker import BrokerError, Cluster
from engine.broker.probe import describe
from tests.broker.test_jvm import DEADLINE_SECONDS, address, append, make_topic, read


def until_up(cluster: Cluster, asked: int, nodes: set[int]) -> None:
    """Ask a node until it says that these nodes are up."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    found = None
    while time.monotonic() < deadline:
        found = describe(*address(cluster.bootstrap, asked))
        if found is not None and found.nodes == nodes:
            return
    raise AssertionError(f"expected the nodes {nodes} to be up, but found {found}")


def test_one_of_three_nodes_may_be_killed_or_paused(three_brokers: Cluster) -> None:
    assert three_brokers.nodes == (1, 2, 3)
    make_topic(three_brokers.bootstrap)
    three_brokers.kill(1)
    append(three_brokers.bootstrap, b"without 1")
    until_up(three_brokers, 2, {2, 3})
    three_brokers.restart(1)
    three_brokers.pause(2)
    until_up(three_brokers, 3, {1, 3})
    three_brokers.resume(2)
    until_up(three_brokers, 1, {1, 2, 3})
    three_brokers.check()
    assert read(three_brokers.bootstrap, 1) == [b"without 1"]
    with pytest.raises(BrokerError, match="which are 1, 2, 3; found 4"):
        three_brokers.kill(4)
