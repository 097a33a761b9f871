"""A log with a damaged record: who asks its views hears of it at once, with the place and the way to go on."""

import shutil
from pathlib import Path

import pytest

from engine.log.embedded.layout import RECORDS, place_key, record_key
from engine.log.embedded.opening import FAMILIES, STORE
from engine.log.port import EVENTS
from engine.store.rocks import RocksStore
from tests.cli.conftest import DATA, Runline, Spawn, finish, logged

PLACE = "topic events, partition 0: expected the record at offset 2 as written"


def damage(log: Path, offset: int) -> None:
    """Flip a bit of a record."""
    store = RocksStore.open(log / STORE, FAMILIES, create=False)
    key = record_key(place_key(EVENTS, 0), offset)
    value = store.get(RECORDS, key)
    assert value is not None
    batch = store.batch()
    batch.put(RECORDS, key, value[:-1] + bytes((value[-1] ^ 1,)))
    store.write(batch)
    store.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever waits for damage to be over wait for ever."""
    monkeypatch.setattr("projections.cli.catching_up.VIEWS_FRESH_SECONDS", 1e9)
    monkeypatch.setattr("projections.cli.catching_up._STORE_SECONDS", 1e9)


@pytest.fixture
def runs(runline: Runline) -> list[str]:
    """Make a log with three runs and return their ids."""
    runline("publish", DATA / "greet.yaml")
    return [runline("create", "greet").out.strip() for _ in range(3)]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("command", ["runs", "work", "rebuild", "replay"])
def test_damage_ends_a_command_with_its_place_and_the_way_to_find_all_of_it(runline: Runline, command: str) -> None:
    damage(Path("data"), 2)
    answer = runline(command)
    assert (answer.code, answer.out) == (3, "")
    error, hint = answer.err.splitlines()[-2:]
    assert error.startswith("error[log_damaged]: the log data is damaged: ")
    assert PLACE in error
    assert hint.startswith("hint: `runline audit` names every damaged place of the log. Restore the directory")
    assert answer.err.count("cannot be folded now") == (0 if command == "replay" else 1)
    document = runline(command, "--json").json["error"]
    assert (document["code"], PLACE in document["message"]) == ("log_damaged", True)
    found = runline("audit")
    assert (found.code, "events/0 offset 2: log_damaged" in found.out) == (1, True)


def test_a_damaged_run_is_shown_with_the_same_words(runline: Runline, runs: list[str]) -> None:
    offset = runline("show", runs[1], "--events", "--json").json["events"][0]["offset"]
    damage(Path("data"), offset)
    answer = runline("show", runs[1])
    assert answer.code == 3
    assert f"expected the record at offset {offset} as written" in answer.err
    assert "hint: `runline audit` names every damaged place" in answer.err


def test_views_of_before_the_damage_are_asked_with_a_warning(runline: Runline, runs: list[str]) -> None:
    assert runline("runs").code == 0
    end = runline("projections", "status", "--json").json["partitions"][1]["end"]
    runline("create", "greet")
    shutil.copytree("data/views", "before")
    damage(Path("data"), end)
    for _ in range(2):
        answer = runline("runs", "--json", "--views", "before")
        assert answer.code == 0, answer.err
        assert [run["run_id"] for run in answer.json["runs"]] == runs[::-1]
        assert f"expected the record at offset {end} as written" in answer.err
        assert "What they show may be older than the log" in answer.err
        assert "records behind the log" in answer.err
    refused = runline("rebuild", "--views", "before")
    assert (refused.code, "error[log_damaged]" in refused.err) == (3, True)
    assert runline("runs", "--views", "before").code == 0, "what was there stays"


@pytest.mark.usefixtures("runs")
def test_a_service_says_it_once_and_waits_until_it_is_over(runline: Runline, spawn: Spawn) -> None:
    shutil.copytree("data", "whole")
    damage(Path("data"), 2)
    process = spawn("projections", "run")
    assert PLACE in logged(process, "cannot be folded now")
    process.terminate()
    stopped = finish(process)
    assert stopped.code == 0
    assert "cannot be folded now" not in stopped.err
    assert runline("runs", "--data", "whole").code == 0
