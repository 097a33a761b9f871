"""Roots that were stored show every later change of the log, and nothing else."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.log.place import places
from engine.log.port import COMMANDS, EVENTS, WORKFLOWS, LogRecord, Record
from projections.audit import Audit, Comparison, Roots, RootsError, Rule, compare
from tests.audit.logs import audited, copy_of, violations
from tests.simulation.log import SimulatedLog


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("ranges", "working"):
        monkeypatch.setattr(f"projections.audit.{place}.AUDIT_RANGE_RECORDS", 16)


@pytest.fixture(scope="module")
def roots(whole_log: SimulatedLog, tmp_path_factory: pytest.TempPathFactory) -> Roots:
    """Return the roots of the log without damage."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for place in ("ranges", "working"):
            monkeypatch.setattr(f"projections.audit.{place}.AUDIT_RANGE_RECORDS", 16)
        return Roots.of(asyncio.run(audited(whole_log, tmp_path_factory.mktemp("roots"))))


async def compared(log: SimulatedLog, roots: Roots, directory: Path) -> tuple[Audit, Comparison]:
    """Audit a log and compare it."""
    audit = await audited(log, directory)
    return audit, await compare(roots, audit, log)


def stored(audit: Audit, directory: Path) -> Roots:
    """Write roots and read them again."""
    file = directory / "roots.json"
    file.write_text(json.dumps(Roots.of(audit).json()), encoding="utf-8")
    return Roots.read(file)


def test_roots_of_which_a_partition_was_left_out_or_doubled_are_none(roots: Roots, tmp_path: Path) -> None:
    whole = roots.json()
    partitions = cast("list[object]", whole["partitions"])
    file = tmp_path / "roots.json"
    file.write_text(json.dumps(whole), encoding="utf-8")
    assert Roots.read(file).json() == whole
    for changed in ([], partitions[1:], partitions[:-1], [*partitions, partitions[0]]):
        file.write_text(json.dumps({**whole, "partitions": changed}), encoding="utf-8")
        with pytest.raises(RootsError, match="expected the roots of every partition once, but not so those of "):
            Roots.read(file)
    for topic, number in ((each.place.topic, each.place.partition) for each in roots.partitions):
        left = [each for each in roots.partitions if (each.place.topic, each.place.partition) != (topic, number)]
        file.write_text(json.dumps(Roots(roots.identity, left).json()), encoding="utf-8")
        with pytest.raises(RootsError, match=f"not so those of {topic}/{number}"):
            Roots.read(file)


async def test_a_log_that_has_grown_has_the_roots_it_had(whole_log: SimulatedLog, tmp_path: Path) -> None:
    roots = stored(await audited(whole_log, tmp_path), tmp_path)
    log = copy_of(whole_log)
    for place in places(log.partitions):
        log.land(*place, Record("more", b"", {}))
    _, comparison = await compared(log, roots, tmp_path)
    assert comparison == Comparison([], [], sum(len(each.ranges) for each in roots.partitions if not each.leaves))


