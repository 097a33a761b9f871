"""Programs of others, and the page's sessions with them, run against a log on a real broker."""

import asyncio
import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from jgo.maven import MavenContext

from engine.broker.java import KAFKA_VERSION, java_command
from engine.log.kafka import KafkaLocation
from tests.docs.console import Session, steps
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "commands.md"
SCRIPT = ROOT / "examples" / "start_run.py"
Settled = Callable[[Path], Awaitable[None]]
CONSOLE_PRODUCER = "console producer"
"""The session that needs it."""
SECONDS = 60
"""How long a program may take on a busy machine."""


class Done(NamedTuple):
    """A program that has ended."""

    code: int
    out: str
    errors: str


async def run_program(command: Sequence[str], given: bytes = b"", directory: Path = ROOT) -> Done:
    """Run a program of others while this process goes on, and return what it left."""
    done = await asyncio.to_thread(
        subprocess.run, command, input=given, cwd=directory, capture_output=True, timeout=SECONDS, check=False
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def console_producer() -> list[str]:
    """Return the words that start the Java console producer: Kafka's own jar for it, beside those of the broker."""
    java, *options, path = java_command(short_lived=True)
    jar = MavenContext().project("org.apache.kafka", "kafka-tools").at_version(KAFKA_VERSION).artifact().resolve()
    return [java, *options, f"{path}{os.pathsep}{jar}", "org.apache.kafka.tools.ConsoleProducer"]


async def check_session(
    marks: Sequence[str], location: KafkaLocation, directory: Path, settled: Settled | None = None
) -> None:
    """Run console sessions of the page, one after the other, and compare what is printed.

    The page's broker and prefix stand for those of the location. `python` is this one, and `kafka-console-producer.sh`
    starts what the script of this name starts.

    Args:
        marks: The comments in front of the sessions.
        location: Where an executor runs the workflow that the page names.
        directory: An empty one.
        settled: Called after each command with the working directory; returns when the engine has done what it asked.
    """
    programs, work = directory / "programs", directory / "work"
    programs.mkdir()
    work.mkdir()
    (work / "examples").symlink_to(ROOT / "examples")
    _write_program(programs / "python", [sys.executable])
    if CONSOLE_PRODUCER in marks:
        _write_program(programs / "kafka-console-producer.sh", console_producer())
    session = Session(work, programs)
    shown = {block.mark: block for block in blocks(PAGE, "console")}
    for block in [shown[mark] for mark in marks]:
        text = re.sub(r"\bshop\b", location.prefix, block.text.replace("127.0.0.1:9092", location.brokers))
        for step in steps(text, block.line):
            await asyncio.to_thread(session.check, step)
            if settled is not None:
                await settled(work)


def _write_program(path: Path, words: Sequence[str]) -> None:
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
