"""What the tests of the audit share: one log with everything in it, which nobody changes."""

import asyncio

import pytest

from tests.audit.logs import make_log
from tests.simulation.log import SimulatedLog


@pytest.fixture(scope="session")
def whole_log() -> SimulatedLog:
    """Return a log without any damage; copy it to damage it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        return asyncio.run(make_log(monkeypatch))
