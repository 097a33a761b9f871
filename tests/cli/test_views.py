"""Making, keeping and replacing views, and views that cannot be used."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from engine import EngineService
from engine.store.rocks import RocksStore
from projections import VIEWS as PROJECTIONS
from projections.directory import FILE, ViewsDirectory
from tests.cli.conftest import APP, DATA, DEADLINE_SECONDS, ROOT, Answer, Runline, Spawn, finish, logged

VIEWS = Path("data/views")


@pytest.fixture
def created(runline: Runline) -> str:
    """Make a log with one run and return its id."""
    runline("publish", DATA / "greet.yaml")
    return runline("create", "greet").out.strip()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands wait for another process that folds, for as long as it takes on this machine."""
    monkeypatch.setattr("projections.cli.asking.VIEWS_FRESH_SECONDS", DEADLINE_SECONDS)
    monkeypatch.setattr("projections.cli.asking._STILL_SECONDS", DEADLINE_SECONDS)


def ids(runline: Runline, *words: object) -> list[str]:
    answer = runline("runs", "--json", *words)
    assert answer.code == 0, answer.err
    return [run["run_id"] for run in answer.json["runs"]]


@pytest.mark.usefixtures("patient")
def test_a_service_keeps_views_fresh_until_it_is_stopped(runline: Runline, spawn: Spawn, created: str) -> None:
    process = spawn("projections", "run", "--json")
    assert "Folding data into data/views" in logged(process, "Folding")
    assert "The views are fresh, 3 records" in logged(process, "fresh")
    assert ids(runline) == [created]
    for _ in range(5):
        created = runline("create", "greet").out.strip()
        assert ids(runline)[0] == created
    status = runline("projections", "status", "--json")
    assert status.code == 0
    assert status.json["complete"] is True
    assert [each["behind"] for each in status.json["partitions"]] == [0, 0]
    second = runline("projections", "run")
    assert second.code == 3
    assert "error[views_locked]" in second.err
    assert "--views DIR" in second.err
    refused = runline("rebuild")
    assert (refused.code, "error[views_locked]" in refused.err) == (3, True)
    process.send_signal(signal.SIGTERM)
    stopped = finish(process)
    assert stopped.code == 0
    assert stopped.json == {"data": "data", "views": "data/views", "signal": "SIGTERM"}


@pytest.mark.usefixtures("patient")
def test_an_executor_keeps_views_fresh_too(runline: Runline, spawn: Spawn, created: str) -> None:
    process = spawn("executor", "--app", APP, "--keep-views", "--views", "elsewhere")
    logged(process, "Executing runs")
    logged(process, "Keeping views fresh in elsewhere")
    assert ids(runline, "--views", "elsewhere") == [created]
    assert runline("rebuild", "--views", "elsewhere").code == 3
    assert not VIEWS.exists()
    process.terminate()
    assert finish(process).code == 0


def test_status_says_how_far_views_are_behind(runline: Runline, created: str) -> None:
    none = runline("projections", "status")
    assert none.code == 3
    assert "error[views_not_ready]" in none.err
    assert ids(runline) == [created]
    runline("create", "greet")
    status = runline("projections", "status")
    assert status.code == 0
    rows = {row[0]: row[1:] for row in (line.split() for line in status.out.splitlines()[2:])}
    assert rows["workflows/0"] == ["1", "1", "0"]
    position, end, behind = map(int, rows["events/0"])
    assert (position, end - position) == (2, behind)
    assert behind > 0


def test_a_rebuild_folds_everything_anew_and_takes_the_place_of_what_was_there(runline: Runline, created: str) -> None:
    assert ids(runline) == [created]
    before = FILE, (VIEWS / FILE).read_text()
    answer = runline("rebuild")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("3 records are folded into data/views; this took ")
    assert (FILE, (VIEWS / FILE).read_text()) != before
    assert ids(runline) == [created]
    document = runline("rebuild", "--json").json
    assert list(document) == ["directory", "records", "seconds", "partitions"]
    assert document["records"] == 3
    assert document["seconds"] > 0


