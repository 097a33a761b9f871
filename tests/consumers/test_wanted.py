"""Runs of unwanted workflows are passed over by their headers: nothing of them is decoded, and the rest is the same."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from consumers.host import Start, Wanted
from consumers.host.partial import PartialView
from engine import EngineService
from engine.core import view as core_view
from engine.core.records import COMMIT, CommitValue, read_commit, workflow_of
from engine.core.view import View
from engine.log.port import EVENTS, LogRecord
from tests.consumers.test_host import Book, hosting, play, told
from tests.projections.forging import forge
from tests.schemas.test_vectors import VECTORS
from tests.simulation.log import SimulatedLog
from tests.support.workflows import END, chain, code, registry

ONLY_V = Wanted(workflows=frozenset({"v"}))
EARLY = "/runline"
"""What early versions wrote as `ce_source` of a commit."""


async def mixed(log: SimulatedLog) -> tuple[list[str], list[str]]:
    """Let runs of the workflows v and w go on side by side, under several executors; return the ids of each."""
    async with EngineService.open(log, registry(), executor=True) as engine:
        for workflow in ("v", "w"):
            await engine.publish_workflow(chain(code("a", "add"), code("b", "add"), END, workflow_id=workflow))
        waiting = [await engine.create_workflow_run(workflow) for workflow in ("v", "w") for _ in range(3)]
    runs = [*await play(log, 3, "v"), *await play(log, 3, "w")]
    async with EngineService.open(log, registry(), executor=True) as engine:
        for run_id in waiting:
            await engine.start_workflow_run_and_wait(run_id, {})
    return [*waiting[:3], *runs[:3]], [*waiting[3:], *runs[3:]]


def as_early(log: SimulatedLog) -> None:
    """Let all commits be as early versions wrote them: the headers are not in their hash."""
    for number in range(log.partitions):
        records = log.partition(EVENTS, number).records
        for index, record in enumerate(records):
            records[index] = record._replace(headers={**record.headers, "ce_source": EARLY})


async def check_heard(log: SimulatedLog, book: Book, runs: Sequence[str]) -> None:
    """Check that a service heard all changes of these runs, in order, and of no others."""
    changes = await told(log)
    assert {subject.run_id for subject, _ in book.heard} == set(runs)
    for run_id in runs:
        heard = [delivery.event_id for subject, delivery in book.heard if subject.run_id == run_id]
        assert heard == [event for event, _ in changes[run_id]]


async def test_every_commit_names_the_workflow_of_its_run_in_its_headers() -> None:
    log = SimulatedLog(2)
    wanted, others = await mixed(log)
    named = dict.fromkeys(wanted, "v") | dict.fromkeys(others, "w")
    commits = [
        record
        for number in range(2)
        for record in log.partition(EVENTS, number).records
        if record.headers["ce_type"] == COMMIT
    ]
    assert {record.headers["ce_source"] for record in commits} == {"/runline/workflows/v", "/runline/workflows/w"}
    assert [workflow_of(record.headers) for record in commits] == [named[record.key] for record in commits]
    assert len({record.key for record in commits}) == 12


async def test_nothing_is_decoded_of_runs_that_nobody_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[LogRecord] = []

    def count(record: LogRecord) -> CommitValue:
        decoded.append(record)
        return read_commit(record)

    log = SimulatedLog(2)
    wanted, others = await mixed(log)
    monkeypatch.setattr(core_view, "read_commit", count)
    book = Book()
    async with hosting(log, tmp_path / "v", {"book": book}, wanted=ONLY_V) as host:
        await host.caught_up()
    assert {record.key for record in decoded} == set(wanted)
    await check_heard(log, book, wanted)
    # Without the header a first commit is read to find out, and nothing more of its run.
    as_early(log)
    decoded.clear()
    book = Book()
    async with hosting(log, tmp_path / "early", {"book": book}, wanted=ONLY_V) as host:
        await host.caught_up()
    of_others = [record.key for record in decoded if record.key in others]
    assert sorted(of_others) == sorted(others)
    await check_heard(log, book, wanted)


@pytest.mark.parametrize("source", ["named", EARLY])
async def test_wherever_it_begins_a_filtered_service_hears_what_one_without_a_filter_hears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr("engine.executor.checkpointer.CHECKPOINT_BYTES_MIN", 3_000)
    log = SimulatedLog()
    wanted, _ = await mixed(log)
    if source == EARLY:
        as_early(log)
    end = (await log.ends(EVENTS, 0)).end
    kinds = [record.headers["ce_type"] for record in log.partition(EVENTS, 0).records]
    assert kinds.count("runline.checkpoint") > 1
    for offset in range(end):
        heard = []
        for name, filtered in (("all", Wanted()), ("v", ONLY_V)):
            book, directory = Book(), tmp_path / f"{name}{offset}"
            async with hosting(
                log, directory, {"book": book}, Start.from_offsets({0: offset}), wanted=filtered
            ) as host:
                await host.caught_up()
            heard.append([subject for subject, _ in book.heard if subject.run_id in wanted])
            assert filtered is not ONLY_V or len(heard[-1]) == len(book.heard)
        # The same runs and traces, with the same contexts.
        assert sorted(map(repr, heard[0])) == sorted(map(repr, heard[1]))


@pytest.mark.parametrize("name", VECTORS)
def test_what_counts_of_one_run_is_the_same_whether_others_are_read_or_passed_over(name: str) -> None:
    vector = VECTORS[name]
    for run_id in {record.key for record in vector.records if record.headers.get("ce_type") == COMMIT}:
        view, accepted = PartialView(View(), {"order"}), []
        for record in vector.records:
            source = f"/x/workflows/{'order' if record.key == run_id else 'w'}"
            if view.fold(record._replace(headers={**record.headers, "ce_source": source})) is not None:
                accepted.append(record.offset)
        own = {record.offset for record in vector.records if record.key == run_id}
        assert accepted == [offset for offset in vector.accepted if offset in own]


async def test_what_cannot_be_read_stops_only_services_that_want_its_run(tmp_path: Path) -> None:
    log = SimulatedLog()
    async with EngineService.open(log, registry(), executor=True) as engine:
        await engine.publish_workflow(chain(code("a", "add"), END, workflow_id="w"))
        waiting = [await engine.create_workflow_run("w") for _ in range(2)]
    for run_id in waiting:
        forge(log, run_id, [{"type": "run.exploded"}])
    wanted = await play(log, 2, "v")
    book = Book()
    async with hosting(log, tmp_path / "v", {"book": book}, wanted=ONLY_V) as host:
        await host.caught_up()
        assert not any(lag.trouble for lag in await host.lag())
    await check_heard(log, book, wanted)
    async with hosting(log, tmp_path / "all", {"book": Book()}) as host:
        await host.caught_up()
        assert all("run.exploded" in lag.trouble for lag in await host.lag())
