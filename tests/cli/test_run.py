from pathlib import Path

import pytest

from tests.cli.conftest import APP, DATA, Runline, Spawn, finish


def test_run_follows_the_run_and_prints_its_timeline_and_output(runline: Runline) -> None:
    answer = runline("run", DATA / "greet.yaml", "--app", APP, "--set", "input.name=Ada")
    assert answer.code == 0, answer.err
    assert "2 Node [bold]greet Running\n" in answer.out
    assert "run Success after" in answer.out
    assert "✓ Node [bold]greet" in answer.out
    assert "Hello Ada" in answer.out.partition("\noutput\n")[2]


def test_run_as_json_prints_one_document_and_nothing_else(runline: Runline) -> None:
    answer = runline("run", DATA / "greet.yaml", "--app", APP, "--set", "input.name=Ada", "--json")
    assert (answer.code, answer.err) == (0, "")
    document = answer.json
    assert list(document) == ["run", "traces", "output"]
    assert document["run"]["run_status"] == "Success"
    assert [trace["node_id"] for trace in document["traces"]] == ["start", "greet", "end"]
    assert document["output"]["output"]["text"].startswith("Hello Ada")


def test_what_comes_from_a_run_cannot_drive_the_terminal(runline: Runline) -> None:
    for workflow in ("greet", "fail"):
        answer = runline("run", DATA / f"{workflow}.yaml", "--app", APP, "--set", "input.name=Ada")
        text = answer.out + answer.err
        assert "[bold red]" in text
        assert ":smile:" in text
        assert "\\x1b" in text
        assert not {"\x1b", "\r", "\u202e"} & set(text)
        assert not any(line.startswith("forged line") for line in answer.out.splitlines())


def test_json_holds_what_a_run_says_without_characters_that_drive_a_terminal(runline: Runline) -> None:
    answer = runline("run", DATA / "greet.yaml", "--app", APP, "--set", "input.name=\U000e0001", "--json")
    assert not {"\x1b", "\r", "\u202e", "\U000e0001"} & set(answer.out)
    assert answer.json["output"]["output"]["text"] == "Hello \U000e0001\x1b[2J[bold red]\u202e:smile:\r\nforged line"


def test_a_failed_run_is_exit_code_1_and_names_the_node(runline: Runline) -> None:
    answer = runline("run", DATA / "fail.yaml", "--app", APP)
    assert answer.code == 1
    assert "✗ Failed" in answer.out
    assert "ValueError in node fail" in answer.out


def test_run_without_an_application_names_the_one_beside_the_file_and_does_not_load_it(runline: Runline) -> None:
    answer = runline("run", DATA / "beside.yaml")
    assert answer.code == 2
    assert "error[definition_invalid]" in answer.err
    assert f"--app {DATA / 'beside.py'}:registry" in answer.err
    assert not Path("data").exists(), "nothing is written for a workflow that cannot run"


def test_context_comes_from_a_file_and_from_single_values(runline: Runline, tmp_path: Path) -> None:
    file = tmp_path / "context.yaml"
    file.write_text('input: {name: Eve, when: {$type: date, value: "2026-03-01"}, word: yes}\n')
    answer = runline(
        "run", DATA / "greet.yaml", "--app", APP, "--json", "--context", file,
        "--set", "input.name=Ada", "--set", "input.list=[1, 2.5, null]", "--set", 'input.quoted="1"',
        "--set", "input.text=1 2",
        "--set", 'input.list[0]={"$type":"decimal","value":"1.50"}',
    )  # fmt: skip
    assert answer.code == 0, answer.out
    given = answer.json["run"]["input"]["input"]
    assert given == {
        "name": "Ada",
        "when": {"$type": "date", "value": "2026-03-01"},
        "word": "yes",
        "list": [{"$type": "decimal", "value": "1.50"}, 2.5, None],
        "quoted": "1",
        "text": "1 2",
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "input.name"), "Expected --set path=value"),
        (("--set", "a..b=1"), "a..b"),
        (("--set", "n=123456789012345678901234567890"), "64 bits"),
        (("--set", 'n={"a":1,"a":2}'), "twice"),
        (("--set", 'n={"$type":"nonsense","value":"1"}'), "nonsense"),
        (("--context", "nowhere.json"), "nowhere.json"),
        (("--context", "list.json"), "JSON object"),
        (("--context", "list.yaml"), "list.yaml"),
        (("--context", "huge.yaml"), "64 bits"),
        (("--app", "nowhere:registry"), "nowhere"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    runline: Runline, words: tuple[str, str], said: str
) -> None:
    Path("list.json").write_text("[1]")
    Path("list.yaml").write_text("- 1\n")
    Path("huge.yaml").write_text("a: 99999999999999999999\n")
    application = () if words[0] == "--app" else ("--app", APP)
    answer = runline("run", DATA / "greet.yaml", *application, *words)
    assert answer.code == (3 if words[0] == "--app" else 2), answer.err
    assert said in answer.err
    assert answer.out == ""
    assert not Path("data").exists()


