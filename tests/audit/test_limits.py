"""The limits of the audit: what is beyond them costs time or is named, and is never left out in silence."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.errors import LogDamagedError
from engine.log.port import COMMANDS, LogRecord
from projections.audit import Rule
from projections.audit.reading import read_stretch
from tests.audit.logs import audited, copy_of, violations
from tests.simulation.log import SimulatedLog


class WatchedLog(SimulatedLog):
    """A log that notes how much is asked for at once, and may have a topic that cannot be read."""

    asked: list[int]
    damaged = ""

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        """Read, or fail."""
        self.asked.append(count)
        if topic == self.damaged:
            raise LogDamagedError("planted: nothing can be read.")
        return await super().read(topic, partition, offset, count)


def watched(log: SimulatedLog) -> WatchedLog:
    """Return a log with the same records."""
    other = WatchedLog(log.partitions)
    other.__dict__.update(copy_of(log).__dict__)
    other.asked = []
    return other


async def test_more_checkpoints_at_once_than_are_compared_are_named(
    whole_log: SimulatedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.audit.checkpoints.AUDIT_CHECKPOINTS_OPEN_MAX", 0)
    found = violations(await audited(whole_log, tmp_path))
    assert {each.rule for each in found} == {Rule.CHECKPOINT_STATE}
    assert "fewer checkpoints at once" in found[0].text


async def test_a_partition_that_cannot_be_read_is_left_after_so_many_offsets(
    whole_log: SimulatedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.audit.reading.AUDIT_DAMAGED_MAX", 5)
    log = watched(whole_log)
    log.damaged = COMMANDS
    audit = await audited(log, tmp_path)
    commands = [each for each in audit.partitions if each.topic == COMMANDS]
    assert [each.violation_counts for each in commands] == [{Rule.LOG_DAMAGED: 5, Rule.OFFSET_GAP: 1}] * 2


async def test_large_records_are_read_a_few_at_once(whole_log: SimulatedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.audit.reading.AUDIT_READ_BYTES", 5_000)
    monkeypatch.setattr("projections.audit.reading.AUDIT_READ_RECORDS", 40)
    log = watched(whole_log)
    found = [
        record
        async for batch in read_stretch(log, "events", 0, 0, log.partition("events", 0).end, damaged=lambda *_: None)
        for record in batch
    ]
    assert found == whole_log.partition("events", 0).records
    assert log.asked[0] == 40
    assert max(log.asked[1:]) < 40


@pytest.mark.parametrize("limit", ["AUDIT_AHEAD_BYTES", "AUDIT_AHEAD_RECORDS"])
async def test_with_no_room_to_read_ahead_all_is_verified_all_the_same(
    whole_log: SimulatedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(f"projections.audit.reading.{limit}", 1)
    monkeypatch.setattr("projections.audit.reading.AUDIT_READ_RECORDS", 2)
    assert violations(await audited(whole_log, tmp_path)) == []
