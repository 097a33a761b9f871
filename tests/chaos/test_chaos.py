"""Chaos on real brokers, for as long as a test may take; `make chaos` does the same for longer."""

import random
from pathlib import Path

import pytest

from tests.chaos.conductor import OK_AFTER, OK_BEFORE, OK_DURING, Setting
from tests.chaos.verdict import chaos

SECONDS = 35.0


@pytest.mark.parametrize("brokers", [1, 3])
async def test_everything_that_is_promised_holds_whatever_is_done_to_processes_brokers_and_paths(
    brokers: int, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"python -m tests.chaos --seed {seed} --seconds {SECONDS:g} --brokers {brokers}", flush=True)
    report = await chaos(Setting(seed, SECONDS, brokers, tmp_path / "artefacts"))
    print("\n".join(report.lines()))
    assert report.violations == []
    assert report.requests["ok"] >= OK_BEFORE + OK_DURING + OK_AFTER
    assert report.done
