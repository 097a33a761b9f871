"""A reader may ask for views that are at least as fresh as a commit, and waits for them; memory does not grow."""

import asyncio
from collections.abc import Sized
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Producer

from engine import EngineService, RunStatus
from engine.errors import ClosedError, RunNotFoundError
from engine.log.kafka import KafkaLog
from engine.log.port import EVENTS, WORKFLOWS
from projections import Projector, Views, ViewsBehindError, ViewsNotReadyError
from projections.cli.freshness import read_reaches
from projections.partition_fold import PartitionFold
from tests.projections.folding import fold, folded, small_batches, stored
from tests.projections.forging import SECONDS, TIME, created, forge_runs, make_runs
from tests.projections.test_paging import CANCELLED
from tests.simulation.log import SimulatedLog
from tests.support.logs import new_location
from tests.support.workflows import END, chain, code, registry

RUNS = 50_000
MOMENT = 0.05


async def test_who_reads_his_own_writes_waits_for_them_in_this_process_and_beside_another(quick: Path) -> None:
    log = SimulatedLog(2)
    await make_runs(log, 1)
    async with (
        EngineService.open(log, registry()) as engine,
        folded(log, quick) as projector,
        Views.open(quick) as beside,
    ):
        await engine.publish_workflow(chain(code("a", "add"), END, workflow_id="w"))
        for _ in range(10):
            run = await engine.run_workflow("w")
            for views in (Views.of(projector), beside):
                found = await views.get_run(run.run_id, as_fresh_as=run)
                assert found == run
                assert found.run_status is RunStatus.SUCCESS
                assert len(await views.get_traces(run.run_id, as_fresh_as=run)) == 3
                (newest, *_) = (await views.list_runs(as_fresh_as=run, limit=1)).items
                assert (newest.run_id, newest.commit_id) == (run.run_id, run.commit_id)


async def test_a_commit_before_the_last_one_is_there_too(quick: Path) -> None:
    log = SimulatedLog()
    async with EngineService.open(log, registry()) as engine, folded(log, quick) as projector:
        await engine.publish_workflow(chain(code("a", "add"), END, workflow_id="w"))
        run_id = await engine.create_workflow_run("w")
        before = await engine.get_run(run_id)
        after = await engine.start_workflow_run_and_wait(run_id)
        assert before.commit_id != after.commit_id
        views = Views.of(projector)
        await views.reach(after)
        assert (await views.get_run(run_id, as_fresh_as=before, timeout=0)).run_status is RunStatus.SUCCESS


async def test_who_waits_for_what_nobody_folds_is_told_so_in_time(quick: Path) -> None:
    log = SimulatedLog()
    runs = await make_runs(log, 3)
    await fold(log, quick)
    async with Views.open(quick) as views:
        run = replace(await views.get_run(runs[0]), commit_id="0" * 64)
        for waiting in (
            views.get_run(runs[0], as_fresh_as=run, timeout=MOMENT),
            views.get_traces(runs[0], as_fresh_as=run, timeout=MOMENT),
            views.list_runs(as_fresh_as=run, timeout=MOMENT),
            views.reach_offset(runs[0], 1_000, timeout=MOMENT),
        ):
            with pytest.raises(ViewsBehindError, match=rf"within {MOMENT} s.*runline projections run"):
                await waiting
        with pytest.raises(RunNotFoundError):
            await views.get_run("01900000-0000-7000-8000-000000000000")


async def test_who_waits_is_told_when_the_views_are_closed(quick: Path) -> None:
    log = SimulatedLog()
    runs = await make_runs(log, 3)
    async with folded(log, quick) as projector:
        views = Views.of(projector)
        waiting = asyncio.create_task(views.reach_offset(runs[0], 1_000))
        await asyncio.sleep(0)
    with pytest.raises(ClosedError):
        await waiting
    with pytest.raises(ClosedError):
        await views.list_runs()
    opened = Views.open(quick)
    async with opened:
        waiting = asyncio.create_task(opened.reach_offset(runs[0], 1_000))
        await asyncio.sleep(0)
    with pytest.raises(ClosedError):
        await waiting


