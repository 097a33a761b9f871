"""One seed gives the same world, byte for byte: the same records, effects and turns, in another process too."""

import logging
import os
import subprocess
import sys

import pytest

from tests.simulation.simulate import simulate

_SEEDS = range(6)
_PRINTING = """
import logging
from tests.simulation.simulate import simulate
logging.disable(logging.CRITICAL)
print(*[simulate(seed).digest for seed in range({count})], sep="\\n")
"""


def test_a_seed_gives_the_same_world_again_and_in_a_process_with_another_hash_seed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    digests = [simulate(seed).digest for seed in _SEEDS]
    assert len(set(digests)) == len(digests)
    # Also where all that happens is written down.
    assert [simulate(seed, written=True).digest for seed in _SEEDS] == digests
    for hash_seed in ("1", "4711"):
        printed = subprocess.run(
            [sys.executable, "-c", _PRINTING.format(count=len(_SEEDS))],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout
        assert printed.split()[-len(digests) :] == digests, f"PYTHONHASHSEED={hash_seed}"
