"""The page about Kafka, and what the README says of it, are what happens on a real broker."""

import asyncio
import secrets
import shutil
import socket
from contextlib import ExitStack
from pathlib import Path

from engine.log.kafka import KafkaLocation, parse_location
from engine.log.kafka.admin import count_members
from engine.log.port import PARKED, TOPICS
from engine.settings import load_settings
from tests.docs.console import Session, steps
from tests.docs.pages import KAFKA, README, ROOT, blocks, table, words, write_files

ADDRESS = "127.0.0.1:9092"
"""The address of the broker that the pages show."""


def session_on(broker: str, prefix: str, tmp_path: Path) -> tuple[Session, KafkaLocation]:
    """Return a session with the files of the pages, in which the broker is the tests' and the prefix is new."""
    directory, programs = tmp_path / "work", tmp_path / "bin"
    directory.mkdir()
    programs.mkdir()
    write_files(directory)
    shutil.copytree(ROOT / "examples", directory / "examples")
    location = KafkaLocation(broker, f"test-{secrets.token_hex(6)}")
    places = {
        f"{ADDRESS}/{prefix}": f"{broker}/{location.prefix}",
        ADDRESS: broker,
        f"{prefix}.": f"{location.prefix}.",
        f"{prefix}-": f"{location.prefix}-",
    }
    # Not in the user's cache, where they would stay.
    return Session(directory, programs, places, {"RUNLINE_VIEWS": str(tmp_path / "views")}), location


async def follow(session: Session, page: Path, location: KafkaLocation, *marks: str) -> None:
    """Do what a page shows, in as many terminals."""
    with ExitStack() as terminals:
        executors = 0
        for block in blocks(page, "console"):
            if block.mark not in marks:
                continue
            for step in steps(block.text, block.line):
                if "another terminal" not in block.mark:
                    await asyncio.to_thread(session.check, step)
                    continue
                terminals.enter_context(session.other_terminal(step))
                executors += 1
                while await asyncio.to_thread(count_members, location, {}, "executors") < executors:
                    pass


async def test_the_page_shows_what_happens(broker: str, tmp_path: Path) -> None:
    session, location = session_on(broker, "orders", tmp_path)
    await follow(session, KAFKA, location, "", "another terminal")


async def test_the_readme_shows_what_happens(broker: str, tmp_path: Path) -> None:
    session, location = session_on(broker, "runline", tmp_path)
    await follow(session, README, location, "kafka", "kafka, another terminal")


def test_a_broker_is_started_in_these_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shown = {block.text for page in (KAFKA, README) for block in blocks(page, "console") if block.mark == "broker"}
    (text,) = shown
    (step,) = steps(text, 0)
    session = Session(tmp_path, tmp_path, {"9092": str(port)})
    with session.other_terminal(step._replace(shown=[*step.shown, "..."])):
        pass


def test_the_table_of_topics_has_every_topic() -> None:
    rows = table(KAFKA, "| topic | cleanup | content |")
    assert [words(row[0])[0] for row in rows] == [f"PREFIX.{name}" for name in (*TOPICS, PARKED)]


def test_the_file_shown_is_one(tmp_path: Path) -> None:
    (block,) = blocks(KAFKA, "toml")
    file = tmp_path / "runline.toml"
    file.write_text(block.text)
    settings = load_settings({}, file).settings
    assert parse_location(str(settings.data)).prefix == "orders"
    assert settings.kafka["session.timeout.ms"] == "10000"
    assert settings.kafka["security.protocol"] == "SASL_SSL"
