"""The page about progress services shows what happens."""

import asyncio
import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from consumers.host import Delivery, StopReason
from tests.docs.console import Session, steps
from tests.docs.pages import PROGRESS, ROOT, blocks, table, words, write_files


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir()
    write_files(made)
    return made


def test_every_command_shown_prints_what_is_shown(
    directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    session = Session(directory, programs)
    shown = [(block.mark, steps(block.text, block.line)) for block in blocks(PROGRESS, "console")]
    assert sum(len(found) for _, found in shown) > 8
    for mark, found in shown:
        for step in found:
            if mark == "until stopped":
                with session.other_terminal(step):
                    pass
            else:
                session.check(step)
    monkeypatch.chdir(directory)
    monkeypatch.syspath_prepend(str(directory))
    (program,) = [block.text for block in blocks(PROGRESS, "python") if not block.mark]
    inside: dict[str, object] = {}
    exec(compile(program, str(PROGRESS), "exec"), inside)  # noqa: S102 - the page's own program
    asyncio.run(inside["follow"]())  # type: ignore[operator]  # it is a function
    sys.modules.pop("mail")
    assert capsys.readouterr().out == "order Success: success (run.succeeded)\n0 records behind\n"


def test_the_tables_name_what_there_is() -> None:
    named = {word for row in table(PROGRESS, "| of a delivery | what it is |") for word in words(row[0])}
    assert named == {field.name for field in fields(Delivery)}
    text = PROGRESS.read_text(encoding="utf-8")
    assert StopReason.TOO_MANY_PARKED in text
    for link in re.findall(r"\]\((\w[\w-]*\.md)", text):
        assert (ROOT / "docs" / link).is_file()
