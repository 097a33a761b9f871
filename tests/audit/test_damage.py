"""Each kind of damage that is planted in a copied log is found, under its rule, where it stands."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.log.port import COMMANDS, EVENTS, REJECTIONS, WORKFLOWS, LogRecord
from projections.audit import MEANINGS, Rule
from tests.audit.logs import (
    audited,
    copy_of,
    find,
    forged,
    headed,
    holds,
    kind,
    part_hash,
    valued,
    violations,
)
from tests.simulation.log import SimulatedLog

Plant = Callable[[SimulatedLog], int]
"""Damages a log, and returns the offset at which the audit must name it."""

FIRST = holds("run.created,run.started,trace.started,trace.succeeded,trace.started")
NEXT = holds("trace.succeeded,trace.started")
DONE = holds("trace.succeeded,trace.started,trace.succeeded,run.succeeded")
FAILED = holds("trace.failed,run.failed")
WHOLE = holds("run.created,run.started,trace.started,trace.succeeded,trace.started,trace.succeeded,run.succeeded")
CANCELLED = holds("trace.cancelled,run.cancelled")
CREATED = holds("run.created")
STARTED = holds("run.started,trace.started,trace.succeeded,trace.started")
REFUSED = holds("command.refused")

_PLANTS: list[tuple[Rule, Plant]] = []


def plants(rule: Rule) -> Callable[[Plant], Plant]:
    """Name the rule that a kind of damage breaks."""

    def add(plant: Plant) -> Plant:
        _PLANTS.append((rule, plant))
        return plant

    return add


def events_of(value: dict[str, object]) -> list[dict[str, object]]:
    """Return the events of a commit's value."""
    events = value["events"]
    assert isinstance(events, list)
    return events


def event(value: dict[str, object], kind_of_event: str) -> dict[str, object]:
    """Return the first event of a type in a commit's value."""
    return next(each for each in events_of(value) if each["type"] == kind_of_event)


def changes(where: Callable[[LogRecord], bool], change: Callable[[dict[str, object]], object]) -> Plant:
    """Change a commit's value, and all hashes behind it so that they fit."""

    def plant(log: SimulatedLog) -> int:
        records, index = find(log, where)
        forged(records, index, valued(records[index], change))
        return index

    return plant


def heads(where: Callable[[LogRecord], bool], topic: str = EVENTS, /, **headers: str | None) -> Plant:
    """Change a record's headers, and nothing else."""

    def plant(log: SimulatedLog) -> int:
        records, index = find(log, where, topic)
        records[index] = headed(records[index], **headers)
        return index

    return plant


def appended(log: SimulatedLog, where: Callable[[LogRecord], bool], **headers: str | None) -> int:
    """Append a copy of a record, with other headers, in the last epoch of its partition."""
    records, index = find(log, where)
    epoch = next(f"{each.offset}:{each.headers['nonce']}" for each in reversed(records) if each.key == "fence")
    copy = headed(records[index], epoch=epoch, **headers)
    copy = copy._replace(offset=records[-1].offset + 1, timestamp=records[-1].timestamp)
    records.append(copy)
    forged(records, len(records) - 1, copy)
    return len(records) - 1


# What holds for every record.


@plants(Rule.OFFSET_GAP)
def a_record_is_missing(log: SimulatedLog) -> int:
    records, index = find(log, NEXT)
    del records[index]
    # What a partition holds is found by place here: the records behind it keep their offsets.
    log.partition(EVENTS, 0).records = log.partition(EVENTS, 0).records[:]
    return records[index].offset


@plants(Rule.OFFSET_GAP)
def a_record_comes_twice(log: SimulatedLog) -> int:
    records, index = find(log, NEXT)
    records[index + 1] = records[index]
    return index


@plants(Rule.OFFSET_GAP)
def two_records_changed_places(log: SimulatedLog) -> int:
    records, index = find(log, NEXT)
    records[index], records[index + 1] = records[index + 1], records[index]
    return index + 1


