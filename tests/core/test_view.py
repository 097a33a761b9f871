"""Which records of a partition count: fences, chains, guards, checkpoints."""

from collections.abc import Mapping

import orjson

from engine.core.checkpoint import part_values, read_part_value
from engine.core.records import (
    NO_CHECKPOINT,
    Heading,
    PartHeading,
    commit_record,
    commit_value,
    fence_record,
    part_record,
)
from engine.core.state import GENESIS
from engine.core.view import Accepted, View
from engine.limits import WINDOW_SECONDS
from engine.log.port import LogRecord, Record

RUN = "01939d5c-0000-7000-8000-000000000001"
OTHER = "01939d5c-0000-7000-8000-000000000002"
CLOCK = int("01939d5c0000", 16)
TIME = "2026-11-22T12:00:00.000000Z"
CREATED = {"type": "run.created", "workflow": "w", "version": "v", "correlation": RUN, "command": "c"}
STARTED = {"type": "run.started", "context": {"x": 1}, "next": "start", "command": "c"}
ENDED = {"type": "run.succeeded", "output": {"x": 1}}


class Partition:
    """Records in order, folded by one view as they come."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.view = View()

    def add(self, record: Record) -> Accepted | None:
        self.records.append(LogRecord(len(self.records), 0, *record))
        return self.view.fold(self.records[-1])

    def fence(self, nonce: str = "n") -> str:
        offset = len(self.records)
        self.add(fence_record(nonce, executor="me", source="/", time=TIME, checkpoint=NO_CHECKPOINT))
        return f"{offset}:{nonce}"

    def again(self) -> View:
        view = View()
        for record in self.records:
            view.fold(record)
        return view


def commit(
    *events: Mapping[str, object], epoch: str, prev: str = GENESIS, run: str = RUN, decided: int | None = None
) -> Record:
    value = commit_value(run, TIME, decided, [orjson.dumps(event) for event in events])
    return commit_record(
        value,
        run_id=run,
        time=TIME,
        decided=decided,
        prev=prev,
        epoch=epoch,
        types="",
        causation="",
        heading=Heading("/", run, "", NO_CHECKPOINT),
    )


def part(view: View, epoch: str, number: int = 0, count: int = 1, *, commands: int = 0, clock: int = -1) -> Record:
    value = next(iter(part_values(view.runs, view.ended, commands=commands, clock=clock)))
    heading = PartHeading(epoch, view.position, number, count, commands, clock)
    return part_record(value, heading, source="/", time=TIME, checkpoint=NO_CHECKPOINT)


def test_a_commit_of_the_current_epoch_that_continues_its_run_is_accepted() -> None:
    log = Partition()
    epoch = log.fence()
    first = log.add(commit(CREATED, epoch=epoch, decided=0))
    assert first is not None
    second = log.add(commit(STARTED, epoch=epoch, prev=first.id, decided=1))
    assert second is not None
    assert second.before == first.after
    assert log.view.runs[RUN].head == second.id
    assert log.view.runs[RUN].decided == 1


def test_a_duplicate_a_gap_and_a_lost_race_are_skipped() -> None:
    log = Partition()
    epoch = log.fence()
    first = log.add(commit(CREATED, epoch=epoch))
    assert first is not None
    assert log.add(commit(CREATED, epoch=epoch)) is None
    assert log.add(commit(STARTED, epoch=epoch, prev="f" * 64)) is None
    assert log.add(commit(STARTED, epoch=epoch, prev=first.id)) is not None
    assert log.add(commit(STARTED, epoch=epoch, prev=first.id)) is None


def test_no_commit_of_an_older_epoch_is_accepted_after_a_fence() -> None:
    log = Partition()
    old = log.fence("old")
    new = log.fence("new")
    assert log.add(commit(CREATED, epoch=old)) is None
    assert log.add(commit(CREATED, epoch=new)) is not None


def test_an_epoch_at_a_reused_offset_is_another_one() -> None:
    log = Partition()
    log.fence("truncated")
    assert log.add(commit(CREATED, epoch="0:other")) is None


def test_a_commit_whose_bytes_were_changed_is_skipped() -> None:
    log = Partition()
    epoch = log.fence()
    record = commit(CREATED, epoch=epoch)
    assert log.add(record._replace(value=record.value.replace(b'"w"', b'"v"'))) is None
    assert log.add(record) is not None


def test_only_the_very_objects_that_were_sent_count_as_what_was_sent() -> None:
    view = View(epoch="e")
    sent = commit(CREATED, epoch="e")
    changed = sent.value.replace(b'"w"', b'"v"')
    assert view.fold(LogRecord(0, 0, RUN, changed, sent.headers), sent) is None
    assert view.fold(LogRecord(1, 0, RUN, changed, dict(sent.headers)), sent) is None
    forged = {**sent.headers, "ce_id": "f" * 64}
    assert view.fold(LogRecord(2, 0, RUN, sent.value, forged), sent) is None
    accepted = view.fold(LogRecord(3, 0, *sent), sent)
    assert accepted is not None
    assert accepted.id == sent.headers["ce_id"]


def test_nothing_is_accepted_after_the_end_and_the_id_does_not_begin_again() -> None:
    log = Partition()
    epoch = log.fence()
    end = log.add(commit(CREATED, STARTED, ENDED, epoch=epoch, decided=3))
    assert end is not None
    assert log.add(commit(STARTED, epoch=epoch, prev=end.id)) is None
    assert log.add(commit(CREATED, epoch=epoch)) is None
    assert log.view.ended == {RUN: 3}
    assert log.view.runs == {}


def test_foreign_records_are_passed_over() -> None:
    log = Partition()
    epoch = log.fence()
    assert log.add(Record(RUN, b"\xff", {})) is None
    assert log.add(Record("", b"", {"ce_type": "runline.checkpoint"})) is None
    assert log.add(Record(RUN, b"{}", {"ce_type": "somebody.else", "epoch": epoch})) is None
    assert log.add(commit(CREATED, epoch=epoch)) is not None


def test_a_checkpoint_is_complete_when_all_parts_stand_under_their_epoch() -> None:
    log = Partition()
    epoch = log.fence()
    log.add(commit(CREATED, epoch=epoch))
    first = part(log.view, epoch, 0, 2)
    second = part(log.view, epoch, 1, 2)
    log.add(first)
    assert log.view.checkpoint is None
    log.add(second)


def test_a_fence_between_two_parts_cuts_their_checkpoint() -> None:
    log = Partition()
    epoch = log.fence("a")
    first, second = part(log.view, epoch, 0, 2), part(log.view, epoch, 1, 2)
    log.add(first)
    log.fence("b")
    log.add(second)
    assert log.view.checkpoint is None


def test_an_ended_run_is_forgotten_by_the_checkpoint_that_leaves_it_out_and_a_late_copy_does_not_revive_it() -> None:
    log = Partition()
    epoch = log.fence()
    first = commit(CREATED, STARTED, ENDED, epoch=epoch, decided=3)
    log.add(first)
    log.add(commit(CREATED, STARTED, ENDED, epoch=epoch, decided=4, run=OTHER))
    late = CLOCK + int(WINDOW_SECONDS * 1000) + 1
    log.add(part(log.view, epoch, commands=4, clock=late))
    assert log.view.ended == {OTHER: 4}, "the first run is old enough and below C; the second is not below C"
    assert log.add(first) is None, "a second copy of a first commit must not revive a forgotten run"
    assert log.view.runs == {}


def test_beginning_from_a_checkpoint_and_folding_on_gives_the_same_view() -> None:
    log = Partition()
    epoch = log.fence()
    created = log.add(commit(CREATED, epoch=epoch, decided=0))
    assert created is not None
    log.add(commit(CREATED, STARTED, ENDED, epoch=epoch, decided=1, run=OTHER))
    start = log.view.position
    values = list(part_values(log.view.runs, log.view.ended, commands=2, clock=CLOCK))
    view = View(start, epoch)
    for number, value in enumerate(values):
        heading = PartHeading(epoch, start, number, len(values), 2, CLOCK)
        log.add(part_record(value, heading, source="/", time=TIME, checkpoint=NO_CHECKPOINT))
        view.restore(heading, *read_part_value(value))
    log.add(commit(STARTED, epoch=epoch, prev=created.id, decided=2))
    for kept in log.records[start:]:
        view.fold(kept)
    assert view.runs == log.view.runs == log.again().runs
    assert view.ended == log.view.ended == {OTHER: 1}


def test_tags_go_through_a_checkpoint_and_one_of_runs_without_them_says_nothing_of_them() -> None:
    log = Partition()
    epoch = log.fence()
    log.add(commit(CREATED, epoch=epoch))
    log.add(commit({**CREATED, "tags": ["b", "a"]}, epoch=epoch, run=OTHER))
    (value,) = part_values(log.view.runs, {}, commands=0, clock=-1)
    untagged, tagged = orjson.loads(value)["runs"]
    assert "tags" not in untagged
    assert tagged["tags"] == ["b", "a"]
    runs, _ = read_part_value(value)
    assert runs == log.view.runs
    assert [runs[run].tags for run in (RUN, OTHER)] == [(), ("b", "a")]
