"""Damage of the log itself: it is found, found again, and then said to whoever waits; the rest is folded."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.errors import LogDamagedError
from engine.log.port import EVENTS, LogRecord
from projections import Projector
from projections.views import Views
from tests.projections.folding import fold, folded, small_batches
from tests.projections.forging import SECONDS, make_runs, moved_until
from tests.simulation.log import SimulatedLog


class DamagedLog(SimulatedLog):
    """A log of which one record cannot be read, or only after some reads.

    Attributes:
        damaged: The offset of that record in partition 0 of `events`, or None.
        reads: How often it was to be read.
        over_after: So many reads fail, and then it can be read again.
    """

    damaged: int | None = None
    reads = 0
    over_after = 1_000_000

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        found = await super().read(topic, partition, offset, count)
        if (topic, partition) != (EVENTS, 0) or self.damaged not in {record.offset for record in found}:
            return found
        if before := [record for record in found if record.offset < self.damaged]:
            return before
        self.reads += 1
        if self.reads > self.over_after:
            return found
        raise LogDamagedError(f"planted: the record at offset {self.damaged}.", hint="Restore it.")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read again at once."""
    small_batches(monkeypatch, 2)
    monkeypatch.setattr("projections.partition_fold.FENCE_RETRY_SECONDS_MIN", 0.001)
    monkeypatch.setattr("projections.partition_fold.FENCE_RETRY_SECONDS_MAX", 0.001)


async def test_who_waits_for_new_views_hears_of_certain_damage_at_once(
    quick: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = DamagedLog(2)
    runs = await make_runs(log, 6)
    log.damaged = 3
    async with asyncio.timeout(SECONDS), Projector(log, quick) as projector:
        with pytest.raises(LogDamagedError, match="the record at offset 3"):
            await projector.caught_up()
        assert log.reads >= 2, "it is certain only when it is found again"
        # Somebody brings it back: then the same projector goes on by itself.
        log.damaged = None
        await moved_until(projector, lambda: projector.trouble == "")
        await projector.caught_up()
        assert {run.run_id for run in (await Views.of(projector).list_runs()).items} == set(runs)
    assert caplog.text.count("events/0 cannot be folded now: planted: the record at offset 3.") == 1


async def test_views_that_are_there_get_all_that_can_be_folded_before_the_damage_is_told(quick: Path) -> None:
    log = DamagedLog(2)
    await make_runs(log, 4)
    await fold(log, quick)
    log.damaged = log.partition(EVENTS, 0).end + 1
    runs = await make_runs(log.client(), 20)
    end = log.partition(EVENTS, 1).end
    async with asyncio.timeout(SECONDS), Projector(log, quick) as projector:
        with pytest.raises(LogDamagedError):
            await projector.caught_up()
        reached = {(each.topic, each.partition): each.offset for each in projector.positions}
        assert reached[EVENTS, 1] == end
        assert reached[EVENTS, 0] <= log.damaged
        shown = {run.run_id for run in (await Views.of(projector).list_runs(limit=100)).items}
        assert 0 < len(shown & set(runs)) < len(runs)


async def test_damage_that_is_not_found_again_is_no_damage(quick: Path) -> None:
    log = DamagedLog()
    runs = await make_runs(log, 5)
    log.damaged, log.over_after = 3, 1
    async with asyncio.timeout(SECONDS), folded(log, quick) as projector:
        assert log.reads > 1
        assert {run.run_id for run in (await Views.of(projector).list_runs()).items} == set(runs)
