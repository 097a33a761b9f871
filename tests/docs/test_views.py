"""The page about views shows what happens."""

from pathlib import Path

from projections import StopReason
from projections.errors import ViewsError, ViewsLockedError, ViewsNewerError
from tests.docs.console import Session, steps
from tests.docs.pages import VIEWS, blocks, table, words, write_files


def test_every_command_shown_prints_what_is_shown(tmp_path: Path) -> None:
    directory, programs = tmp_path / "work", tmp_path / "bin"
    directory.mkdir()
    programs.mkdir()
    write_files(directory)
    session = Session(directory, programs)
    found = [step for block in blocks(VIEWS, "console") for step in steps(block.text, block.line)]
    assert len(found) > 12
    for step in found:
        session.check(step)


def test_the_table_of_obstacles_names_every_reason_to_stop() -> None:
    named = {word for row in table(VIEWS, "| what | what happens |") for cell in row for word in words(cell)}
    assert {reason.value for reason in StopReason if reason is not StopReason.TOO_MANY_PARKED} <= named
    assert {error.code for error in (ViewsError, ViewsLockedError, ViewsNewerError)} <= named
