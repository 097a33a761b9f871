"""`audit` and `export` at the command line."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.cli.app import invoke
from engine.cli.long_work import LongWork
from engine.cli.working_directory import log_origin
from engine.log.embedded import EmbeddedLog
from engine.log.place import places
from engine.log.port import EVENTS, LogRecord, Record
from projections.audit.audit import Audit
from projections.audit.roots import Roots
from projections.audit.working import opened
from tests.simulation.log import SimulatedLog


class Answer(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str


RUN = "01a20641-0000-7000-8000-000000000000"
Runline = Callable[..., Answer]


@pytest.fixture
def runline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runline:
    """Call the command line in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("COLUMNS", "200")
    for name in [name for name in os.environ if name.startswith("RUNLINE_")]:
        monkeypatch.delenv(name)

    def call(*arguments: object) -> Answer:
        code = invoke([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


async def _write(records: dict[tuple[str, int], list[LogRecord]], directory: Path, partitions: int) -> None:
    now = [0]
    log = await EmbeddedLog.open(directory, partitions, durability="process", clock=lambda: (now[-1] + 0.5) / 1000)
    for place, found in records.items():
        for record in found:
            now.append(record.timestamp)
            await log.append(*place, Record(record.key, record.value, record.headers))
    await log.close()


@pytest.fixture
async def data(whole_log: SimulatedLog, tmp_path: Path) -> str:
    """Return the run with the first commit of a log in the directory `data`, beside one in `bad`."""
    records = {place: list(whole_log.partition(*place).records) for place in places(2)}
    await _write(records, tmp_path / "data", 2)
    first = next(each for each in records[EVENTS, 0] if each.headers["ce_type"] == "runline.commit")
    records[EVENTS, 0][first.offset] = first._replace(value=first.value + b" ")
    await _write(records, tmp_path / "bad", 2)
    return first.key


@pytest.mark.usefixtures("data")
def test_a_log_is_audited_and_compared_with_its_roots(runline: Runline, tmp_path: Path) -> None:
    first = runline("audit", "--roots", "roots.json")
    assert (first.code, first.err) == (0, "")
    assert "no violations in" in first.out
    again = runline("audit", "--against", "roots.json", "--json")
    document = json.loads(again.out)
    assert (again.code, document["violations"]) == (0, {"count": 0, "rules": {}, "shown": []})
    assert document["compared"]["ranges"] > 3
    assert {each["topic"] for each in document["partitions"]} == {"workflows", "events", "commands", "rejections"}
    assert not [file for file in tmp_path.iterdir() if file.name.startswith("runline-")], "nothing is left behind"


def test_violations_are_named_and_the_exit_code_is_1(runline: Runline, data: str) -> None:
    assert runline("audit", "--roots", "roots.json").code == 0
    found = runline("audit", "--data", "bad")
    assert found.code == 1
    assert f"events/0 offset 1 run {data}: commit_id: " in found.out
    assert " violations: " in found.out.rstrip().splitlines()[-1]
    document = json.loads(runline("audit", "--data", "bad", "--json", "--against", "roots.json").out)["violations"]
    assert document["count"] == sum(document["rules"].values()) == len(document["shown"])
    assert {"commit_id", "log_differs", "root_differs"} <= set(document["rules"])
    (differing,) = [each for each in document["shown"] if each["rule"] == "root_differs"]
    assert (differing["topic"], differing["partition"], differing["offset"]) == (EVENTS, 0, 0)


def test_only_the_first_violations_are_printed(runline: Runline, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.audit.findings.AUDIT_VIOLATIONS_SHOWN", 1)
    found = runline("audit", "--data", "bad")
    assert found.out.count(data) == 1
    assert "more\n" in found.out


def test_a_bundle_is_exported_and_audited(runline: Runline, data: str, tmp_path: Path) -> None:
    assert runline("audit", "--roots", "roots.json").code == 0
    written = runline("export", data)
    assert (written.code, written.err) == (0, "")
    file = tmp_path / f"{data}.runline.json"
    found = runline("audit", file, "--against", "roots.json")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith(f"run {data} of ")
    assert json.loads(runline("audit", file, "--json").out)["violations"]["count"] == 0
    file.write_text(file.read_text(encoding="utf-8").replace('"timestamp": ', '"timestamp": 1', 1), encoding="utf-8")
    changed = runline("audit", file)
    assert changed.code == 1
    assert "bundle_proof" in changed.out
    file.write_text(file.read_text(encoding="utf-8")[:-50], encoding="utf-8")
    cut = runline("audit", file)
    assert (cut.code, cut.out) == (3, "")
    assert "error[bundle_invalid]" in cut.err


def test_what_was_written_down_is_not_overwritten(runline: Runline, data: str, tmp_path: Path) -> None:
    (tmp_path / "roots.json").write_text("mine", encoding="utf-8")
    for command in (("audit", "--roots", "roots.json"), ("export", data, "--output", "roots.json")):
        refused = runline(*command)
        assert refused.code == 2
        assert "is there" in refused.err
    assert (tmp_path / "roots.json").read_text(encoding="utf-8") == "mine"


def test_a_file_that_came_meanwhile_is_not_overwritten_either(
    runline: Runline, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(found: Audit) -> Roots:
        (tmp_path / "roots.json").write_text("mine", encoding="utf-8")
        return made(found)

    made = Roots.of
    monkeypatch.setattr(Roots, "of", meanwhile)
    refused = runline("audit", "--roots", "roots.json")
    assert refused.code == 2
    assert "is there" in refused.err
    # What was found is not lost with the file that it was to be written to.
    assert "no violations" in refused.out
    assert (tmp_path / "roots.json").read_text(encoding="utf-8") == "mine"
    assert not list(tmp_path.glob(".roots*"))
    assert data


def test_a_copy_of_a_log_has_directories_for_interrupted_work_of_its_own(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "store").mkdir(parents=True)
    (tmp_path / "link").symlink_to("one")
    one, two = (log_origin(tmp_path / name) for name in ("one", "two"))
    assert one != two
    assert log_origin(tmp_path / "link") == one
    assert log_origin("kafka://127.0.0.1:9092/orders") == "kafka://127.0.0.1:9092/orders"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("audit", "x.json", "--roots", "r.json"), 2, "--roots and --work only for the audit of a log"),
        (("audit", "--against", "none.json"), 3, "error[roots_invalid]: none.json: it cannot be read"),
        (("audit", "--data", "nowhere"), 3, "expected an embedded log in nowhere"),
        (("audit", "none.json"), 3, "error[bundle_invalid]: none.json"),
        (("audit", "data"), 3, "To verify a log: runline audit --data data"),
        (("audit", "kafka://127.0.0.1:9092/x"), 3, "To verify a log: runline audit --data kafka://HOST:PORT/PREFIX"),
        (("audit", RUN), 3, f"runline export {RUN}, then runline audit {RUN}.runline.json. To verify the log with"),
        (("export", "x"), 2, "error[run_id_invalid]"),
        (("export", "01a20641-0000-7000-8000-000000000000"), 3, "error[run_not_found]"),
        (("audit", "--work", "data/lock"), 3, "cannot be used"),
        (("audit", "--roots", "nowhere/r.json"), 2, "there is no directory nowhere"),
    ],
)
@pytest.mark.usefixtures("data")
def test_what_cannot_be_done_is_said(runline: Runline, arguments: tuple[str, ...], code: int, words: str) -> None:
    answer = runline(*arguments)
    assert (answer.code, answer.out) == (code, "")
    assert words in answer.err


def test_one_audit_or_export_at_a_time_works_in_a_directory(runline: Runline, data: str) -> None:
    with opened(Path("work")):
        for command in (("audit",), ("export", data)):
            refused = runline(*command, "--work", "work")
            assert (refused.code, refused.out) == (3, "")
            assert "error[store_locked]: expected nobody else to audit or export in work, but another" in refused.err
            assert "hint: Wait until it is done, or give this one a directory of its own: --work DIR." in refused.err
    assert runline("audit", "--work", "work").code == 0


@pytest.mark.usefixtures("data")
def test_an_audit_stopped_by_ctrl_c_says_how_to_go_on_and_does(
    runline: Runline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.audit.reading.AUDIT_READ_RECORDS", 20)
    monkeypatch.setattr("projections.audit.audit.AUDIT_SAVE_RECORDS", 10)
    done = [0]

    def advance(work: LongWork, count: int = 1) -> None:
        work._done += count
        done[0] += count
        if done[0] > 100:
            signal.raise_signal(signal.SIGINT)
            done[0] = -10_000

    with monkeypatch.context() as once:
        once.setattr("engine.cli.long_work.LongWork.advance", advance)
        stopped = runline("audit", "--work", "my work", "--roots", "roots.json")
    assert stopped.code == 130
    assert "go on with: runline audit --roots roots.json --work 'my work'" in stopped.err
    assert not (tmp_path / "roots.json").exists()
    assert (tmp_path / "my work").is_dir()
    assert runline("audit", "--work", "my work", "--roots", "roots.json").code == 0
    assert not (tmp_path / "my work").exists()


def test_what_else_is_in_the_directory_for_interrupted_work_stays(
    runline: Runline, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The directory of the log itself, of all things; and what an export left is nothing to an audit.
    monkeypatch.setattr("projections.audit.exporting.AUDIT_SAVE_RECORDS", 1)
    with monkeypatch.context() as once:
        once.setattr("projections.audit.exporting.partition_root", lambda *_: 1 / 0)
        assert runline("export", data, "--work", "data").code == 3
    assert runline("audit", "--work", "data").code == 0
    assert runline("export", data, "--work", "data").code == 0
    assert runline("audit").code == 0


@pytest.mark.usefixtures("data")
def test_a_directory_for_interrupted_work_that_is_somebody_elses_is_refused(
    runline: Runline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)
    refused = runline("audit")
    assert refused.code == 3
    assert "a directory of this user's" in refused.err
    assert runline("audit", "--work", tmp_path / "work").code == 0
