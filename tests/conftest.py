"""What the whole test session shares: one real broker, started when the first test asks for it."""

from collections.abc import Iterator

import pytest

from engine.broker import Cluster, find_broker, start_broker


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """Return the address of a real Kafka broker; without one, tests fail. Topics are the tests' own, by prefix."""
    with find_broker() as cluster:
        yield cluster.bootstrap


@pytest.fixture(scope="module")
def three_brokers() -> Iterator[Cluster]:
    """Return three brokers that hold all data three times; a test may kill, pause and restart them."""
    with start_broker(3, short_lived=True) as cluster:
        yield cluster
