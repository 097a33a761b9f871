"""The whole engine on a simulated log: a storm of faults, then a calm phase in which everything must end.

RUNLINE_SIMULATION_SEED=<number> replays one seed.
"""

import logging
import os

import pytest

from tests.simulation.simulate import simulate

SEEDS = 200
SEEDS_TOGETHER = 20
"""Seeds of one test: enough to spread them, few enough to find the one that failed."""

_GIVEN = os.environ.get("RUNLINE_SIMULATION_SEED")
_BATCHES = [[int(_GIVEN)]] if _GIVEN else [
    list(range(first, first + SEEDS_TOGETHER)) for first in range(0, SEEDS, SEEDS_TOGETHER)
]  # fmt: skip


@pytest.mark.parametrize("seeds", _BATCHES, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_whatever_happens_every_run_ends_once_and_every_reader_sees_the_same(
    seeds: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    # Faults are loud, as they should be; a thousand of them tell nobody anything.
    caplog.set_level(logging.CRITICAL)
    for seed in seeds:
        violations = simulate(seed).violations
        assert not violations, f"RUNLINE_SIMULATION_SEED={seed}: " + "; ".join(violations)
