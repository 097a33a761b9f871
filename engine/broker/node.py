"""One node: its directory, its keeper and its process."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from engine.broker import keeper
from engine.broker.errors import BrokerError
from engine.broker.settings import LOGGING, as_text

_HEAP: Final = "-Xmx512m"
_QUIET: Final = "--sun-misc-unsafe-memory-access=allow"
"""Kafka unmaps files in a way that Java 24 and later print four lines of warning about."""
_SETTINGS: Final = "server.properties"
_LOGGING: Final = "log4j2.properties"
_LOG: Final = "node.log"
_TAIL_LINES: Final = 15
_TAIL_BYTES: Final = 8_192
TAKEN: Final = "Address already in use"
"""What a node's log says when somebody else has its port."""


class Node:
    """A node on the Java runtime; it does not outlive this process.

    Args:
        number: From 1.
        directory: Its own, for its settings, its data and its log.
        java: The words that start Java with Kafka's classes.
        grace: Seconds that it gets to end in order.
        remove: A directory to be removed when this process dies, or None.
    """

    def __init__(self, number: int, directory: Path, java: Sequence[str], grace: float, remove: Path | None) -> None:
        self.number = number
        self._directory = directory
        self._java = java
        self._grace = grace
        self._remove = "" if remove is None else str(remove)
        self._keeper: subprocess.Popen[bytes] | None = None
        self._process = 0

    @property
    def alive(self) -> bool:
        """Whether its process lives, paused or not."""
        return self._keeper is not None and self._keeper.poll() is None

    @property
    def process(self) -> int:
        """The number of its process."""
        return self._process

    def configure(self, settings: Mapping[str, str]) -> None:
        """Write its settings."""
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / _SETTINGS).write_text(as_text(settings), encoding="utf-8")
        (self._directory / _LOGGING).write_text(LOGGING, encoding="utf-8")

    def begin_format(self, cluster_id: str) -> "subprocess.Popen[str]":
        """Start the program that makes its data directory; it leaves one that is already made as it is."""
        return subprocess.Popen(  # noqa: S603 - Kafka's own program
            [*self._java, "kafka.tools.StorageTool", "format", "-g", "-t", cluster_id, "-c", _SETTINGS],
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start(self) -> None:
        """Start its process; it is not ready yet."""
        java, *words = self._java
        command = [java, _HEAP, _QUIET, f"-Dlog4j2.configurationFile={_LOGGING}", *words, "kafka.Kafka", _SETTINGS]
        with (self._directory / _LOG).open("ab") as log:
            self._keeper = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-I", "-S", keeper.__file__, str(self._grace), self._remove, *command],
                cwd=self._directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the owner
            )
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        self._keeper.stdout.close()
        if not line:
            raise BrokerError(f"Expected Java to start at {java}, but it did not.{self.tail()}")
        self._process = int(line)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its process, which lives."""
        os.kill(self._process, number)

    def kill(self) -> None:
        """End its process where it is; its data stay."""
        if self.alive:
            self.send(signal.SIGKILL)
        self.join()

    def begin_stop(self) -> None:
        """Let its keeper end it; `join` waits for that."""
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()

    def join(self) -> None:
        """Wait until its process has ended, after `begin_stop` or a kill."""
        if self._keeper is not None:
            self._keeper.wait()
            self.begin_stop()

    def tail(self) -> str:
        """Return the last lines of its log, set off from a sentence in front of them; empty when there are none."""
        try:
            with (self._directory / _LOG).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                found = log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        except FileNotFoundError:
            return ""
        return "\n".join(["", f"The last lines of {self._directory / _LOG}:", *found]) if found else ""


def remove(directory: Path) -> None:
    """Remove a directory and everything in it, whatever stands in the way."""
    shutil.rmtree(directory, ignore_errors=True)
