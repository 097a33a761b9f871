"""One node: its directory, its keeper and its process."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from engine.broker import keeper
from engine.broker.errors import BrokerError
from engine.broker.home import Home
from engine.broker.settings import LOGGING, as_text

_HEAP: Final = "-Xmx512m"
_QUIET: Final = "--sun-misc-unsafe-memory-access=allow"
"""Kafka unmaps files in a way that Java 24 and later print four lines of warning about."""
_STOP_SECONDS: Final = 10.0
"""How long a node whose data are kept may take to end; a kill loses nothing, but the next start takes longer."""
_SETTINGS: Final = "server.properties"
_LOGGING: Final = "log4j2.properties"
_LOG: Final = "node.log"
_TAIL_LINES: Final = 15
_TAIL_BYTES: Final = 32_768
TAKEN: Final = "Address already in use"
"""What a node's log says when somebody else has its port."""
FATAL: Final = "Exiting Kafka due to fatal exception"
"""What a node's log says when its start has failed; its process may hang for a long time before it ends."""


class Node:
    """A node on the Java runtime; it does not outlive this process.

    Args:
        number: From 1.
        java: The words that start Java with Kafka's classes.
        home: The cluster's directory.
    """

    def __init__(self, number: int, java: Sequence[str], home: Home) -> None:
        self.number = number
        self._java = java
        self._home = home
        self._directory = home.node(number)
        self._keeper: subprocess.Popen[bytes] | None = None
        self._process = 0
        self._log_start = 0

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

    def begin_format(self, cluster_id: str) -> "subprocess.Popen[bytes]":
        """Start the program that makes its data directory; it leaves one that is already made as it is."""
        return subprocess.Popen(  # noqa: S603 - Kafka's own program
            [*self._java, "kafka.tools.StorageTool", "format", "-g", "-t", cluster_id, "-c", _SETTINGS],
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def start(self) -> None:
        """Start its process; it is not ready yet."""
        java, *words = self._java
        command = [java, _HEAP, _QUIET, f"-Dlog4j2.configurationFile={_LOGGING}", *words, "kafka.Kafka", _SETTINGS]
        grace, gone = ("0", str(self._home.path)) if self._home.temporary else (str(_STOP_SECONDS), "")
        with (self._directory / _LOG).open("ab") as log:
            self._log_start = log.tell()
            self._keeper = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-I", "-S", keeper.__file__, grace, gone, *command],
                cwd=self._directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[self._home.lock],
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
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
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
        """Return the last messages of its log since it was started; see `last_lines`."""
        try:
            with (self._directory / _LOG).open("rb") as log:
                log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                return last_lines(log.read())
        except FileNotFoundError:
            return ""


def last_lines(log: bytes) -> str:
    """Return the last messages of a log, without Java's stack traces, set off from a sentence in front of them."""
    lines = [line for line in log.decode(errors="replace").splitlines() if line and not line.startswith("\t")]
    return "\n".join(["", "The last lines of its log:", *lines[-_TAIL_LINES:]]) if lines else ""
