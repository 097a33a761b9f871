"""An audit that is interrupted goes on where it was, and finds the same as one that was not."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from engine.errors import LogDamagedError, LogError
from engine.log.embedded import EmbeddedLog
from engine.log.place import places
from engine.log.port import COMMANDS, EVENTS, WORKFLOWS, LogRecord, Record
from projections.audit import Audit, Progress, Roots, Rule, audit_log
from tests.audit.logs import audited, copy_of, find, headed, kind, part_hash, violations
from tests.simulation.log import SimulatedLog


class BreakingLog(SimulatedLog):
    """A log that cannot be read any more after some reads."""

    reads_left = 0

    async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
        """Read, or fail."""
        if self.reads_left == 0:
            raise LogError("planted: the log went away.")
        self.reads_left -= 1
        return await super().read(topic, partition, offset, count)


def breaking(log: SimulatedLog) -> BreakingLog:
    """Return a log with the same records that can go away."""
    other = BreakingLog(log.partitions)
    other.__dict__.update(log.__dict__)
    return other


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.audit.reading.AUDIT_READ_RECORDS", 3)
    monkeypatch.setattr("projections.audit.reading.AUDIT_AHEAD_RECORDS", 40)
    monkeypatch.setattr("projections.audit.ranges.AUDIT_RANGE_RECORDS", 16)
    monkeypatch.setattr("projections.audit.working.AUDIT_RANGE_RECORDS", 16)
    monkeypatch.setattr("projections.audit.audit.AUDIT_SAVE_RECORDS", 7)
    monkeypatch.setattr("projections.audit.ended.AUDIT_SAVE_RECORDS", 4)


def essence(audit: Audit) -> object:
    """Return all that an audit found, to be compared."""
    return Roots.of(audit).json(), [(each.records, each.counts, each.violation_counts) for each in audit.partitions]


@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "damaged"])
async def test_an_audit_interrupted_again_and_again_finds_the_same(
    whole_log: SimulatedLog, tmp_path: Path, *, damaged: bool
) -> None:
    log = copy_of(whole_log)
    if damaged:
        for where in (kind("fence"), kind("checkpoint"), kind("commit")):
            records, index = find(log, where)
            records[index] = headed(records[index], ce_time="never")
    expected = await audited(log, tmp_path)
    assert bool(violations(expected)) == damaged
    random = Random(7)
    dying = breaking(log)
    interruptions = 0
    while True:
        dying.reads_left = random.randint(1, 60)
        advanced = [0]

        def advance(count: int, advanced: list[int] = advanced) -> None:
            advanced[0] += count

        try:
            found = await audit_log(dying, tmp_path / "work", Progress(advance=advance))
        except LogError:
            interruptions += 1
            continue
        break
    assert interruptions > 5
    assert essence(found) == essence(expected)
    assert violations(found) == violations(expected)
    assert advanced[0] == sum(each.records for each in found.partitions), "what was done before counts as done"


async def test_what_was_begun_reads_no_further_than_it_would_have(whole_log: SimulatedLog, tmp_path: Path) -> None:
    log = breaking(copy_of(whole_log))
    log.reads_left = 30
    with pytest.raises(LogError):
        await audited(log, tmp_path)
    ends = {place: log.partition(*place).end for place in places(log.partitions)}
    log.land(EVENTS, 0, Record("x", b"", {}))
    log.reads_left = 10_000
    found = await audited(log, tmp_path)
    assert {(each.topic, each.partition): each.end for each in found.partitions} == ends
    assert violations(found) == []
    assert [each.rule for each in violations(await audited(log, tmp_path))] == [Rule.RECORD_UNKNOWN]


async def test_another_log_is_audited_from_its_start(whole_log: SimulatedLog, tmp_path: Path) -> None:
    log = breaking(copy_of(whole_log))
    log.reads_left = 30
    with pytest.raises(LogError):
        await audited(log, tmp_path)
    other = copy_of(whole_log)
    other._topic_ids = {topic: number + 1_000 for topic, number in other._topic_ids.items()}
    assert essence(await audited(other, tmp_path)) != essence(await audited(log.client(), tmp_path))
    assert not (tmp_path / "work").exists()


async def test_another_copy_of_a_log_is_audited_from_its_start(whole_log: SimulatedLog, tmp_path: Path) -> None:
    damaged = copy_of(whole_log)
    records, index = find(damaged, kind("commit"))
    records[index] = headed(records[index], ce_time="never")
    interrupted = breaking(copy_of(whole_log))
    interrupted.reads_left = 60
    with pytest.raises(LogError):
        await audit_log(interrupted, tmp_path / "work", origin="here")
    # A copy has the same topics and the same last records; what was found in one says nothing about the other.
    found = await audit_log(damaged, tmp_path / "work", origin="there")
    assert essence(found) == essence(await audited(damaged, tmp_path))
    assert violations(found)


async def test_a_log_that_was_changed_under_an_interrupted_audit_is_audited_from_its_start(
    whole_log: SimulatedLog, tmp_path: Path
) -> None:
    log = breaking(copy_of(whole_log))
    log.reads_left = 40
    with pytest.raises(LogError):
        await audited(log, tmp_path)
    for place in places(log.partitions):
        records = log.partition(*place).records
        log.partition(*place).records = [each._replace(timestamp=each.timestamp + 1) for each in records]
    log.reads_left = 10_000
    found = await audited(log, tmp_path)
    log.reads_left = 10_000
    assert essence(found) == essence(await audited(log, tmp_path))


async def test_commands_that_are_deleted_meanwhile_are_no_violation(whole_log: SimulatedLog, tmp_path: Path) -> None:
    log = breaking(copy_of(whole_log))
    log.reads_left = 140
    with pytest.raises(LogError):
        await audited(log, tmp_path)
    log.truncate_before(COMMANDS, 1, 20)
    log.reads_left = 10_000
    assert violations(await audited(log, tmp_path)) == []


async def test_a_checkpoint_far_behind_the_state_it_sums_up_is_compared_all_the_same(
    whole_log: SimulatedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.audit.reading.AUDIT_AHEAD_RECORDS", 0)
    assert violations(await audited(whole_log, tmp_path)) == []
    log = copy_of(whole_log)
    records, index = find(log, lambda each: each.key == "checkpoint" and b'"traces":' in each.value)
    changed = records[index]._replace(value=records[index].value.replace(b'"traces":', b'"traces":1', 1))
    records[index] = headed(changed, ce_id=part_hash(changed))
    assert (Rule.CHECKPOINT_STATE, index) in {
        (each.rule, each.offset) for each in violations(await audited(log, tmp_path))
    }


async def test_a_history_whose_beginning_is_gone_is_named(whole_log: SimulatedLog, tmp_path: Path) -> None:
    log = copy_of(whole_log)
    log.truncate_before(EVENTS, 0, 10)
    assert [(each.rule, each.offset) for each in violations(await audited(log, tmp_path))] == [(Rule.HISTORY_GONE, 10)]


async def test_records_that_cannot_be_read_are_named_and_the_rest_is_audited(
    whole_log: SimulatedLog, tmp_path: Path
) -> None:
    class Damaged(SimulatedLog):
        async def read(self, topic: str, partition: int, offset: int, count: int) -> Sequence[LogRecord]:
            if topic == WORKFLOWS and offset <= 1 < offset + count:
                raise LogDamagedError("planted: one record cannot be read.")
            return await super().read(topic, partition, offset, count)

    log = Damaged(whole_log.partitions)
    log.__dict__.update(copy_of(whole_log).__dict__)
    found = violations(await audited(log, tmp_path))
    assert (found[0].rule, found[0].topic, found[0].offset) == (Rule.LOG_DAMAGED, WORKFLOWS, 1)
    assert {each.rule for each in found[1:]} == {Rule.WORKFLOW_MISSING}


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from engine.log.embedded import EmbeddedLog
from projections.audit import Progress, audit_log
import projections.audit.audit, projections.audit.ranges, projections.audit.reading, projections.audit.working

projections.audit.audit.AUDIT_SAVE_RECORDS = 5
projections.audit.reading.AUDIT_READ_RECORDS = 2
projections.audit.ranges.AUDIT_RANGE_RECORDS = projections.audit.working.AUDIT_RANGE_RECORDS = 16
left = int(sys.argv[2])

def advance(count):
    global left
    left -= count
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    log = await EmbeddedLog.open_reading(sys.argv[1])
    await audit_log(log, Path(sys.argv[3]), Progress(advance=advance))

asyncio.run(main())
"""


async def test_an_audit_that_is_killed_goes_on(whole_log: SimulatedLog, tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path / "log", whole_log.partitions, durability="process")
    for place in places(whole_log.partitions):
        for record in whole_log.partition(*place).records:
            await log.append(*place, Record(record.key, record.value, record.headers))
    await log.close()
    reading = await EmbeddedLog.open_reading(tmp_path / "log")
    expected = await audit_log(reading, tmp_path / "other")
    total = sum(each.records for each in expected.partitions)
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "log")]
    random = Random(3)
    for instant in (random.randint(10, total - 10), random.randint(10, total - 10)):
        process = await asyncio.create_subprocess_exec(*command, str(instant), str(tmp_path / "work"))
        assert await process.wait() == -signal.SIGKILL
        assert (tmp_path / "work").exists()
    advanced: list[int] = []
    found = await audit_log(reading, tmp_path / "work", Progress(advance=advanced.append))
    assert max(advanced) > total // 10, "most of it was done before"
    assert essence(found) == essence(expected)
    assert violations(found) == violations(expected) == []
    await reading.close()
