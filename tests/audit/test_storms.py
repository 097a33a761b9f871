"""The audit finds nothing in what engines wrote, whatever happened to them, and all that others put between it.

RUNLINE_SIMULATION_SEED=<number> replays one seed.
"""

import logging
import os
from pathlib import Path

import pytest

from engine.log.port import EVENTS
from projections.audit import Roots, audit_bundle, export_run
from tests.audit.logs import audited, violations
from tests.audit.storms import storm

SEEDS = 300
SEEDS_TOGETHER = 25
FIRST = 5_000
"""Other seeds than those of the simulation's own tests."""

_GIVEN = os.environ.get("RUNLINE_SIMULATION_SEED")
_BATCHES = [[int(_GIVEN)]] if _GIVEN else [
    list(range(first, first + SEEDS_TOGETHER)) for first in range(FIRST, FIRST + SEEDS, SEEDS_TOGETHER)
]  # fmt: skip


@pytest.mark.parametrize("seeds", _BATCHES, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
async def test_only_what_no_engine_wrote_is_found_and_all_of_it(
    seeds: list[int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    for seed in seeds:
        with pytest.MonkeyPatch.context() as monkeypatch:
            stormy = await storm(seed, monkeypatch)
        found = violations(await audited(stormy.log, tmp_path))
        places = {(each.topic, each.partition, each.offset) for each in found}
        assert places == {(EVENTS, *place) for place in stormy.planted}, f"RUNLINE_SIMULATION_SEED={seed}: {found}"


async def test_every_run_of_a_storm_has_a_bundle_that_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    for place in ("ranges", "working", "exporting"):
        monkeypatch.setattr(f"projections.audit.{place}.AUDIT_RANGE_RECORDS", 16)
    verified = 0
    for seed in range(30_000, 30_030):
        with pytest.MonkeyPatch.context() as storming:
            stormy = await storm(seed, storming)
        if stormy.planted:
            continue
        roots = Roots.of(await audited(stormy.log, tmp_path))
        for partition in range(stormy.log.partitions):
            records = stormy.log.partition(EVENTS, partition).records
            for run in sorted({record.key for record in records if "prev" in record.headers})[:10]:
                bundle = await export_run(stormy.log, run, tmp_path / "work")
                assert audit_bundle(bundle, roots).violations == [], f"seed {seed}"
                verified += 1
    assert verified > 50
