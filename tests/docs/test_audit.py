"""The page about the audit shows what happens, and has every rule."""

import subprocess
import sys
from pathlib import Path

from engine.limits import AUDIT_RANGE_RECORDS, AUDIT_VIOLATIONS_SHOWN, WINDOW_SECONDS
from projections.audit import MEANINGS
from tests.docs.console import Session, steps
from tests.docs.pages import ROOT, blocks, table, words, write_files

PAGE = ROOT / "docs" / "audit.md"
HOUR_SECONDS = 3_600


def test_the_page_shows_what_happens(tmp_path: Path) -> None:
    directory, programs = tmp_path / "work", tmp_path / "bin"
    directory.mkdir()
    programs.mkdir()
    write_files(directory)
    (forge, library) = blocks(PAGE, "python")
    (directory / forge.mark.removeprefix("file: ")).write_text(forge.text, encoding="utf-8")
    session = Session(directory, programs)
    found = [step for block in blocks(PAGE, "console") for step in steps(block.text, block.line)]
    assert len(found) > 15
    for step in found:
        session.check(step)
    (directory / "library.py").write_text(library.text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "library.py"],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0 0\n"


def test_the_table_has_every_rule_and_what_it_means() -> None:
    rows = table(PAGE, "| rule | what holds when it is kept |")
    assert {words(row[0])[0]: row[1] for row in rows} == {str(rule): text for rule, text in MEANINGS.items()}


def test_numbers_on_the_page_are_the_audits() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(f"{AUDIT_RANGE_RECORDS:,} offsets") == 2
    assert f"the first {AUDIT_VIOLATIONS_SHOWN} are named" in text
    assert WINDOW_SECONDS == HOUR_SECONDS, "the page says the last hour"
