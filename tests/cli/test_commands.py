from pathlib import Path

import pytest

from tests.cli.conftest import APP, DATA, Runline

UNKNOWN = "01900000-0000-7000-8000-000000000000"


def test_a_workflow_is_published_created_started_and_shown(runline: Runline) -> None:
    published = runline("publish", DATA / "greet.yaml")
    assert published.code == 0, published.err
    assert published.out.startswith("greet ")
    created = runline("create", "The greet workflow")
    assert created.code == 0, created.err
    run_id = created.out.strip()
    assert runline("show", run_id, "--json").json["run"]["run_status"] == "Created"
    started = runline("start", run_id, "--app", APP, "--set", "input.name=Ada")
    assert started.code == 0, started.err
    again = runline("start", run_id, "--app", APP)
    assert again.code == 3
    assert "error[run_not_created]" in again.err
    shown = runline("show", run_id)
    assert shown.code == 0
    assert "✓ Success" in shown.out
    assert "Hello Ada" in shown.out


def test_a_new_run_is_tagged(runline: Runline) -> None:
    tags = ("--tag", "urgent", "--tag", "customer 42")
    ran = runline("run", DATA / "greet.yaml", "--app", APP, "--set", "input.name=Ada", *tags, "--json")
    assert (ran.code, ran.json["run"]["tags"]) == (0, ["urgent", "customer 42"])
    created = runline("create", "greet", *tags)
    assert runline("show", created.out.strip(), "--json").json["run"]["tags"] == ["urgent", "customer 42"]
    assert runline("show", runline("create", "greet").out.strip(), "--json").json["run"]["tags"] == []


def test_a_tag_that_no_run_can_have_is_wrong_usage_and_nothing_is_written(runline: Runline) -> None:
    for wrong in (["--tag", ""], ["--tag", "a\tb"], ["--tag", "twice", "--tag", "twice"]):
        answer = runline("run", DATA / "greet.yaml", "--app", APP, *wrong)
        assert (answer.code, "error[argument]" in answer.err, "different tags" in answer.err) == (2, True, True)
    assert runline("create", "greet").code == 3, "the workflow was not published"
    runline("publish", DATA / "greet.yaml")
    assert runline("create", "greet", "--tag", "").code == 2


def test_publishing_again_gives_the_same_version(runline: Runline) -> None:
    first, second = (runline("publish", DATA / "greet.yaml", "--json").json for _ in range(2))
    assert first == second
    assert list(first) == ["workflow_id", "version"]