async def test_a_log_that_is_closed_ends_what_waits_for_it(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = SimulatedLog()
    await make_runs(log, 5)
    small_batches(monkeypatch, 1)
    client = log.client()
    async with Projector(client, quick) as projector:
        waiting = asyncio.create_task(projector.caught_up())
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(ClosedError):
            await waiting


async def test_nobody_is_answered_before_there_are_views(quick: Path) -> None:
    log = SimulatedLog()
    await make_runs(log, 5)
    with pytest.raises(ViewsNotReadyError, match="there are none"):
        async with Views.open(quick):
            pass
    async with Projector(log, quick) as projector:
        with pytest.raises(ViewsNotReadyError, match="being made"):
            await Views.of(projector).list_runs()
        with pytest.raises(ViewsNotReadyError, match="being made"):
            async with Views.open(quick):
                pass


async def test_views_that_an_engine_folds_answer_it(quick: Path) -> None:
    views = Views.folded(quick)
    with pytest.raises(ClosedError):
        await views.list_runs()
    async with EngineService.open(SimulatedLog(), registry(), views=views) as engine:
        await engine.publish_workflow(chain(code("a", "add"), END, workflow_id="w"))
        run = await engine.run_workflow("w")
        assert await engine.get_run(run.run_id) == run
        assert [each.run_id for each in (await views.list_runs(as_fresh_as=run)).items] == [run.run_id]
        assert views.trouble == ""
    with pytest.raises(ClosedError):
        await views.list_runs()


async def test_the_end_of_a_transaction_on_kafka_keeps_nobody_waiting(broker: str, tmp_path: Path) -> None:
    location = await new_location(broker)
    published = chain(END, workflow_id="transacted")

    def publish() -> None:
        producer = Producer({"bootstrap.servers": location.brokers, "transactional.id": location.prefix})
        producer.init_transactions(SECONDS)
        for commits in (True, False, False):
            producer.begin_transaction()
            producer.produce(location.topic(WORKFLOWS), published.canonical(), f"x/{published.version}")
            producer.flush(SECONDS)
            (producer.commit_transaction if commits else producer.abort_transaction)(SECONDS)

    log = await KafkaLog.open(location)
    async with asyncio.timeout(SECONDS):
        for _ in range(2):
            async with folded(log, tmp_path) as projector:
                await asyncio.to_thread(publish)
                await projector.caught_up()
                (found,) = await Views.of(projector).list_workflows()
                assert found.version == published.version
                # Who asks how far it is, is not told of offsets that no record has.
                folded_to = {position.topic: position.offset for position in projector.positions}
                assert (await log.ends(WORKFLOWS, 0)).end > folded_to[WORKFLOWS]
                assert [reach.behind for reach in await read_reaches(log, projector.positions)] == [0, 0]
        assert stored(tmp_path) == await fold(log, tmp_path / "from zero")
    await log.close()


def entries(fold: PartitionFold) -> dict[str, int]:
    """Return how many things each container of a fold holds."""
    holders = {"fold": fold, "view": fold._view, "ended": fold._ended}
    return {
        f"{name}.{attribute}": len(value)
        for name, holder in holders.items()
        for attribute, value in vars(holder).items()
        if isinstance(value, Sized)
    } | {"ended": dict.__len__(fold._ended)}


async def test_memory_does_not_grow_with_the_history(quick: Path) -> None:
    log = SimulatedLog()
    await make_runs(log, 2)
    async with folded(log, quick) as projector:
        before = entries(projector._folds[EVENTS, 0])
        for _ in range(10):
            forge_runs(log, RUNS // 10, [created(), CANCELLED], TIME)
            log.partition(EVENTS, 0).wake()
            await projector.caught_up()
        after = entries(projector._folds[EVENTS, 0])
        print(before, after)
        assert after == before
        assert len(projector.store.scan("ended", b"", None, limit=10 * RUNS)) > RUNS
    # What begins again knows nothing but open runs either, and still accepts no ended run once more.
    async with folded(log, quick) as projector:
        fold = projector._folds[EVENTS, 0]
        assert entries(fold) == before
        ended = log.partition(EVENTS, 0).records[-1]
        commits = projector.store.scan("traces.commits", b"", None, limit=10 * RUNS)
        log.partition(EVENTS, 0).records.append(ended._replace(offset=ended.offset + 1))
        log.partition(EVENTS, 0).wake()
        await projector.caught_up()
        assert projector.store.scan("traces.commits", b"", None, limit=10 * RUNS) == commits