@plants(Rule.TIMESTAMP_BACK)
def time_goes_back(log: SimulatedLog) -> int:
    records, index = find(log, NEXT)
    records[index] = records[index]._replace(timestamp=records[index].timestamp - 100_000)
    return index


@plants(Rule.TIMESTAMP_BACK)
def time_goes_back_in_commands(log: SimulatedLog) -> int:
    records, _ = find(log, lambda _: True, COMMANDS)
    records[5] = records[5]._replace(timestamp=0)
    return 5


@plants(Rule.RECORD_UNKNOWN)
def a_type_that_nobody_knows(log: SimulatedLog) -> int:
    return heads(NEXT, ce_type="runline.other")(log)


@plants(Rule.RECORD_UNKNOWN)
def a_fence_under_a_run_id(log: SimulatedLog) -> int:
    records, index = find(log, kind("fence"))
    records[index] = records[index]._replace(key=records[index + 1].key)
    return index


@plants(Rule.PARTITION_WRONG)
def a_run_in_the_wrong_partition(log: SimulatedLog) -> int:
    here, index = find(log, CREATED)
    there = log.partition(EVENTS, 1 if here is log.partition(EVENTS, 0).records else 0).records
    epoch = next(f"{each.offset}:{each.headers['nonce']}" for each in reversed(there) if each.key == "fence")
    moved = headed(here[index], epoch=epoch)
    there.append(moved._replace(offset=there[-1].offset + 1, timestamp=there[-1].timestamp))
    forged(there, len(there) - 1, there[-1])
    return len(there) - 1


for name in ("ce_id", "ce_subject", "ce_time", "types", "correlationid", "epoch", "prev", "checkpoint"):
    plants(Rule.HEADER_MISSING)(heads(NEXT, EVENTS, **{name: None}))
for name in ("ce_subject", "types", "correlationid", "ce_specversion", "content_type", "ce_time", "ce_source"):
    plants(Rule.HEADER_WRONG)(heads(NEXT, EVENTS, **{name: ""}))