Change = Callable[[LogRecord], LogRecord]
_RECORD_CHANGES: list[Change] = [
    lambda record: record._replace(timestamp=record.timestamp + 1),
    lambda record: record._replace(offset=record.offset + 1),
    lambda record: record._replace(key=f"{record.key}x"),
    lambda record: record._replace(value=record.value + b" "),
    lambda record: record._replace(value=b"" if record.value else b"x"),
    lambda record: record._replace(value=bytes((record.value[:1] or b"\0")[0:1]) + record.value),
    lambda record: record._replace(headers={**record.headers, "x": ""}),
    lambda record: record._replace(headers={name: f"{text} " for name, text in record.headers.items()} or {"": ""}),
    lambda record: record._replace(headers=dict(list(record.headers.items())[1:]) if record.headers else {"a": "b"}),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_whatever_is_changed_is_found(
    data: st.DataObject, whole_log: SimulatedLog, roots: Roots, tmp_path: Path
) -> None:
    log = copy_of(whole_log)
    topic, partition = data.draw(st.sampled_from([place for place in places(2) if log.partition(*place).records]))
    records = log.partition(topic, partition).records
    index = data.draw(st.integers(0, len(records) - 1))
    action = data.draw(st.sampled_from(["change", "flip", "remove", "repeat", "swap"]))
    if action == "change":
        records[index] = data.draw(st.sampled_from(_RECORD_CHANGES))(records[index])
    elif action == "flip" and records[index].value:
        value = bytearray(records[index].value)
        value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        records[index] = records[index]._replace(value=bytes(value))
    elif action == "repeat":
        records.insert(index, records[index])
    elif action == "swap" and index:
        records[index - 1], records[index] = (
            records[index]._replace(offset=index - 1),
            records[index - 1]._replace(offset=index),
        )
        assert records[index - 1 : index + 1] != whole_log.partition(topic, partition).records[index - 1 : index + 1]
    else:
        del records[index]
    audit, comparison = await compared(log, roots, tmp_path)
    found = {(each.topic, each.partition) for each in [*violations(audit), *comparison.violations]}
    assert (topic, partition) in found


async def test_deleted_commands_are_gone_and_no_violation(whole_log: SimulatedLog, tmp_path: Path) -> None:
    roots = stored(await audited(whole_log, tmp_path), tmp_path)
    log = copy_of(whole_log)
    log.truncate_before(COMMANDS, 1, 20)
    audit, comparison = await compared(log, roots, tmp_path)
    assert (audit.violations, comparison.violations) == (0, [])
    assert [(each.topic, each.partition, each.start, each.end) for each in comparison.gone] == [
        (COMMANDS, 1, 0, 16),
        (COMMANDS, 1, 16, 20),
    ]


async def test_deleted_events_are_a_violation(whole_log: SimulatedLog, tmp_path: Path) -> None:
    roots = stored(await audited(whole_log, tmp_path), tmp_path)
    log = copy_of(whole_log)
    log.truncate_before(EVENTS, 0, 32)
    audit, comparison = await compared(log, roots, tmp_path)
    assert [each.rule for each in comparison.violations] == [Rule.ROOT_DIFFERS] * 2
    assert audit.partitions[1].violation_counts == {Rule.HISTORY_GONE: 1}


async def test_a_definition_that_compaction_removed_is_gone_when_a_later_one_has_its_key(
    whole_log: SimulatedLog, tmp_path: Path
) -> None:
    log = copy_of(whole_log)
    first = log.partition(WORKFLOWS, 0).records[0]
    log.land(WORKFLOWS, 0, Record(first.key, first.value, first.headers))
    log._shared = True
    roots = stored(await audited(log, tmp_path), tmp_path)
    del log.partition(WORKFLOWS, 0).records[0]
    log.partition(WORKFLOWS, 0).start = 1
    audit, comparison = await compared(log, roots, tmp_path)
    assert (audit.violations, comparison.violations) == (0, [])
    assert [(each.topic, each.start, each.end) for each in comparison.gone] == [(WORKFLOWS, 0, 1)]
    del log.partition(WORKFLOWS, 0).records[0]
    log.partition(WORKFLOWS, 0).start = 2
    _, comparison = await compared(log, roots, tmp_path)
    assert [(each.rule, each.offset) for each in comparison.violations] == [(Rule.ROOT_DIFFERS, 1)]


async def test_another_log_is_told_from_this_one(whole_log: SimulatedLog, tmp_path: Path) -> None:
    roots = stored(await audited(whole_log, tmp_path), tmp_path)
    log = copy_of(whole_log)
    log._topic_ids = {topic: number + 1_000 for topic, number in log._topic_ids.items()}
    _, comparison = await compared(log, roots, tmp_path)
    assert [each.rule for each in comparison.violations] == [Rule.LOG_DIFFERS]
    _, comparison = await compared(SimulatedLog(1), roots, tmp_path)
    assert {each.rule for each in comparison.violations} >= {Rule.LOG_DIFFERS, Rule.ROOT_DIFFERS}


async def test_a_file_with_roots_that_was_changed_is_refused(whole_log: SimulatedLog, tmp_path: Path) -> None:
    audit = await audited(whole_log, tmp_path)
    text = json.dumps(Roots.of(audit).json())
    file = tmp_path / "roots.json"
    first = audit.partitions[1]
    for old, new, expected in (
        (text, text[:200], "whole JSON"),
        (text, "[]", "expected an object"),
        ('"format": 1', '"format": 2', "expected format 1"),
        ('"format": 1', '"form": 1', "expected format"),
        (first.root.hex(), "0" * 64, "the root over its ranges at partitions[1].root"),
        (first.root.hex(), "x", "64 hexadecimal digits at partitions[1].root"),
        (first.ranges[0].root.hex(), "0" * 64, "the root over its ranges"),
        (f'"end": {first.ranges[0].end}, "fences"', '"end": -1, "fences"', "a whole number from 0 on"),
        (f'"topic": "{first.topic}"', '"topic": 7', "a text at partitions[1].topic"),
        (f'"start": {first.start}, "end"', '"start": 0, "more": 1, "end"', "found more"),
        ('"ranges": [', '"ranges": 1, "was": [', "expected only"),
        (audit.identity, "another", "the root over its ranges"),
    ):
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(RootsError) as refused:
            Roots.read(file)
        assert expected in str(refused.value)


def test_a_file_with_roots_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.audit.roots.ROOTS_BYTES_MAX", 10)
    (tmp_path / "roots.json").write_text("{}         ", encoding="utf-8")
    with pytest.raises(RootsError, match="at most 10 bytes"):
        Roots.read(tmp_path / "roots.json")