def test_views_of_another_log_are_refused_and_can_be_replaced(runline: Runline, created: str) -> None:
    runline("publish", DATA / "fail.yaml", "--data", "other")
    other = runline("create", "fail", "--data", "other").out.strip()
    assert ids(runline, "--data", "other") == [other]
    for command in (("projections", "run"), ("executor", "--app", APP, "--keep-views")):
        ended = runline(*command, "--views", "other/views")
        assert (ended.code, ended.out) == (3, "")
        assert "error[views]: expected the views of this log in other/views, but they are those of" in ended.err
        assert "hint: Name another directory with --views DIR. Or fold this log into it: runline rebuild." in ended.err
    status = runline("projections", "status", "--views", "other/views", "--json")
    assert status.code == 1
    assert [each["stopped"] for each in status.json["partitions"]] == ["topic_recreated", "topic_recreated"]
    refused = runline("runs", "--views", "other/views")
    assert refused.code == 3
    assert "error[views]" in refused.err
    assert "those of another log" in refused.err
    assert other not in refused.out
    assert runline("projections", "status", "--views", "other/views").code == 1
    # The log that they are of goes on with them as if nothing had been.
    assert ids(runline, "--data", "other") == [other]
    assert runline("rebuild", "--views", "other/views").code == 0
    assert ids(runline, "--views", "other/views") == [created]


def test_views_of_a_newer_version_are_refused(runline: Runline, created: str) -> None:
    assert ids(runline) == [created]
    (VIEWS / FILE).write_text('{"format": 2, "anything": []}')
    for command in (["runs"], ["work"], ["rebuild"], ["projections", "run"], ["projections", "status"]):
        answer = runline(*command)
        assert answer.code == 3
        assert "error[views_newer]" in answer.err
        assert "--views DIR" in answer.err
    assert (VIEWS / FILE).read_text() == '{"format": 2, "anything": []}'


@pytest.mark.parametrize("lost", ["views.json", "the store", "a file of the store", "the end of views.json"])
def test_half_deleted_views_are_made_anew(runline: Runline, created: str, lost: str) -> None:
    assert ids(runline) == [created]
    (store,) = (path for path in VIEWS.iterdir() if path.is_dir())
    match lost:
        case "views.json":
            (VIEWS / FILE).unlink()
        case "the store":
            shutil.rmtree(store)
        case "a file of the store":
            (store / "CURRENT").unlink()
        case _:
            os.truncate(VIEWS / FILE, 20)
    assert ids(runline) == [created]


def test_damaged_views_are_named_with_the_way_to_make_them_anew(runline: Runline, created: str) -> None:
    assert ids(runline) == [created]
    (store,) = (path for path in VIEWS.iterdir() if path.is_dir())
    (store / "CURRENT").unlink()
    for command in (["projections", "status"], ["replay"], ["replay", created]):
        answer = runline(*command)
        assert answer.code == 3
        assert "error[store_damaged]" in answer.err
        assert "hint: Fold the log anew: runline rebuild." in answer.err
    assert runline("rebuild").code == 0
    assert runline("projections", "status").code == 0


def test_a_directory_that_cannot_be_written_is_named_with_the_way_out(runline: Runline, created: str) -> None:
    assert created
    Path("file").touch()
    for command in (["runs"], ["work"], ["rebuild"], ["projections", "run"]):
        answer = runline(*command, "--views", "file/views")
        assert answer.code == 3
        assert "the views in file/views cannot be" in answer.err
    assert "--views DIR" in runline("runs", "--views", "file/views").err


def test_views_are_made_in_the_directory_that_is_named(runline: Runline, created: str) -> None:
    assert ids(runline, "--views", "some/where") == [created]
    assert (Path("some/where") / FILE).is_file()
    assert not VIEWS.exists()


def test_a_copy_of_a_log_has_its_views_and_goes_on_with_them(runline: Runline, created: str) -> None:
    assert ids(runline) == [created]
    shutil.copytree("data", "copy")
    second = runline("create", "greet", "--data", "copy").out.strip()
    assert ids(runline, "--data", "copy") == [second, created]
    assert ids(runline) == [created]


def create_many(count: int) -> None:
    """Create so many runs of the published workflow."""

    async def create() -> None:
        async with EngineService.open("data", durability="process") as engine:
            await asyncio.gather(*(engine.create_workflow_run("greet") for _ in range(count)))

    asyncio.run(create())