def test_an_application_is_offered_to_a_workflow_that_lacks_one_and_not_to_a_file_that_is_not_there(
    runline: Runline,
) -> None:
    assert "add --app module:attribute" in runline("run", DATA / "gate.yaml").err
    assert "--app" not in runline("run", "nowhere.yaml").err


def test_an_error_as_json_is_one_document_on_stdout(runline: Runline) -> None:
    for words, code, name in (
        (("run", "nowhere.yaml"), 2, "definition_invalid"),
        (("show", "x"), 2, "run_id_invalid"),
        (("runs",), 3, "log"),
        (("nonsense",), 2, "usage"),
    ):
        answer = runline(*words, "--json")
        assert answer.code == code
        assert answer.err == ""
        assert list(answer.json) == ["error"]
        assert list(answer.json["error"]) == ["code", "message", "hint"]
        assert answer.json["error"]["code"] == name


def test_an_unexpected_error_is_one_line_and_a_traceback_only_with_verbose(
    runline: Runline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> str:
        raise LookupError("first\nsecond")

    monkeypatch.setattr("engine.cli.config.one_line", broken)
    answer = runline("config")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.splitlines()[0] == "error[unexpected]: LookupError: first"
    assert "Traceback" not in answer.err
    assert "Traceback" in runline("config", "--verbose").err


@pytest.mark.parametrize("command", ["run", "wait", "validate"])
def test_with_json_what_an_application_prints_goes_to_stderr(spawn: Spawn, runline: Runline, command: str) -> None:
    app = ("--app", f"{DATA / 'telling.py'}:registry")
    if command == "wait":
        runline("publish", DATA / "tell.yaml")
        runline("start", runline("create", "tell").out.strip())
    words = [] if command == "wait" else [DATA / "tell.yaml"]
    answer = finish(spawn(command, *words, *app, "--json"))
    assert answer.code == 0, answer.err
    assert answer.json, "one document and nothing else"
    told = answer.err.splitlines()
    assert told[0] == "told at the import"
    if command != "validate":
        assert {
            "told in the loop",
            "told in a thread",
            "told on what was held",
            "told by what was left behind",
            "told late",
        } <= set(told)


def test_without_json_what_an_application_prints_stays_on_stdout(spawn: Spawn) -> None:
    answer = finish(spawn("run", DATA / "tell.yaml", "--app", f"{DATA / 'telling.py'}:registry"))
    assert (answer.code, answer.err) == (0, "")
    assert {"told at the import", "told in a thread"} <= set(answer.out.splitlines())


def test_what_an_executor_executes_prints_on_stderr_with_json(spawn: Spawn, runline: Runline) -> None:
    runline("publish", DATA / "tell.yaml")
    runline("start", runline("create", "tell").out.strip())
    process = spawn("executor", "--app", f"{DATA / 'telling.py'}:registry", "--json")
    assert process.stderr is not None
    while "told on what was held" not in process.stderr.readline():
        assert process.poll() is None
    process.terminate()
    answer = finish(process)
    assert answer.code == 0, answer.err
    assert answer.json == {"data": "data", "signal": "SIGTERM"}


def test_options_before_the_command_are_said_to_stand_behind_it(runline: Runline) -> None:
    answer = runline("--json", "runs")
    assert answer.code == 2
    assert answer.json["error"]["message"] == "Expected a command, but found the option --json."
    assert "Options stand behind the command: runline COMMAND --json." in answer.json["error"]["hint"]
    assert "runline COMMAND --data." in runline("--data=x", "runs").err
    assert 'Unknown command "rnus"' in runline("rnus").err


@pytest.mark.parametrize(
    "words", [("start", "x"), ("wait", "x"), ("cancel", "x"), ("show", "x"), ("start", "x", "--data", "nowhere")]
)
def test_a_run_id_that_is_none_is_wrong_usage_and_nothing_is_opened(runline: Runline, words: tuple[str, ...]) -> None:
    answer = runline(*words)
    assert (answer.code, answer.out) == (2, "")
    assert "error[run_id_invalid]: Expected a run id" in answer.err
    assert not Path("data").exists()


def test_an_application_name_of_another_form_is_wrong_usage(runline: Runline) -> None:
    answer = runline("run", DATA / "greet.yaml", "--app", "app2")
    assert (answer.code, answer.out) == (2, "")
    assert "error[application]: Expected the application as module:attribute, found 'app2'" in answer.err
