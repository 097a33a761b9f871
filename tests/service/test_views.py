"""An engine that keeps views fresh, and asks them instead of searching the log."""

import logging
from pathlib import Path

import pytest

from engine import EngineService, RunStatus
from engine.errors import RunNotFoundError
from projections import RunFilter, Views, ViewsLockedError
from tests.support.logs import new_location
from tests.support.workflows import END, chain, code, registry

NEVER = "01939d5c-0000-7000-8000-000000000001"
STEPS = chain(code("first", "add"), code("second", "add"), END, workflow_id="steps")
BROKEN = chain(code("first", "add"), code("bad", "fail"), END, workflow_id="broken")


async def compare(with_views: EngineService, without: EngineService, run_ids: list[str]) -> None:
    for run_id in run_ids:
        assert await with_views.get_run(run_id) == await without.get_run(run_id)
        assert await with_views.get_traces(run_id) == await without.get_traces(run_id)


async def finish_some(engine: EngineService) -> list[str]:
    for definition in (STEPS, BROKEN):
        await engine.publish_workflow(definition)
    runs = [await engine.run_workflow(name, {"total": 3}) for name in ("steps", "broken", "steps")]
    return [*(run.run_id for run in runs), await engine.create_workflow_run("steps", tags=["later"])]


async def test_what_views_say_of_runs_and_traces_is_what_the_log_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    views = Views.folded(tmp_path / "views")
    async with EngineService.open(tmp_path / "log", registry(), views=views) as engine:
        run_ids = await finish_some(engine)
        asked = [(await engine.get_run(run_id), await engine.get_traces(run_id)) for run_id in run_ids]
        failed = await views.list_runs(RunFilter(status=RunStatus.FAILED), as_fresh_as=asked[1][0])
        assert [run.run_id for run in failed.items] == [run_ids[1]]
        later = await views.list_runs(RunFilter(tag="later"), as_fresh_as=asked[3][0])
        assert [run.run_id for run in later.items] == [run_ids[3]]
    async with EngineService.open(tmp_path / "log", registry()) as engine:
        read = [(await engine.get_run(run_id), await engine.get_traces(run_id)) for run_id in run_ids]
    assert asked == read
    assert "The views cannot be asked" not in caplog.text


async def test_a_run_is_shown_as_it_stands_after_every_change_that_its_caller_knows_of(tmp_path: Path) -> None:
    views = Views.folded(tmp_path / "views")
    async with EngineService.open(tmp_path / "log", registry(), views=views) as engine:
        await engine.publish_workflow(STEPS)
        for _ in range(50):
            run_id = await engine.create_workflow_run("steps")
            assert (await engine.get_run(run_id)).run_status is RunStatus.CREATED
            ended = await engine.start_workflow_run_and_wait(run_id)
            assert await engine.get_run(run_id) == ended


async def test_a_run_that_nobody_made_is_not_found_in_views_either(tmp_path: Path) -> None:
    views = Views.folded(tmp_path / "views")
    async with EngineService.open(tmp_path / "log", registry(), views=views) as engine:
        for ask in (engine.get_run, engine.get_traces):
            with pytest.raises(RunNotFoundError, match=NEVER):
                await ask(NEVER)


async def test_damaged_views_leave_the_answers_to_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    views = Views.folded(tmp_path / "views")
    async with EngineService.open(tmp_path / "log", registry(), views=views) as engine:
        run_ids = await finish_some(engine)
        await engine.get_run(run_ids[0])
        (store,) = (path for path in (tmp_path / "views").iterdir() if path.is_dir())
    files = [file for file in store.iterdir() if file.suffix in {".sst", ".log"} and file.stat().st_size]
    for file in files:
        file.write_bytes(b"x" * file.stat().st_size)
    assert files
    with caplog.at_level(logging.WARNING, "runline"):
        async with EngineService.open(tmp_path / "log", registry(), views=Views.folded(tmp_path / "views")) as engine:
            assert (await engine.get_run(run_ids[1])).run_status is RunStatus.FAILED
            assert len(await engine.get_traces(run_ids[0])) == 4
    assert "All is folded anew" in caplog.text


async def test_views_that_another_process_folds_are_refused_by_name(tmp_path: Path) -> None:
    async with EngineService.open(tmp_path / "log", registry(), views=Views.folded(tmp_path / "views")):
        (store,) = (path for path in (tmp_path / "views").iterdir() if path.is_dir())
        with pytest.raises(ViewsLockedError, match="another process does"):
            async with EngineService.open(tmp_path / "other", registry(), views=Views.folded(tmp_path / "views")):
                pass
        assert store.is_dir()


async def test_on_kafka_a_process_asks_views_that_another_one_folds(broker: str, tmp_path: Path) -> None:
    location = str(await new_location(broker, 3))
    async with EngineService.open(location, registry(), views=Views.folded(tmp_path / "views")) as engine:
        run_ids = await finish_some(engine)
        async with (
            EngineService.open(location, executor=False, views=Views.open(tmp_path / "views")) as beside,
            EngineService.open(location, executor=False) as without,
        ):
            await compare(beside, without, run_ids)
            await compare(engine, without, run_ids)