def stores() -> dict[str, bool]:
    """Return the stores that the directory of the views lists, and whether they may be asked."""
    return {entry["store"]: entry["complete"] for entry in orjson.loads((VIEWS / FILE).read_bytes())["stores"]}


def test_views_that_stand_still_are_asked_as_they_are_with_a_warning(runline: Runline, created: str) -> None:
    assert ids(runline) == [created]
    create_many(3)
    (store,) = stores()
    holder = RocksStore.open(VIEWS / store, (), create=False)
    try:
        answer = runline("runs", "--json")
    finally:
        holder.close()
    assert answer.code == 0
    assert [run["run_id"] for run in answer.json["runs"]] == [created]
    behind = sum(each["behind"] for each in answer.json["views"]["partitions"])
    assert f"The views in data/views are {behind} records behind the log" in answer.err
    assert behind > 0
    assert len(ids(runline)) == 4


def test_views_that_are_being_replaced_are_asked_as_they_are_without_waiting_for_who_does_it(
    runline: Runline, created: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever waited for these would wait for ever.
    monkeypatch.setattr("projections.cli.asking.VIEWS_FRESH_SECONDS", 1e9)
    monkeypatch.setattr("projections.cli.asking._STILL_SECONDS", 1e9)
    assert ids(runline) == [created]
    create_many(3)
    directory = ViewsDirectory(VIEWS, PROJECTIONS)
    complete = directory.complete()
    assert complete is not None
    holders = [directory.open_writing(entry) for entry in (complete, directory.add())]
    answer = runline("runs", "--json")
    for holder in holders:
        holder.close()
    assert [run["run_id"] for run in answer.json["runs"]] == [created]
    assert "records behind the log" in answer.err


def test_views_that_another_process_makes_are_not_ready(
    runline: Runline, created: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert created
    monkeypatch.setattr("projections.cli.asking.VIEWS_FRESH_SECONDS", 0.1)
    directory = ViewsDirectory(VIEWS, PROJECTIONS)
    holder = directory.open_writing(directory.add())
    try:
        answer = runline("runs")
        assert (answer.code, "error[views_not_ready]" in answer.err) == (3, True)
        status = runline("projections", "status")
        assert (status.code, status.out.splitlines()[0]) == (0, "views in data/views, being made")
    finally:
        holder.close()
    assert ids(runline) == [created]


def interrupted_rebuild(spawn: Spawn) -> Answer:
    """Interrupt a rebuild when it has begun with a store, unless it is quicker."""
    process = spawn("rebuild", "--views", VIEWS)
    while all(stores().values()) and process.poll() is None:
        pass
    process.send_signal(signal.SIGINT)
    return finish(process)


def test_a_rebuild_that_was_interrupted_is_gone_on_with(runline: Runline, spawn: Spawn, created: str) -> None:
    create_many(5_000)
    assert len(ids(runline, "--limit", 10)) == 10
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (stopped := interrupted_rebuild(spawn)).code == 0:
        assert time.monotonic() < deadline, "it is always interrupted too late"
    assert stopped.code == 130, stopped.err
    assert "Go on with: runline rebuild --views data/views" in stopped.err
    (begun,) = (store for store, complete in stores().items() if not complete)
    assert runline("show", created).code == 0
    assert len(ids(runline, "--limit", 10)) == 10, "the old views are asked until then"
    assert runline("rebuild").code == 0
    assert stores() == {begun: True}


LIMITED = """
import resource, sys
from engine.cli.app import invoke
resource.setrlimit(resource.RLIMIT_FSIZE, (400 * 1024, 400 * 1024))
sys.exit(invoke(["runs", "--limit", "1"]))
"""


def test_on_a_full_disk_what_is_there_is_answered_with_a_warning(runline: Runline, created: str) -> None:
    assert ids(runline) == [created]
    create_many(3_000)
    full = subprocess.run(
        [sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert full.returncode == 0, full.stderr
    assert "What they show may be older than the log" in full.stderr
    assert "records behind the log" in full.stderr
    assert len(full.stdout.splitlines()) >= 2
    assert len(ids(runline, "--limit", 100)) == 100
    assert [each["behind"] for each in runline("projections", "status", "--json").json["partitions"]] == [0, 0]
