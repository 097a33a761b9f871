"""The page about ready-made services shows what happens."""

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Table

from consumers.host.local import read_local
from consumers.sql import RunsTable
from engine.errors import RunlineError
from engine.limits import (
    FOLLOW_OPEN_CHANGES_MAX,
    WEBHOOK_ANSWER_BYTES_MAX,
    WEBHOOK_PATIENCE_SECONDS,
    WEBHOOK_PAUSE_SECONDS_MAX,
    WEBHOOK_PAUSE_SECONDS_MIN,
    WEBHOOK_REFUSALS,
    WEBHOOK_RETRY_AFTER_SECONDS_MAX,
    WEBHOOK_SECONDS,
    WEBHOOK_SECRET_BYTES_MAX,
    WEBHOOK_SECRET_BYTES_MIN,
)
from engine.log.embedded import EmbeddedLog
from engine.log.port import EVENTS
from tests.docs.console import Session, Step, steps
from tests.docs.pages import ROOT, blocks, table, words, write_files

SERVICES = ROOT / "docs" / "services.md"
PORT = "8000"
SECONDS = 60


def write_own_files(directory: Path) -> None:
    """Write the page's files, with a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for block in blocks(SERVICES, "python"):
        text = block.text.replace(PORT, str(port))
        (directory / block.mark.removeprefix("file: ")).write_text(text, encoding="utf-8")


async def until_followed(directory: Path, step: Step) -> None:
    """Wait until a group has recorded that it dealt with all that is on the log."""
    group = directory / "data" / "followers" / step.command.split("--group ")[1].split()[0]
    log = await EmbeddedLog.open_reading(str(directory / "data"))
    end = (await log.ends(EVENTS, 0)).end
    await log.close()
    async with asyncio.timeout(SECONDS):
        while True:
            # Until its host has begun there is nothing to read.
            with suppress(RunlineError):
                if (progress := read_local(group)[0].get(0)) is not None and progress.lowest == end:
                    return
            await asyncio.sleep(0)


def test_every_command_shown_prints_what_is_shown(tmp_path: Path) -> None:
    directory, programs = tmp_path / "work", tmp_path / "bin"
    directory.mkdir()
    programs.mkdir()
    write_files(directory)
    write_own_files(directory)
    session = Session(directory, programs)
    shown = [(block.mark, step) for block in blocks(SERVICES, "console") for step in steps(block.text, block.line)]
    assert [mark for mark, _ in shown].count("until stopped") == 4
    (receiver,) = [step for mark, step in shown if mark == "receiver"]
    for mark, step in shown:
        match mark:
            case "":
                session.check(step)
            case "until stopped":
                with session.other_terminal(step):
                    asyncio.run(until_followed(directory, step))
            case "sender":
                # Whoever sends is patient; the receiver says when it has been told.
                with session.other_terminal(step), session.other_terminal(receiver):
                    pass


def columns(made: Table | None) -> set[str]:
    assert made is not None
    return {column.name for column in made.columns}


def test_the_table_of_columns_names_every_column() -> None:
    made = RunsTable("sqlite://", traces="traces", contexts=True)
    runs, traces = columns(made.runs), columns(made.traces)
    expected = {"both": runs & traces, "runs": runs - traces, "traces": traces - runs}
    found: dict[str, set[str]] = {"both": set(), "runs": set(), "traces": set()}
    for names, where, _ in table(SERVICES, "| column | of | what it is |"):
        found[where] |= set(words(names))
    assert found == expected


def test_the_limits_are_those_of_the_code() -> None:
    text = SERVICES.read_text(encoding="utf-8")
    assert f"within {WEBHOOK_SECONDS:.0f} seconds" in text
    assert f"at most {WEBHOOK_ANSWER_BYTES_MAX // 1024} KiB" in text
    assert f"{WEBHOOK_SECRET_BYTES_MIN} to {WEBHOOK_SECRET_BYTES_MAX} random bytes" in text
    assert f"for {WEBHOOK_PATIENCE_SECONDS / 86_400:.0f} days" in text
    assert f"after {WEBHOOK_PAUSE_SECONDS_MIN:.0f} second," in text
    assert f"up to {WEBHOOK_PAUSE_SECONDS_MAX / 60:.0f} minutes" in text
    assert f"when {FOLLOW_OPEN_CHANGES_MAX} changes wait" in text
    assert WEBHOOK_REFUSALS == 5
    assert WEBHOOK_RETRY_AFTER_SECONDS_MAX == 60
    assert "up to a minute" in text