def test_publish_checks_functions_when_an_application_is_named(runline: Runline, tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text((DATA / "greet.yaml").read_text().replace("function: greet", "function: gret"))
    assert runline("publish", file).code == 0
    answer = runline("publish", file, "--app", APP)
    assert answer.code == 2
    assert "did you mean 'greet'?" in answer.err


def test_an_unknown_workflow_is_named_with_the_nearest_known_one(runline: Runline) -> None:
    runline("publish", DATA / "greet.yaml")
    answer = runline("create", "gret")
    assert answer.code == 3
    assert "did you mean 'greet'?" in answer.err


def test_a_cancelled_run_is_exit_code_1_for_who_waits_for_it(runline: Runline) -> None:
    runline("publish", DATA / "greet.yaml")
    run_id = runline("create", "greet").out.strip()
    cancelled = runline("cancel", run_id, "--reason", "not needed")
    assert cancelled.code == 0, cancelled.err
    assert cancelled.out == f"{run_id} Cancelled\n"
    assert runline("cancel", run_id).code == 3
    assert runline("wait", run_id).code == 1


def test_wait_says_how_a_created_run_is_started(runline: Runline) -> None:
    runline("publish", DATA / "greet.yaml")
    run_id = runline("create", "greet").out.strip()
    answer = runline("wait", run_id)
    assert answer.code == 3
    assert f"runline start {run_id}" in answer.err


def test_wait_without_a_run_leaves_what_it_cannot_go_on_with(runline: Runline) -> None:
    runline("publish", DATA / "greet.yaml")
    assert runline("wait").out == "0 runs ended, 0 left\n"
    run_id = runline("create", "greet").out.strip()
    answer = runline("wait", "--json")
    assert answer.code == 0
    assert answer.json == {"runs": [], "left": [{"run_id": run_id, "reason": "it was created and not started"}]}


@pytest.mark.parametrize("command", [["wait"], ["start", UNKNOWN], ["cancel", UNKNOWN], ["create", "greet"]])
def test_a_mistyped_directory_is_said_and_not_made(runline: Runline, command: list[str]) -> None:
    answer = runline(*command, "--data", "nowhere")
    assert answer.code == 3
    assert "expected an embedded log in nowhere" in answer.err
    assert not Path("nowhere").exists()


def test_start_without_the_application_ends_and_says_what_is_missing(runline: Runline) -> None:
    runline("publish", DATA / "greet.yaml")
    run_id = runline("create", "greet").out.strip()
    answer = runline("start", run_id, "--set", "input.name=Ada")
    assert answer.code == 3, answer.out
    assert "error[run_obstructed]" in answer.err
    assert "greet" in answer.err
    everything = runline("wait")
    assert everything.code == 0
    assert f"{run_id} is left: node 'greet' waits" in everything.out
    assert "0 runs ended, 1 left" in everything.out
    resumed = runline("wait", "--app", APP)
    assert resumed.code == 0
    assert f"{run_id} run Success" in resumed.out
    assert "1 run ended, 0 left" in resumed.out


def test_wait_for_all_is_exit_code_1_when_a_run_failed(runline: Runline) -> None:
    runline("publish", DATA / "fail.yaml")
    run_id = runline("create", "fail").out.strip()
    assert runline("start", run_id).code == 3
    answer = runline("wait", "--app", APP, "--json")
    assert answer.code == 1
    assert [run["run_status"] for run in answer.json["runs"]] == ["Failed"]


def test_wait_for_a_run_that_has_ended_shows_it_at_once(runline: Runline) -> None:
    document = runline("run", DATA / "fail.yaml", "--app", APP, "--json").json
    answer = runline("wait", document["run"]["run_id"])
    assert answer.code == 1
    assert "✗ Failed" in answer.out


def test_runs_lists_the_newest_first_and_filters(runline: Runline) -> None:
    greeted = runline("run", DATA / "greet.yaml", "--app", APP, "--set", "input.name=Ada", "--json").json["run"]
    failed = runline("run", DATA / "fail.yaml", "--app", APP, "--json").json["run"]

    def listed(*words: str) -> list[object]:
        return [run["run_id"] for run in runline("runs", "--json", *words).json["runs"]]

    both = [failed["run_id"], greeted["run_id"]]
    assert listed() == both
    assert listed("--limit", "1") == both[:1]
    assert listed("--status", "success") == both[1:]
    assert listed("--workflow", "The greet workflow") == both[1:]
    assert listed("--workflow", "fail", "--status", "success") == []
    table = runline("runs")
    assert table.code == 0
    assert [line.split()[0] for line in table.out.splitlines()] == ["status", "Failed", "Success"]
    assert runline("runs", "--status", "cancelled").out == "no runs\n"
    assert runline("runs", "--limit", "0").code == 2


def test_a_run_that_is_not_there_is_an_operating_error(runline: Runline) -> None:
    runline("publish", DATA / "greet.yaml")
    for command in ("show", "cancel", "start", "wait"):
        answer = runline(command, UNKNOWN)
        assert answer.code == 3
        assert "error[run_not_found]" in answer.err
        assert answer.out == ""


def test_a_directory_without_a_log_is_named_and_not_made(runline: Runline) -> None:
    answer = runline("runs", "--data", "nowhere")
    assert answer.code == 3
    assert "nowhere" in answer.err
    assert not Path("nowhere").exists()
