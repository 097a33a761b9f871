"""Seeds that found something once: what it was is in the commit that added them. Other code may lead them elsewhere."""

import logging

import pytest

from tests.simulation.simulate import simulate

FOUND = (
    2_000_227,
    3_000_166,
    3_000_217,
    7_000_160,
    7_000_350,
    9_100_142,
    9_200_859,
    20_262_149,
    47_903_121_331,
    226_791_217_177,
)


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_stays_away(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    assert simulate(seed).violations == []
