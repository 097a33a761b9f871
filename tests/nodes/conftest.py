from collections.abc import Callable

import pytest

from engine.call import Call
from engine.registry import Registry


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def make_call(registry: Registry) -> Callable[[], Call]:
    def make() -> Call:
        return Call(
            run_id="run-1",
            workflow_id="w",
            node_id="ask",
            trace_id="trace-1",
            attempt=2,
            idempotency_key="run-1/trace-1",
            registry=registry,
        )

    return make