plants(Rule.HEADER_WRONG)(heads(NEXT, EVENTS, ce_source="/runline/workflows/another"))
plants(Rule.HEADER_WRONG)(heads(CREATED, decided=None))
plants(Rule.HEADER_WRONG)(heads(CREATED, decided="9"))
plants(Rule.HEADER_WRONG)(heads(CREATED, causationid="another"))
plants(Rule.HEADER_WRONG)(heads(CREATED, causationid=None))
plants(Rule.HEADER_WRONG)(heads(NEXT, traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
plants(Rule.HEADER_WRONG)(heads(NEXT, ce_time="2026-11-22T10:00:00.000000Z"))
plants(Rule.HEADER_WRONG)(changes(NEXT, lambda value: value.update(run="another")))


# The chain.


@plants(Rule.COMMIT_ID)
def a_byte_of_a_value_is_flipped(log: SimulatedLog) -> int:
    records, index = find(log, NEXT)
    value = bytearray(records[index].value)
    value[len(value) // 2] ^= 1
    records[index] = records[index]._replace(value=bytes(value))
    return index


plants(Rule.COMMIT_ID)(heads(NEXT, ce_id="0" * 64))
plants(Rule.COMMIT_EPOCH)(lambda log: appended_under(log, "0:nobody"))
plants(Rule.COMMIT_FORK)(lambda log: appended(log, NEXT, prev="0" * 64))


def appended_under(log: SimulatedLog, epoch: str) -> int:
    """Append a commit under an epoch."""
    index = appended(log, CREATED)
    records = next(
        found
        for found in (log.partition(EVENTS, 0).records, log.partition(EVENTS, 1).records)
        if len(found) == index + 1 and found[-1].headers.get("types") == "run.created"
    )
    records[-1] = headed(records[-1], epoch=epoch)
    forged(records, index, records[-1])
    return index


@plants(Rule.COMMIT_FORK)
def a_commit_is_taken_out_and_the_offsets_are_closed(log: SimulatedLog) -> int:
    records, index = find(log, NEXT)
    run = records[index].key
    gone = records[index]
    behind = next(at for at in range(index + 1, len(records)) if records[at].key == run)
    records[index] = headed(records[behind])._replace(offset=gone.offset, timestamp=gone.timestamp)
    records[behind] = gone._replace(offset=behind, timestamp=records[behind].timestamp)
    return index


@plants(Rule.AFTER_END)
def a_run_goes_on_behind_its_end(log: SimulatedLog) -> int:
    records, index = find(log, DONE)
    ended = records[index]
    later = find_in(records, lambda record: record.headers.get("types") == "trace.succeeded,trace.started")
    late = later._replace(
        key=ended.key,
        value=later.value.replace(later.key.encode(), ended.key.encode()),
        offset=records[-1].offset + 1,
        timestamp=records[-1].timestamp,
    )
    epoch = next(f"{each.offset}:{each.headers['nonce']}" for each in reversed(records) if each.key == "fence")
    late = headed(late, prev=ended.headers["ce_id"], ce_subject=ended.key, correlationid=ended.key, epoch=epoch)
    records.append(late)
    forged(records, len(records) - 1, late)
    return len(records) - 1


def find_in(records: list[LogRecord], where: Callable[[LogRecord], bool]) -> LogRecord:
    """Return the first record for which something holds."""
    return next(record for record in records if where(record))


plants(Rule.AFTER_END)(changes(DONE, lambda value: events_of(value).append(events_of(value)[0])))
plants(Rule.COMMIT_LARGE)(changes(REFUSED, lambda value: value.update(events=events_of(value) * 201)))
plants(Rule.VALUE_MALFORMED)(changes(NEXT, lambda value: value.update(events=[])))
plants(Rule.VALUE_MALFORMED)(changes(NEXT, lambda value: value.update(decided="1")))
plants(Rule.VALUE_MALFORMED)(changes(NEXT, lambda value: event(value, "trace.succeeded").pop("message")))
plants(Rule.VALUE_MALFORMED)(changes(FAILED, lambda value: event(value, "run.failed").update(error={})))


# A run's own rules.

plants(Rule.RUN_CREATED)(changes(FIRST, lambda value: events_of(value).pop(0)))
plants(Rule.RUN_CREATED)(changes(FIRST, lambda value: events_of(value).insert(1, events_of(value)[0])))
plants(Rule.RUN_STARTED)(changes(FIRST, lambda value: events_of(value).append(events_of(value)[1])))
plants(Rule.RUN_STARTED)(changes(STARTED, lambda value: events_of(value).pop(0)))
plants(Rule.RUN_STUCK)(changes(DONE, lambda value: events_of(value).pop()))
plants(Rule.TRACE_NUMBER)(changes(NEXT, lambda value: event(value, "trace.started").update(trace=9)))
plants(Rule.TRACE_ATTEMPT)(
    changes(holds("trace.started"), lambda value: event(value, "trace.started").update(attempt=7))
)
plants(Rule.TRACE_NOT_OPEN)(changes(NEXT, lambda value: event(value, "trace.succeeded").update(trace=1)))
plants(Rule.TRACE_NOT_OPEN)(changes(NEXT, lambda value: event(value, "trace.started").update(attempt=2)))
plants(Rule.TRACE_LEFT_OPEN)(changes(CANCELLED, lambda value: events_of(value).pop(0)))
plants(Rule.TRACE_PATH)(changes(NEXT, lambda value: event(value, "trace.started").update(node="start")))
plants(Rule.TRACE_PATH)(changes(NEXT, lambda value: event(value, "trace.started").update(node_type="edit")))
plants(Rule.TRACE_PATH)(changes(NEXT, lambda value: event(value, "trace.succeeded").update(next="a")))
plants(Rule.TRACE_PATH)(changes(FIRST, lambda value: event(value, "run.started").update(next="a")))
plants(Rule.CONTEXT_CHANGE)(
    changes(NEXT, lambda value: event(value, "trace.succeeded").update(changes=[{"op": "remove", "path": ["nothing"]}]))
)
plants(Rule.OUTPUT_DIFFERS)(changes(DONE, lambda value: event(value, "run.succeeded").update(output={"x": 1})))
plants(Rule.OUTPUT_DIFFERS)(changes(WHOLE, lambda value: event(value, "run.succeeded").update(output={})))
plants(Rule.OUTPUT_DIFFERS)(changes(CANCELLED, lambda value: event(value, "run.cancelled").update(output={})))
plants(Rule.TIME_BACK)(changes(NEXT, lambda value: value.update(time="2020-01-01T00:00:00.000000Z")))
plants(Rule.DECIDED_ORDER)(changes(REFUSED, lambda value: value.update(decided=0)))
plants(Rule.DECIDED_ORDER)(changes(REFUSED, lambda value: event(value, "command.refused").update(offset=50_000)))
plants(Rule.DECIDED_UNKNOWN)(changes(CREATED, lambda value: value.update(decided=100_000)))
plants(Rule.EVENT_UNKNOWN)(changes(NEXT, lambda value: event(value, "trace.started").update(type="trace.dreamt")))
plants(Rule.WORKFLOW_MISSING)(changes(FIRST, lambda value: event(value, "run.created").update(version="0" * 64)))
plants(Rule.WORKFLOW_MISSING)(changes(FIRST, lambda value: event(value, "run.created").update(workflow="other")))


# Workflows, fences, checkpoints, rejections.


@plants(Rule.WORKFLOW_VERSION)
def a_definition_is_changed(log: SimulatedLog) -> int:
    records, index = find(log, lambda _: True, WORKFLOWS)
    records[index] = records[index]._replace(value=records[index].value.replace(b'"work"', b'"fail"'))
    return index


@plants(Rule.WORKFLOW_VERSION)
def a_definition_is_not_canonical(log: SimulatedLog) -> int:
    records, index = find(log, lambda _: True, WORKFLOWS)
    records[index] = records[index]._replace(value=records[index].value.replace(b",", b", ", 1))
    return index


plants(Rule.WORKFLOW_VERSION)(heads(lambda _: True, WORKFLOWS, version="0" * 64))
plants(Rule.FENCE_NONCE)(heads(kind("fence"), ce_id="another"))
plants(Rule.VALUE_MALFORMED)(
    lambda log: replaced(log, kind("fence"), lambda record: record._replace(value=b'{"nonce":1}'))
)
plants(Rule.FENCE_NONCE)(
    lambda log: replaced(log, kind("fence"), lambda record: valued(record, lambda value: value.update(nonce="x")))
)


def replaced(log: SimulatedLog, where: Callable[[LogRecord], bool], change: Callable[[LogRecord], LogRecord]) -> int:
    """Replace a record."""
    records, index = find(log, where)
    records[index] = change(records[index])
    return index


@plants(Rule.FENCE_NONCE)
def a_nonce_is_used_again(log: SimulatedLog) -> int:
    records, index = find(log, kind("fence"))
    records.append(records[index]._replace(offset=records[-1].offset + 1, timestamp=records[-1].timestamp))
    return len(records) - 1


def part(change: Callable[[dict[str, object]], object]) -> Plant:
    """Change what the first fitting checkpoint part holds, with a hash that fits."""

    def plant(log: SimulatedLog) -> int:
        for number in range(log.partitions):
            records = log.partition(EVENTS, number).records
            for index, record in enumerate(records):
                if record.key == "checkpoint":
                    changed = valued(record, change)
                    if json.loads(changed.value) != json.loads(record.value):
                        records[index] = headed(changed, ce_id=part_hash(changed))
                        return index
        raise AssertionError("no such part")

    return plant


def of_runs(change: Callable[[list[dict[str, object]]], object]) -> Callable[[dict[str, object]], object]:
    """Change the open runs of a part, where there are any."""

    def work(value: dict[str, object]) -> None:
        runs = value["runs"]
        assert isinstance(runs, list)
        if runs:
            change(runs)

    return work


def of_ended(change: Callable[[dict[str, int]], object]) -> Callable[[dict[str, object]], object]:
    """Change the ended runs of a part, where there are any."""

    def work(value: dict[str, object]) -> None:
        ended = value["ended"]
        assert isinstance(ended, dict)
        if ended:
            change(ended)

    return work


def last_of_its_checkpoint(plant: Plant) -> Plant:
    """What is missing is known only when the last part was read."""

    def work(log: SimulatedLog) -> int:
        index = plant(log)
        for number in range(log.partitions):
            records = log.partition(EVENTS, number).records
            if index < len(records) and records[index].key == "checkpoint":
                parts = int(records[index].headers["parts"]) - int(records[index].headers["part"])
                at = [each.offset for each in records[index:] if each.key == "checkpoint"]
                return at[parts - 1]
        raise AssertionError("no such part")

    return work


plants(Rule.CHECKPOINT_ID)(heads(kind("checkpoint"), ce_id="0" * 64))
plants(Rule.CHECKPOINT_ID)(
    lambda log: replaced(log, kind("checkpoint"), lambda each: each._replace(value=each.value + b" "))
)
for field, other in (
    ("head", "0" * 64), ("status", "Suspended"), ("ready", "x"), ("traces", 7), ("decided", 10_000), ("open", []),
    ("created", "2026"), ("workflow", "x"), ("version", "x"), ("correlation", "x"), ("traceparent", "x"),
    ("context", {"x": 1}), ("input", {"x": 1.0}), ("started", "x"), ("tags", ["x"]),
):  # fmt: skip
    plants(Rule.CHECKPOINT_STATE)(
        part(of_runs(lambda runs, field=field, other=other: runs[0].update({field: other})))  # type: ignore[misc]  # bound now
    )
plants(Rule.CHECKPOINT_STATE)(part(of_runs(lambda runs: runs.append(dict(runs[0])))))
plants(Rule.CHECKPOINT_STATE)(last_of_its_checkpoint(part(of_runs(lambda runs: runs.pop()))))
plants(Rule.CHECKPOINT_ENDED)(part(of_ended(lambda ended: ended.update({next(iter(ended)): 7_000}))))
plants(Rule.CHECKPOINT_ENDED)(part(of_ended(lambda ended: ended.update({"01a20641-0000-7000-8000-000000000000": 3}))))
plants(Rule.CHECKPOINT_ENDED)(last_of_its_checkpoint(part(of_ended(lambda ended: ended.pop(next(iter(ended)))))))


@plants(Rule.CHECKPOINT_EPOCH)
def a_part_of_no_epoch(log: SimulatedLog) -> int:
    return rehashed(log, epoch="3:nobody")


@plants(Rule.CHECKPOINT_PARTS)
def a_part_says_another_c(log: SimulatedLog) -> int:
    records, index = find(log, lambda record: record.headers.get("part") == "1")
    changed = headed(records[index], commands="1")
    records[index] = headed(changed, ce_id=part_hash(changed))
    return index


@plants(Rule.CHECKPOINT_PARTS)
def a_part_sums_up_what_comes(log: SimulatedLog) -> int:
    return rehashed(log, start="100000")


@plants(Rule.CHECKPOINT_PARTS)
def a_part_sums_up_what_stands_before_its_fence(log: SimulatedLog) -> int:
    return rehashed(log, start="0")


@plants(Rule.HEADER_WRONG)
def a_part_has_no_number(log: SimulatedLog) -> int:
    return heads(kind("checkpoint"), part="x")(log)


def rehashed(log: SimulatedLog, **headers: str) -> int:
    """Change the headers of a part, with a hash that fits."""
    records, index = find(log, kind("checkpoint"))
    changed = headed(records[index], **headers)
    records[index] = headed(changed, ce_id=part_hash(changed))
    return index


@plants(Rule.CHECKPOINT_BACK)
def c_goes_back(log: SimulatedLog) -> int:
    records, index = find(log, kind("checkpoint"))
    later = [each.offset for each in records if each.key == "checkpoint"]
    starts = {records[at].headers["start"] for at in later}
    assert len(starts) > 1
    second = [at for at in later if records[at].headers["start"] != records[index].headers["start"]]
    start = records[second[0]].headers["start"]
    of_it = [at for at in second if records[at].headers["start"] == start]
    for at in of_it:
        changed = headed(records[at], commands="0", clock="-1")
        records[at] = headed(changed, ce_id=part_hash(changed))
    return of_it[-1]


plants(Rule.CHECKPOINT_NAMED)(heads(NEXT, checkpoint="1"))
plants(Rule.CHECKPOINT_NAMED)(heads(NEXT, checkpoint="never"))
plants(Rule.CHECKPOINT_NAMED)(heads(kind("fence"), checkpoint="7"))
plants(Rule.REJECTION_PLACE)(heads(lambda _: True, REJECTIONS, offset="77"))
plants(Rule.REJECTION_PLACE)(heads(lambda _: True, REJECTIONS, size="0"))
plants(Rule.REJECTION_PLACE)(heads(lambda _: True, REJECTIONS, size="many"))
plants(Rule.HEADER_MISSING)(heads(lambda _: True, REJECTIONS, reason=None))
plants(Rule.HEADER_WRONG)(heads(lambda _: True, REJECTIONS, code=""))


@pytest.mark.parametrize(
    ("rule", "plant"), _PLANTS, ids=[f"{number}-{rule}" for number, (rule, _) in enumerate(_PLANTS)]
)
async def test_planted_damage_is_found(rule: Rule, plant: Plant, whole_log: SimulatedLog, tmp_path: Path) -> None:
    log = copy_of(whole_log)
    offset = plant(log)
    found = violations(await audited(log, tmp_path))
    assert (rule, offset) in {(each.rule, each.offset) for each in found}, found
    assert all(each.text and each.topic for each in found)


async def test_a_run_that_readers_may_have_forgotten_is_not_begun_again(
    whole_log: SimulatedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Everything is old: what has ended below C is forgotten with the next checkpoint.
    monkeypatch.setattr("projections.audit.checkpoints.WINDOW_SECONDS", -1_000_000)
    log = copy_of(whole_log)
    index = appended(log, WHOLE)
    partition = next(n for n in (0, 1) if log.partition(EVENTS, n).end == index + 1)
    records = log.partition(EVENTS, partition).records
    last = log.partition(COMMANDS, partition).end - 1
    forged(records, index, headed(valued(records[index], lambda value: value.update(decided=last)), decided=str(last)))
    found = violations(await audited(log, tmp_path))
    assert [(each.rule, each.offset) for each in found] == [(Rule.RUN_REVIVED, index)]


def nested(depth: int) -> str:
    """Return JSON with containers inside each other."""
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "changes_text",
    [
        f'[{{"op":"set","path":["x"],"value":{nested(900)}}}]',
        '[{"op":"set","path":[' + ",".join(['"x"'] * 20_000) + '],"value":1}]',
        '[{"op":"set","path":[],"value":{"x":' + nested(900) + "}}]",
        "[" + nested(900) + "]",
        '[{"op":"set","path":["x",18446744073709551615],"value":1}]',
    ],
    ids=["deep value", "long path", "deep context", "deep change", "large index"],
)
async def test_a_bomb_in_one_run_is_found_and_all_others_are_judged(
    changes_text: str, whole_log: SimulatedLog, tmp_path: Path
) -> None:
    log = copy_of(whole_log)
    records, index = find(log, NEXT)
    head, _, tail = records[index].value.decode().partition('"changes":')
    value = head + '"changes":' + changes_text + ',"output"' + tail.partition(',"output"')[2]
    forged(records, index, records[index]._replace(value=value.encode()))
    # What would follow is not on the log: the run stands as the bomb left it.
    found = violations(await audited(log, tmp_path))
    assert found
    assert {each.run for each in found if each.topic == EVENTS and each.run} <= {records[index].key}


@pytest.mark.parametrize("number", ["9" * 5_000, "1" * 19, "01", "-1", "1e3", "\u0661"])
async def test_strange_numbers_are_none(number: str, whole_log: SimulatedLog, tmp_path: Path) -> None:
    log = copy_of(whole_log)
    for where, header in ((NEXT, "checkpoint"), (CREATED, "decided"), (kind("checkpoint"), "start")):
        records, index = find(log, where)
        records[index] = headed(records[index], **{header: number})
    assert len(violations(await audited(log, tmp_path))) >= 3


async def test_a_record_that_is_too_large_is_found(whole_log: SimulatedLog, tmp_path: Path) -> None:
    log = copy_of(whole_log)
    index = changes(DONE, lambda value: event(value, "trace.succeeded").update(message="x" * 1_000_000))(log)
    assert (Rule.RECORD_LARGE, index) in {(each.rule, each.offset) for each in violations(await audited(log, tmp_path))}


async def test_only_the_first_violations_are_named_but_all_are_counted(
    whole_log: SimulatedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.audit.findings.AUDIT_VIOLATIONS_SHOWN", 3)
    log = copy_of(whole_log)
    records = log.partition(EVENTS, 0).records
    log.partition(EVENTS, 0).records = [headed(record, ce_time="now") for record in records]
    audit = await audited(log, tmp_path)
    assert len(violations(audit)) == 3
    assert audit.violations >= len(records)


async def test_copies_of_what_counts_are_no_violation_and_do_not_count_twice(
    whole_log: SimulatedLog, tmp_path: Path
) -> None:
    log = copy_of(whole_log)
    for number in (0, 1):
        records = log.partition(EVENTS, number).records
        fence = max(record.offset for record in records if record.key == "fence")
        for record in [each for each in records if each.key != "fence" and each.offset > fence]:
            records.append(record._replace(offset=records[-1].offset + 1, timestamp=records[-1].timestamp))
    audit = await audited(log, tmp_path)
    # Copies of parts of earlier checkpoints sum up what is not at hand any more.
    assert {each.rule for each in violations(audit)} <= {Rule.CHECKPOINT_STATE, Rule.CHECKPOINT_BACK}
    before = [each.counts for each in (await audited(whole_log, tmp_path)).partitions if each.counts is not None]
    after = [each.counts for each in audit.partitions if each.counts is not None]
    assert [each.accepted for each in before] == [each.accepted for each in after]


async def test_a_log_without_damage_is_found_clean(whole_log: SimulatedLog, tmp_path: Path) -> None:
    audit = await audited(whole_log, tmp_path)
    assert violations(audit) == []
    counts = [each.counts for each in audit.partitions if each.counts is not None]
    assert all(each.runs > each.ended > 0 and each.fences == 2 and each.checkpoints > 1 for each in counts)
    assert not (tmp_path / "work").exists()


def test_every_rule_has_a_meaning_and_a_test_that_breaks_it() -> None:
    broken = {rule for rule, _ in _PLANTS}
    elsewhere = {
        Rule.LOG_DAMAGED,
        Rule.HISTORY_GONE,
        Rule.RECORD_LARGE,
        Rule.RUN_REVIVED,
        Rule.ROOT_DIFFERS,
        Rule.ROOT_UNKNOWN,
        Rule.LOG_DIFFERS,
        Rule.BUNDLE_PROOF,
        Rule.BUNDLE_FENCES,
        Rule.BUNDLE_DEFINITION,
        Rule.BUNDLE_CONTENTS,
    }
    assert set(MEANINGS) == set(Rule) == broken | elsewhere
    assert len(broken) >= 20
