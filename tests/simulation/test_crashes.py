"""Processes are killed at every crash point that a simulated world passes; whatever is left holds every promise."""

import logging

import pytest

from engine.crash_points import CrashPoint
from tests.simulation.crashes import SIMULATED
from tests.simulation.simulate import simulate

SEEDS_MAX = 800
"""Seeds among which there is one in which a process dies at the point: at the rarest, forwarding, one in a hundred."""


@pytest.mark.parametrize("point", SIMULATED, ids=lambda point: point.name)
def test_a_process_is_killed_at_each_point_and_every_promise_holds(
    point: CrashPoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    for seed in range(SEEDS_MAX):
        report = simulate(seed, point=point)
        assert not report.violations, f"python -m tests.simulation --seed {seed} --kill-at {point.name} --trace"
        if report.figures[f"killed at {point.name}"]:
            return
    pytest.fail(f"nobody came past {point.name}")
