"""What the whole test session shares: one real broker, started when the first test asks for it."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from engine.broker import Cluster, find_broker, start_broker

# A busy machine is slow, and that says nothing about the code.
settings.register_profile("runline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("runline")

# Shells let what they start in the background ignore Ctrl-C, and so would all that tests start and stop by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
