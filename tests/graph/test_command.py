import asyncio
from pathlib import Path

import pytest

from tests.cli.conftest import APP, DATA, Runline, Spawn
from tests.graph.pictures import Picture, classes, texts
from tests.support.logs import new_location

DATA_HERE = ("--data", "log")


@pytest.fixture
def run_id(runline: Runline) -> str:
    """Run a workflow and return the run's id."""
    answer = runline("run", DATA / "greet.yaml", "--app", APP, *DATA_HERE, "--set", "input.name=Ada", "--json")
    assert answer.code == 0, answer.out
    return str(answer.json["run"]["run_id"])


def test_a_run_is_drawn_with_what_happened(runline: Runline, run_id: str) -> None:
    answer = runline("graph", run_id, *DATA_HERE)
    assert (answer.code, answer.err) == (0, "")
    picture = Picture(answer.out)
    assert texts(picture.node("greet"))[2].startswith("Success ")
    assert all("taken" in classes(each) for each in picture.connections)
    assert f"run {run_id}" in picture.heading()
    assert runline("graph", run_id, *DATA_HERE).out == answer.out


@pytest.mark.parametrize("name", ["greet", "The greet workflow"])
def test_a_workflow_is_drawn_by_its_id_or_its_name(runline: Runline, run_id: str, name: str) -> None:
    picture = Picture(runline("graph", name, *DATA_HERE).out)
    assert texts(picture.node("greet")) == ["Node [bold]greet", "code"]
    assert run_id not in "".join(picture.heading())


@pytest.mark.usefixtures("run_id")
def test_an_older_version_is_drawn_when_it_is_named(runline: Runline, tmp_path: Path) -> None:
    old = str(runline("graph", "greet", *DATA_HERE, "--json").json["version"])
    changed = tmp_path / "changed.yaml"
    changed.write_text((DATA / "greet.yaml").read_text("utf-8").replace("Node [bold]greet", "New"), "utf-8")
    assert runline("publish", changed, *DATA_HERE).code == 0
    assert texts(Picture(runline("graph", "greet", *DATA_HERE).out).node("greet"))[0] == "New"
    drawn = runline("graph", "greet", *DATA_HERE, "--version", old).out
    assert texts(Picture(drawn).node("greet"))[0] == "Node [bold]greet"


def test_a_run_is_drawn_in_the_version_it_is_pinned_to(runline: Runline, run_id: str, tmp_path: Path) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text((DATA / "greet.yaml").read_text("utf-8").replace("Node [bold]greet", "New"), "utf-8")
    assert runline("publish", changed, *DATA_HERE).code == 0
    assert texts(Picture(runline("graph", run_id, *DATA_HERE).out).node("greet"))[0] == "Node [bold]greet"


def test_the_picture_can_be_written_to_a_file_again_and_again(runline: Runline, run_id: str, tmp_path: Path) -> None:
    file = tmp_path / "run.svg"
    printed = runline("graph", run_id, *DATA_HERE).out
    for _ in range(2):
        assert runline("graph", run_id, *DATA_HERE, "--output", file).out == f"{file}\n"
        assert file.read_text("ascii") == printed


def test_a_file_that_is_no_picture_is_not_replaced(runline: Runline, run_id: str, tmp_path: Path) -> None:
    file = tmp_path / "order.yaml"
    file.write_text("id: order", "utf-8")
    answer = runline("graph", run_id, *DATA_HERE, "--output", file)
    assert answer.code == 2
    assert f"{file} is neither" in answer.err
    assert file.read_text("utf-8") == "id: order"


def test_a_file_that_cannot_be_written_is_named(runline: Runline, run_id: str, tmp_path: Path) -> None:
    answer = runline("graph", run_id, *DATA_HERE, "--output", tmp_path / "missing" / "x.svg")
    assert answer.code == 2
    assert "x.svg: No such file or directory" in answer.err


def test_with_json_the_picture_stands_in_the_document(runline: Runline, run_id: str, tmp_path: Path) -> None:
    document = runline("graph", run_id, *DATA_HERE, "--json").json
    assert document["run_id"] == run_id
    assert document["workflow_id"] == "greet"
    assert document["file"] is None
    assert Picture(document["svg"]).heading()
    file = tmp_path / "run.svg"
    written = runline("graph", run_id, *DATA_HERE, "--json", "--output", file).json
    assert written == document | {"file": str(file)}
    assert file.read_text("ascii") == document["svg"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nothing",), 3, "error[workflow_not_found]"),
        (("greet", "--version", "0"), 3, "has none that is '0'"),
        (("0190aaaa-0000-7000-8000-000000000000",), 3, "error[run_not_found]"),
        (("0190aaaa-0000-7000-8000-000000000000", "--version", "0"), 2, "Expected --version with a workflow"),
        ((), 2, "WORKFLOW|RUN"),
    ],
)
@pytest.mark.usefixtures("run_id")
def test_what_cannot_be_drawn_is_named(runline: Runline, words: tuple[str, ...], code: int, said: str) -> None:
    answer = runline("graph", *words, *DATA_HERE)
    assert answer.code == code
    assert said in answer.err
    assert answer.out == ""


def test_a_reader_that_goes_away_is_no_error(spawn: Spawn, run_id: str) -> None:
    process = spawn("graph", run_id, *DATA_HERE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() == 0


def test_a_run_on_kafka_is_drawn(runline: Runline, broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNLINE_DATA", str(asyncio.run(new_location(broker, 2))))
    ran = runline("run", DATA / "greet.yaml", "--app", APP, "--set", "input.name=Ada", "--json")
    assert ran.code == 0, ran.out
    answer = runline("graph", ran.json["run"]["run_id"])
    assert (answer.code, answer.err) == (0, "")
    assert texts(Picture(answer.out).node("greet"))[2].startswith("Success ")
