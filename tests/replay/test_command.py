"""`runline replay` at the command line."""

import asyncio
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NoReturn

import pytest

from engine import EngineService
from engine.cli.exit_codes import SIGNALLED
from engine.store.errors import StoreDamagedError
from engine.store.rocks import RocksStore
from projections import VIEWS as VIEWS_FOLDED
from projections.directory import FILE, Entry, ViewsDirectory
from projections.ended import FAMILY as ENDED
from projections.replay.reading import SavedReading
from projections.replay.scratch import open_scratch
from projections.runs import ROWS_FAMILY
from tests.cli.conftest import APP, DATA, ROOT, Runline
from tests.cli.test_damaged_log import damage
from tests.projections.folding import stored
from tests.replay.test_whole import plant_titles
from tests.replay.worlds import change
from tests.support.workflows import END, chain, code, registry

VIEWS = Path("data/views")
UNKNOWN = "01a2064b-aed7-7b03-9f29-0c07b1391dbc"


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let working directories be this test's, and require that none is left."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield
    assert [path for path in temporary.iterdir() if path.name.startswith("runline-replay")] == []


@pytest.fixture
async def runs() -> list[str]:
    """Write a log with a few runs; return their ids."""
    async with EngineService.open(Path("data"), registry(), durability="process") as service:
        await service.publish_workflow(chain(code("a", "add"), END))
        return [(await service.run_workflow("chain")).run_id for _ in range(5)]


def test_a_log_a_run_and_a_time_are_the_same(runline: Runline, runs: list[str]) -> None:
    assert runline("rebuild").code == 0
    for words, count in (([], 5), ([runs[0]], 1), (["--since", "1h"], 5), (["--until", "1h"], 0)):
        answer = runline("replay", *words)
        assert answer.code == 0, answer.err
        assert answer.out.splitlines()[-1] == "everything is the same"
        document = runline("replay", *words, "--json").json
        assert document["same"] is True
        assert document["decisions"]["runs"] == count
        assert document["views"]["rows"].get(ROWS_FAMILY, 0) == count


def test_an_application_is_taken_and_a_wrong_one_refused(runline: Runline) -> None:
    runline("publish", DATA / "greet.yaml")
    runline("create", "greet")
    assert runline("replay", "--app", APP).code == 0
    refused = runline("replay", "--app", "nothing.py:registry")
    assert (refused.code, "error[application]" in refused.err) == (3, True)


