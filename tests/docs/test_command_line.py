"""The page about the command line shows what the command line does."""

import asyncio
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import orjson
import pytest
from cyclopts import App

from engine.broker.cluster import ForeignCluster
from engine.cli.app import invoke, make_app
from engine.cli.broker import _print_address as print_address
from engine.cli.exit_codes import OPERATING, RUN_FAILED, SIGNALLED, SUCCESS, USAGE
from engine.cli.output import Output
from engine.log.embedded import EmbeddedLog
from engine.run import Run, RunError, Trace
from engine.settings import Settings
from tests.docs.console import Session, Step, ending, steps
from tests.docs.pages import COMMAND_LINE, KAFKA, PROGRESS, ROOT, VIEWS, blocks, marked, table, words, write_files


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory with the files that the pages show."""
    made = tmp_path / "work"
    made.mkdir()
    write_files(made)
    return made


@pytest.fixture
def session(directory: Path, tmp_path: Path) -> Session:
    programs = tmp_path / "bin"
    programs.mkdir()
    return Session(directory, programs)


def commands() -> dict[str, App]:
    app = make_app()
    found: dict[str, App] = {}
    for name in (name for name in app if not name.startswith("-")):
        below = {f"{name} {inner}": app[name][inner] for inner in app[name] if not inner.startswith("-")}
        found |= below or {name: app[name]}
    return found


def options(command: App) -> set[str]:
    found = command.assemble_argument_collection(parse_docstring=False)
    return {name for argument in found for name in argument.names if name.startswith("--")}


def test_every_command_shown_prints_what_is_shown(session: Session) -> None:
    found = [step for block in blocks(COMMAND_LINE, "console") for step in steps(block.text, block.line)]
    assert len(found) > 20
    for step in found:
        session.check(step)


def test_every_command_is_shown_at_work() -> None:
    shown = "\n".join(
        block.text for page in (COMMAND_LINE, KAFKA, VIEWS, PROGRESS) for block in blocks(page, "console")
    )
    for command in commands():
        assert f"runline {command}" in shown


def test_the_comparison_finds_what_differs(tmp_path: Path) -> None:
    session = Session(tmp_path, tmp_path)
    first, second = "01a20523-f0d9-7e87-9b7c-ee15d47e1dac", "01a20524-f0d9-7e87-9b7c-ee15d47e1dac"
    other = "0199aaaa-f0d9-7e87-9b7c-ee15d47e1dac"
    session.compare(Step("a", [f"run {first} after 2 ms", "..."], 1), f"run {other} after 1.4 s\nand\nmore\n")
    session.compare(Step("b", [f"{first}"], 1), f"{other}\n")
    for shown, printed in [
        ([first], f"{second}\n"),
        (["one", "three"], "one\ntwo\nthree\n"),
        (["a ... c"], "a b\n"),
        (["after 2 ms"], "after 2 minutes\n"),
        ([], "something\n"),
    ]:
        with pytest.raises(AssertionError, match="the page shows"):
            session.compare(Step("c", shown, 1), printed)


def test_the_table_of_commands_has_every_command_and_its_arguments() -> None:
    rows = table(COMMAND_LINE, "| command | what it does | executes nodes |")
    shown = {re.split(r" [^a-z]", words(row[0])[0])[0] for row in rows}
    assert shown == set(commands())


def test_the_table_of_options_has_every_option_of_every_command() -> None:
    known = {option for command in commands().values() for option in options(command)} - {"--help", "--version"}
    rows = table(COMMAND_LINE, "| option | meaning |")
    assert {words(row[0])[0] for row in rows} == known
    for row in rows:
        (option,) = words(row[0])
        takes = {name for name, command in commands().items() if option in options(command)}
        named = re.match(r"of (.*?)[:,]", row[1])
        if named:
            assert takes == set(words(named[1])), option
        else:
            assert len(takes) > 2, option
    assert "--help" in COMMAND_LINE.read_text(encoding="utf-8")
    assert "--version" in COMMAND_LINE.read_text(encoding="utf-8")


def test_the_table_of_settings_has_every_setting_and_its_default() -> None:
    rows = table(COMMAND_LINE, "| setting | argument | environment | unless given |")
    assert [row[0] for row in rows] == [f"`{name}`" for name in Settings.model_fields]
    for (_, argument, variable, given), (name, field) in zip(rows, Settings.model_fields.items(), strict=True):
        assert argument == f"`--{name.replace('_', '-')}`"
        assert variable == f"`RUNLINE_{name.upper()}{'_...' if name == 'kafka' else ''}`"
        default = field.get_default(call_default_factory=True, validated_data={"data": Path("data")})
        assert given.strip("`") == ("none" if default in (None, {}) else str(default))


def test_the_settings_file_shown_is_one() -> None:
    (block,) = blocks(COMMAND_LINE, "toml")
    assert Settings.model_validate(tomllib.loads(block.text)).app == "shop.py:registry"


def test_the_table_of_exit_codes_has_every_exit_code() -> None:
    shown = [row[0] for row in table(COMMAND_LINE, "| code | meaning |")]
    assert shown == [*map(str, (SUCCESS, RUN_FAILED, USAGE, OPERATING)), f"{SIGNALLED} + n"]


async def test_a_second_writer_is_refused_in_these_words(session: Session, directory: Path) -> None:
    log = await EmbeddedLog.open(directory / "data")
    try:
        shown = marked(COMMAND_LINE, "locked").splitlines()
        for command in ("run order.yaml --app shop.py:registry", "wait", "create order", "publish order.yaml"):
            await asyncio.to_thread(session.check, Step(f"runline {command}", shown, 0))
        await asyncio.to_thread(session.check, Step("runline runs", ["no runs"], 0))
    finally:
        await log.close()


def keys_shown(of: str) -> set[str]:
    (found,) = [row[1] for row in table(COMMAND_LINE, "| of | keys |") if row[0] == of]
    return set(words(found))


def test_the_keys_of_runs_and_traces_are_those_shown() -> None:
    named = {"input_context": "input", "output_context": "output", "commit_id": "commit"}
    assert keys_shown("a run") == {named.get(field.name, field.name) for field in fields(Run)}
    assert keys_shown("a trace") == {named.get(field.name, field.name) for field in fields(Trace)}
    assert keys_shown("a run's or trace's `error`") == {field.name for field in fields(RunError)}


def test_the_keys_of_every_document_are_those_shown(
    broker: str, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(directory)
    monkeypatch.setenv("RUNLINE_DURABILITY", "process")
    rows = {row[0]: words(row[1]) for row in table(COMMAND_LINE, "| command | keys |")}

    def call(*arguments: str) -> dict[str, object]:
        invoke([*arguments, "--json"])
        document: dict[str, object] = orjson.loads(capsys.readouterr().out)
        return document

    app = ("--app", "shop.py:registry")
    order = ("--set", "order.number=1", "--set", "order.lines=[]")
    ran, published, created = (
        call("run", "order.yaml", *app, *order),
        call("publish", "order.yaml"),
        call("create", "order"),
    )
    run_id = str(created["run_id"])
    waited = call("wait")
    started = call("start", run_id, *app, *order)
    new = ("--from", "beginning", "--attempts", "1")
    documents = {
        "`run`, `start`, `wait RUN`, `show`": [ran, started, call("wait", run_id), (shown := call("show", run_id))],
        "`wait`": [waited],
        "`publish`": [published],
        "`create`": [created],
        "`cancel`": [call("cancel", str(call("create", "order")["run_id"]))],
        "`show --at`": [at := call("show", run_id, "--at", "start")],
        "`show --diff`": [diff := call("show", run_id, "--diff", "start", "end")],
        "`show --events`": [events := call("show", run_id, "--events")],
        "`runs`": [runs := call("runs")],
        "`work`": [call("create", "order") and (open_work := call("work"))],
        "`projections status`": [status := call("projections", "status")],
        "`projections run`, when it has stopped": [stopped("projections", "run", words="Folding")],
        "`rebuild`": [call("rebuild")],
        "`replay`": [replayed := call("replay")],
        "`graph`": [call("graph", "order"), call("graph", run_id)],
        "`audit`": [audited := call("audit")],
        "`audit BUNDLE`": [call("export", run_id) and call("audit", f"{run_id}.runline.json")],
        "`export`": [call("export", run_id, "--output", "again.json")],
        "`follow`, when it has stopped": [
            stopped("follow", "--service", "shop_closed.py:Shop", *new, words="it is parked")
        ],
        "`follow --lag`": [lag := call("follow", "--lag")],
        "`parked list`": [parked := call("parked", "list")],
        "`parked show`": [call("parked", "show", event_of(parked))],
        "`parked retry`, `parked skip`": [call("parked", each, event_of(parked)) for each in ("retry", "skip")],
        "`validate`": [call("validate", "order.yaml"), (wrong := call("validate", "wrong.yaml"))],
        "`doctor`": [doctor := call("doctor")],
        "`config`": [config := call("config")],
        "`topics plan`, `topics apply`": [plan := call("topics", "plan", "--data", f"kafka://{broker}/not-there")],
        "`executor`, when it has stopped": [stopped("executor", *app, words="Opening")],
        "`broker up`": [address_of(broker, capsys)],
        "every command that goes wrong": [error := call("show", "0")],
    }
    assert list(rows) == list(documents)
    for command, found in documents.items():
        for document in found:
            assert list(document) == rows[command], command
    assert isinstance(traces := shown["traces"], list)
    assert keys(traces) == keys_shown("a trace") | {"attempts"}
    assert keys(traces[0]["attempts"]) == keys_shown("one of `attempts`, which a trace has where one run is shown")
    assert keys(runs["runs"]) == keys_shown("one of `runs`, where `runs` lists them")
    assert keys(open_work["work"]) == keys_shown("one of `work`")
    assert keys(runs["views"]) == keys_shown("`views`")
    assert keys(replayed["views"]) == keys_shown("`views` of `replay`")
    assert keys(replayed["decisions"]) == keys_shown("`decisions` of `replay`")
    assert keys(status["partitions"]) == keys_shown("one of `partitions`")
    assert keys(at["as_of"]) == keys(diff["from"]) == keys(diff["to"]) == keys_shown("`as_of`, `from` and `to`")
    assert keys(diff["changes"]) == keys_shown("one of `changes`")
    assert keys(events["events"]) == keys_shown("one of `events`")
    assert keys(wrong["findings"]) == keys_shown("one of `findings`")
    assert keys(doctor["checks"]) == keys_shown("one of `checks`")
    assert keys(audited["violations"]) == keys_shown("`violations`")
    assert keys(lag["services"]) == keys_shown("one of `services`")
    assert keys(waited["left"]) == keys_shown("one of `left`")
    assert keys(plan["steps"]) == keys_shown("one of `steps`")
    assert keys(error["error"]) == keys_shown("`error`")
    settings = config["settings"]
    assert isinstance(settings, dict)
    assert keys(settings["data"]) == keys_shown("one of `settings`")


def event_of(parked: dict[str, object]) -> str:
    """Return the id of the first parked change."""
    found = parked["parked"]
    assert isinstance(found, list)
    return str(found[0]["event_id"])


def address_of(bootstrap: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """Return what `broker up` prints when the brokers answer."""
    print_address(Output(as_json=True), ForeignCluster(bootstrap))
    document: dict[str, object] = orjson.loads(capsys.readouterr().out)
    return document


def stopped(*command: str, words: str) -> dict[str, object]:
    """Run a command until it logs these words, stop it, and return the document that it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli", *command, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process, ending(process):
        assert process.stdout is not None
        assert process.stderr is not None
        assert any(words in line for line in process.stderr)
        process.terminate()
        document: dict[str, object] = orjson.loads(process.stdout.read())
    return document


def keys(found: object) -> set[str]:
    """Return the keys of an object, or of the first of a list."""
    first = found[0] if isinstance(found, list) else found
    assert isinstance(first, dict)
    return set(first)
