"""What becomes of parked changes that people ask for, whoever follows then, and with whatever filter."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from consumers.host import Delivery, LocalProgress, Wanted
from consumers.host.local import ask_local, read_local
from consumers.host.parked import Action, Request
from consumers.host.progress import Progress
from engine import Run, Trace
from engine.store.errors import StoreError
from tests.consumers.test_host import Book, hosting, parked_run, play, trouble_of, until_parked
from tests.simulation.log import SimulatedLog
from tests.support.engines import until

ANOTHER = Wanted(workflows=frozenset({"nope"}))
CREATED = Wanted(types=frozenset({"run.created"}))
ENDED = Wanted(statuses=frozenset({"Success"}), types=frozenset({"run.succeeded"}))


@pytest.mark.parametrize(
    ("wanted", "action", "expected"),
    [
        (ANOTHER, "retry", ["trace.started"]),
        (CREATED, "retry", ["trace.started"]),
        (ENDED, "retry", ["trace.started", "run.succeeded"]),
        (ANOTHER, "skip", []),
        (ENDED, "skip", ["run.succeeded"]),
    ],
)
async def test_what_people_ask_for_is_delivered_whatever_is_wanted_now_and_what_is_behind_it_as_far_as_it_is(
    tmp_path: Path, wanted: Wanted, action: Action, expected: list[str]
) -> None:
    log = SimulatedLog()
    parked, _ = await parked_run(log, tmp_path)
    await play(log, 1, "v")
    ask_local(tmp_path, Request(action, parked.key))
    book = Book()
    async with hosting(log, tmp_path, {"book": book}, wanted=wanted) as host:
        await until_parked(host, 0)
    assert book.of(parked.run_id) == expected
    assert (parked.event_id in book.ids) == (action == "retry")
    assert read_local(tmp_path)[1] == []


async def test_a_change_that_went_on_out_of_order_is_delivered_alone_whatever_is_wanted_now(tmp_path: Path) -> None:
    log, book = SimulatedLog(), Book()
    await play(log, 1)
    book.failing = {"trace.started"}
    async with hosting(log, tmp_path, {"book": book}, hold=False) as host:
        await host.caught_up()
    found = read_local(tmp_path)[1]
    for each in found:
        ask_local(tmp_path, Request("retry", each.key))
    again = Book()
    async with hosting(log, tmp_path, {"book": again}, wanted=ANOTHER) as host:
        await until_parked(host, 0)
    assert sorted(again.ids) == sorted(each.event_id for each in found)


@pytest.mark.parametrize(("action", "first"), [("retry", 0), ("skip", 1)])
@pytest.mark.parametrize("wanted", [Wanted(), CREATED])
async def test_a_change_parked_before_its_place_was_recorded_is_delivered_once_and_in_order_when_asked(
    tmp_path: Path, action: Action, first: int, wanted: Wanted
) -> None:
    log = SimulatedLog()
    parked, types = await parked_run(log, tmp_path)
    store = LocalProgress.open(tmp_path, log.partitions)
    progress = await store.load(0)
    assert progress is not None
    await store.save(0, replace(progress, services={"book": Progress((0, 0))}))
    await store.leave()
    ask_local(tmp_path, Request(action, parked.key))
    book = Book()
    async with hosting(log, tmp_path, {"book": book}, wanted=wanted) as host:
        await until_parked(host, 0)
        await host.caught_up()
    behind = types[types.index("trace.started") :]
    assert book.of(parked.run_id) == (behind if wanted == Wanted() else behind[:1])[first:]


async def test_a_change_that_is_not_found_stays_parked_loudly_until_it_is_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = SimulatedLog()
    parked, types = await parked_run(log, tmp_path)
    store = LocalProgress.open(tmp_path, log.partitions)
    await store.park(lost := replace(parked, event_id="0.0"))
    await store.leave()
    ask_local(tmp_path, Request("retry", parked.key))
    book = Book()
    async with hosting(log, tmp_path, {"book": book}) as host:
        await until(lambda: "it stays parked: events/0 does not hold what it did" in caplog.text)
        assert (read_local(tmp_path)[1], book.heard) == ([replace(lost, asked="retry")], [])
        ask_local(tmp_path, Request("skip", parked.key))
        await until_parked(host, 0)
    assert book.of(parked.run_id) == types[types.index("trace.started") + 1 :]


async def test_what_cannot_be_parked_again_stays_behind_the_change_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SimulatedLog()
    parked, _ = await parked_run(log, tmp_path)
    monkeypatch.setattr("consumers.host.follower.FOLLOW_PARKED_MAX", 0)
    ask_local(tmp_path, Request("retry", parked.key))
    book = Book()
    book.failing = {"run.succeeded"}
    async with hosting(log, tmp_path, {"book": book}) as host:
        assert "parked changes of book on events/0" in await trouble_of(host, "parked")
    assert [(each.key, each.asked) for each in read_local(tmp_path)[1]] == [(parked.key, "retry")]


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("action", ["retry", "skip"])
async def test_what_is_asked_of_a_service_that_nobody_calls_is_done_by_the_next_host_that_does(
    tmp_path: Path, action: Action, *, running: bool
) -> None:
    log = SimulatedLog()
    parked, types = await parked_run(log, tmp_path)
    request = Request(action, parked.key)
    if not running:
        ask_local(tmp_path, request)
    async with hosting(log, tmp_path, {"other": Book()}) as host:
        await host.caught_up()
        if running:
            ask_local(tmp_path, request)
        await until(lambda: not taken_from(tmp_path))
        assert [each.asked for each in read_local(tmp_path)[1]] == [action]
    book = Book()
    async with hosting(log, tmp_path, {"book": book}) as host:
        await until_parked(host, 0)
    assert book.of(parked.run_id) == types[types.index("trace.started") + (action == "skip") :]


def taken_from(directory: Path) -> list[Path]:
    """Return the requests that no host has taken yet."""
    return list((directory / "requests").glob("*.json"))


@pytest.mark.parametrize("actions", [("skip", "retry"), ("retry", "skip"), ("skip", "retry", "skip", "retry")])
async def test_of_what_is_asked_while_no_host_is_at_work_the_last_counts_and_is_listed(
    tmp_path: Path, actions: tuple[Action, ...]
) -> None:
    log, book = SimulatedLog(), Book()
    await play(log, 8)
    book.failing = {"run.created"}
    async with hosting(log, tmp_path, {"book": book}) as host:
        await host.caught_up()
    parked = read_local(tmp_path)[1]
    assert [each.asked for each in parked] == [""] * 8
    for action in actions:
        for each in parked:
            ask_local(tmp_path, Request(action, each.key))
        assert [each.asked for each in read_local(tmp_path)[1]] == [action] * 8
    again = Book()
    async with hosting(log, tmp_path, {"book": again}) as host:
        await until_parked(host, 0)
    created = [delivery.event_type for _, delivery in again.heard].count("run.created")
    assert created == (8 if actions[-1] == "retry" else 0)


async def test_the_last_request_counts_also_over_one_that_a_host_without_the_service_has_taken(tmp_path: Path) -> None:
    log = SimulatedLog()
    parked, types = await parked_run(log, tmp_path)
    ask_local(tmp_path, Request("skip", parked.key))
    async with hosting(log, tmp_path, {"other": Book()}) as host:
        await host.caught_up()
    assert not taken_from(tmp_path)
    ask_local(tmp_path, Request("retry", parked.key))
    book = Book()
    async with hosting(log, tmp_path, {"book": book}) as host:
        await until_parked(host, 0)
    assert book.of(parked.run_id) == types[types.index("trace.started") :]


async def test_a_skip_asked_while_a_retry_is_under_way_is_done_when_that_fails(tmp_path: Path) -> None:
    log = SimulatedLog()
    parked, types = await parked_run(log, tmp_path)
    called, fail = asyncio.Event(), asyncio.Event()

    class Waits(Book):
        async def hear(self, subject: Run | Trace, delivery: Delivery) -> None:
            if delivery.event_id == parked.event_id:
                called.set()
                await fail.wait()
                raise ValueError("still not")
            await super().hear(subject, delivery)

    ask_local(tmp_path, Request("retry", parked.key))
    book = Waits()
    async with hosting(log, tmp_path, {"book": book}) as host:
        await called.wait()
        ask_local(tmp_path, Request("skip", parked.key))
        await until(lambda: not taken_from(tmp_path))
        fail.set()
        await until_parked(host, 0)
    assert book.of(parked.run_id) == types[types.index("trace.started") + 1 :]
    assert read_local(tmp_path)[1] == []


async def test_requests_of_an_earlier_version_come_before_those_of_this_one(tmp_path: Path) -> None:
    log = SimulatedLog()
    parked, _ = await parked_run(log, tmp_path)
    ask_local(tmp_path, Request("skip", parked.key))
    (path,) = taken_from(tmp_path)
    path.rename(path.with_name("ffffffffffffffff.json"))
    ask_local(tmp_path, Request("retry", parked.key))
    assert [each.asked for each in read_local(tmp_path)[1]] == ["retry"]


def test_a_request_that_cannot_be_written_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "requests").touch()
    with pytest.raises(StoreError, match=r"leave a request .* cannot be written: File exists"):
        ask_local(tmp_path, Request("retry", "book/000000/run/1.0"))