def test_differences_are_named_one_in_a_line(
    runline: Runline, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runline("rebuild").code == 0
    value = dict(stored(VIEWS)[ROWS_FAMILY])[runs[1].encode()]
    change(VIEWS, ROWS_FAMILY, runs[1].encode(), value.replace(b"Success", b"Failed!"))
    change(VIEWS, ENDED, runs[2].encode(), None)
    plant_titles(monkeypatch)
    answer = runline("replay")
    assert answer.code == 1
    assert "rows compared, 2 differ" in answer.out
    assert re.search(rf"^ended, {runs[2]}: missing$", answer.out, re.MULTILINE)
    assert re.search(
        rf"^runs.rows, {runs[1]}: different from byte \d+ on: .*Failed!.*Success", answer.out, re.MULTILINE
    )
    for run_id in runs:
        assert re.search(
            rf"^run {run_id}, \w+\.\d+: title of trace.started is recorded as 'a'", answer.out, re.MULTILINE
        )
    assert "the same" not in answer.out
    found = runline("replay", runs[1], "--json")
    assert (found.code, found.json["same"]) == (1, False)
    assert found.json["views"]["differing"] == {ROWS_FAMILY: 1}
    (row,) = found.json["views"]["differences"]
    assert (row["family"], row["kind"], row["run_id"]) == (ROWS_FAMILY, "different", runs[1])
    assert "Failed!" in row["views"]
    assert "Success" in row["folded"]
    (decision,) = found.json["decisions"]["differences"]
    assert (decision["run_id"], decision["path"]) == (runs[1], "title")
    assert (decision["recorded"]["title"], decision["decided"]["title"]) == ("a", "another")


def test_views_that_are_not_there_are_said_not_to_be_compared(runline: Runline, runs: list[str]) -> None:
    answer = runline("replay")
    assert answer.code == 0
    assert answer.out.splitlines()[0] == "views: not compared: there are no views in data/views."
    assert answer.out.splitlines()[-1] == "all decisions are the same"
    assert not VIEWS.exists()
    document = runline("replay", runs[0], "--json").json
    assert document["views"]["compared"] is False


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        ([UNKNOWN, "--since", "1h"], 2, "error[arguments]"),
        (["not a run"], 2, "error[run_id_invalid]"),
        ([UNKNOWN.upper()], 2, "error[run_id_invalid]"),
        ([UNKNOWN], 3, "error[run_not_found]"),
        (["--since", "yesterday"], 2, "error[arguments]"),
        (["--until", "9999999999w"], 2, "error[arguments]"),
        (["--work", "a file"], 3, "error[store"),
        (["--data", "nowhere"], 3, "error[log"),
        ([UNKNOWN, UNKNOWN], 2, "error["),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_arguments_that_make_no_sense_are_refused(
    runline: Runline, runs: list[str], words: list[str], code: int, error: str
) -> None:
    assert runs
    Path("a file").touch()
    answer = runline("replay", *words)
    assert answer.code == code, answer.err
    assert error in answer.err
    assert answer.out == ""


def test_views_of_a_newer_version_and_damaged_ones_are_refused(runline: Runline, runs: list[str]) -> None:
    assert runs
    assert runline("rebuild").code == 0
    listing = (VIEWS / FILE).read_text()
    (store,) = (path for path in VIEWS.iterdir() if path.is_dir())
    (VIEWS / FILE).write_text('{"format": 2, "anything": []}')
    newer = runline("replay")
    assert (newer.code, "error[views_newer]" in newer.err) == (3, True)
    (VIEWS / FILE).write_text(listing)
    (store / "CURRENT").unlink()
    damaged = runline("replay")
    assert (damaged.code, "error[store_damaged]" in damaged.err) == (3, True)
    assert "hint: Fold the log anew: runline rebuild." in damaged.err


@pytest.mark.parametrize("count", [0, 1])
def test_views_that_are_found_damaged_while_they_are_compared_are_named_too(
    runline: Runline, runs: list[str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runline("rebuild").code == 0
    opened = ViewsDirectory.open_reading

    def open_reading(directory: ViewsDirectory, entry: Entry) -> RocksStore:
        store = opened(directory, entry)

        def damaged(*_: object, **__: object) -> NoReturn:
            raise StoreDamagedError(f"the store {store.directory} is damaged: planted.")

        for name in ("get", "scan"):
            whole = getattr(store, name)
            monkeypatch.setattr(store, name, lambda family, *rest, whole=whole, **named: (
                damaged() if family == ROWS_FAMILY else whole(family, *rest, **named)
            ))  # fmt: skip
        return store

    monkeypatch.setattr(ViewsDirectory, "open_reading", open_reading)
    answer = runline("replay", *runs[:count])
    assert answer.code == 3
    assert "is damaged: planted." in answer.err
    assert "hint: Fold the log anew: runline rebuild." in answer.err


@pytest.mark.parametrize("words", [[], ["--since", "1h"], ["--work", "work"]])
def test_a_damaged_log_leaves_no_directory_behind(runline: Runline, runs: list[str], words: list[str]) -> None:
    assert runs
    assert runline("rebuild").code == 0
    damage(Path("data"), 3)
    answer = runline("replay", *words)
    assert answer.code == 3
    assert "error[log_damaged]" in answer.err
    assert "hint: `runline audit` names every damaged place" in answer.err
    assert not Path("work").exists()


def test_a_damaged_run_leaves_no_directory_behind(runline: Runline, runs: list[str]) -> None:
    assert runline("rebuild").code == 0
    damage(Path("data"), runline("show", runs[0], "--events", "--json").json["events"][-1]["offset"])
    answer = runline("replay", runs[0])
    assert (answer.code, "error[log_damaged]" in answer.err) == (3, True)


def test_a_single_run_that_is_interrupted_leaves_no_directory_behind(
    runline: Runline, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = SavedReading.begin

    async def interrupted(reading: SavedReading) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await begin(reading)
        await asyncio.Event().wait()

    monkeypatch.setattr(SavedReading, "begin", interrupted)
    stopped = runline("replay", runs[0])
    assert stopped.code == SIGNALLED + signal.SIGINT
    assert "nothing was changed" in stopped.err


def test_one_replay_at_a_time_works_in_a_directory(runline: Runline, runs: list[str]) -> None:
    with open_scratch(Path("work"), VIEWS_FOLDED, ["another"]):
        refused = runline("replay", "--work", "work")
        assert (refused.code, "error[store_locked]" in refused.err) == (3, True)
        assert "expected nobody else to replay in work" in refused.err
        assert "hint: Wait until it is done, or give this replay a directory of its own: --work DIR." in refused.err
    # What another replay left is not gone on with.
    assert runline("replay", runs[0], "--work", "work").code == 0
    assert not Path("work").exists()


def test_after_ctrl_c_the_command_that_is_named_goes_on(
    runline: Runline, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runline("rebuild").code == 0
    monkeypatch.setattr("projections.commit_reader._STRETCH_RECORDS", 4)
    begin = SavedReading.step
    steps: list[int] = []

    async def step(reading: SavedReading, partition: int, count: int, position: int | None) -> None:
        await begin(reading, partition, count, position)
        steps.append(count)
        if len(steps) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(SavedReading, "step", step)
    stopped = runline("replay", "--since", "2h")
    assert stopped.code == SIGNALLED + signal.SIGINT
    assert "folding and deciding once more stopped after 8 of " in stopped.err
    named = next(line for line in stopped.err.splitlines() if "go on with: runline replay" in line)
    words = shlex.split(named.partition("go on with: runline ")[2])
    assert words[:2] == ["replay", "--since"]
    answer = runline(*words, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["decisions"]["runs"] == answer.json["views"]["rows"][ROWS_FAMILY] == len(runs)
    # Whatever was read again to know where the runs stood, it was not all.
    assert steps[:2] == [4, 4]


def test_a_replay_that_is_killed_again_and_again_goes_on_where_it_was(runline: Runline, runs: list[str]) -> None:
    assert runline("rebuild").code == 0
    change(VIEWS, ENDED, runs[2].encode(), None)
    expected = runline("replay", "--json").json
    chance = Random(9)
    kills = 0
    while True:
        process = subprocess.Popen(
            [sys.executable, Path(__file__).parent / "worker.py", "data", VIEWS, "work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        left = chance.randint(1, 12 + 3 * kills)
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            lines: list[str] = []
            for line in process.stdout:
                lines.append(line)
                if len(lines) == left:
                    process.kill()
                    break
                if not line.startswith("{"):
                    process.stdin.write("\n")
                    process.stdin.flush()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        kills += 1
        assert kills < 30, "it does not go on"
    assert kills > 3
    found = json.loads(lines[-1])
    assert found == {name: expected[name] for name in found}
    assert not Path("work").exists()
