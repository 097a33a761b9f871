"""Console sessions in the documentation: the commands are run, and what they print is compared.

In what is shown, a line `...` stands for any lines and `...` in a line for any text. Run ids, commit ids, times,
durations, bars, executors and numbers of processes differ from run to run; an id stands for the same one wherever it is
shown.
"""

import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.docs.pages import ROOT

DEADLINE_SECONDS = 180
"""Far more than any command takes."""

_RUN_ID = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
_COMMIT = "[0-9a-f]{12}"
_DIFFERING = {
    _RUN_ID: _RUN_ID,
    rf"\b{_COMMIT}(?=\.\d)": _COMMIT,
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:,\d+|\.\d+\+\d\d:\d\d|\.\d+Z)?": (
        r"\\d{4}-\\d\\d-\\d\\d[ T][\\d:]{8}[.,\\d+:]*Z?"
    ),
    r"\d+(?:\.\d)? m?s\b": r"\\d+(?:\\.\\d)? m?s",
    r"[▏▎▍▌▋▊▉█▐▕ ]*[▏▎▍▌▋▊▉█▐▕][▏▎▍▌▋▊▉█▐▕ ]*": r"[▏▎▍▌▋▊▉█▐▕ ]+",
    r"python: \d+\.\d+\.\d+": r"python: \\d+\\.\\d+\\.\\d+",
    r"cyclopts \d+\.\d+\.\d+": r"cyclopts [\\d.]+",
    r"[\d,]+ MiB free": r"[\\d,]+ MiB free",
    r"\d+ records": r"\\d+ records",
    r"process \d+": r"process \\d+",
    r"executor [0-9a-f]{16}": r"executor [0-9a-f]{16}",
}
_IDS = (_RUN_ID, _COMMIT)
_PIECE = re.compile("|".join(f"({pattern})" for pattern in (*_DIFFERING, r" {2,}", r"\.\.\.")))


class Step(NamedTuple):
    """One command of a session.

    Attributes:
        command: As typed.
        shown: The lines that the page shows below it.
        line: The page's line of the command.
    """

    command: str
    shown: list[str]
    line: int


@contextmanager
def ending(process: "subprocess.Popen[str]") -> Iterator[None]:
    """End a process with the context, and when it hangs, so that whoever reads what it prints goes on."""
    timer = threading.Timer(2 * DEADLINE_SECONDS, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        process.kill()


def steps(text: str, line: int) -> list[Step]:
    """Return the commands of a session that begins on a page's line."""
    found: list[Step] = []
    for number, each in enumerate(text.splitlines(), line):
        if each.startswith("$ "):
            found.append(Step(each[2:], [], number))
        elif not found[-1].shown and found[-1].command.endswith("\\"):
            found[-1] = found[-1]._replace(command=f"{found[-1].command}\n{each}")
        else:
            found[-1].shown.append(each)
    return found


class Session:
    """A shell in a directory, where `runline` is the one of this checkout.

    Args:
        directory: Where the commands are run.
        programs: A directory for the programs `runline` and `python`.
        places: Texts that the page shows, and what stands for them here, such as the address of a broker.
        variables: Of the environment, besides those that every session has.
    """

    def __init__(
        self,
        directory: Path,
        programs: Path,
        places: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = directory
        self._places = dict(places or {})
        self._ids: dict[str, str] = {}
        self._code = 0
        for name, command in (("runline", f'{sys.executable}" -m "engine.cli'), ("python", sys.executable)):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec "{command}" "$@"\n', encoding="utf-8")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNLINE_")}
        self._environment = {
            **kept,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "120",
            **(variables or {}),
        }

    def check(self, step: Step) -> None:
        """Run a command and compare what it prints with what is shown."""
        command = self._command(step)
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self._environment[name] = value
            return
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        self._code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        killed = "Killed\n" if self._code == 128 + signal.SIGKILL else ""
        self._compare_printed(step, f"{done.stdout}{done.stderr}{killed}")

    @contextmanager
    def other_terminal(self, step: Step) -> Iterator[None]:
        """Run a command; go on when it has printed what is shown, and stop it and compare at the end of the context."""
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {self._command(step)}"],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        with process, ending(process):
            assert process.stdout is not None
            printed = "".join(process.stdout.readline() for line in step.shown if line.strip() != "...")
            yield
            process.terminate()
            printed += process.stdout.read()
        self._compare_printed(step, printed)

    def _command(self, step: Step) -> str:
        command = step.command.replace("$?", str(self._code))
        for shown, actual in {**self._ids, **self._places}.items():
            command = command.replace(shown, actual)
        return command

    def _compare_printed(self, step: Step, printed: str) -> None:
        for shown, actual in self._places.items():
            printed = printed.replace(actual, shown)
        self.compare(step, "".join(f"{line.rstrip()}\n" for line in printed.splitlines()))

    def compare(self, step: Step, printed: str) -> None:
        """Compare what was printed with what is shown, and learn which run and commit is which."""
        new: dict[str, str] = {}
        pattern = "".join(self._pattern(line, new) for line in step.shown)
        found = re.fullmatch(pattern, printed)
        assert found is not None, (
            f"line {step.line}: $ {step.command}\n"
            f"the page shows:\n{chr(10).join(step.shown)}\nbut it prints:\n{printed}\n(pattern: {pattern})"
        )
        self._ids |= {shown: found[group] for shown, group in new.items()}

    def _pattern(self, line: str, new: dict[str, str]) -> str:
        """Return the pattern of one shown line."""
        if line.strip() == "...":
            return "(?:.*\n)*?"
        pattern, position = "", len(line) - len(line.lstrip())
        pattern = " " * position
        for piece in _PIECE.finditer(line, position):
            pattern += re.escape(line[position : piece.start()]) + self._piece(piece, new)
            position = piece.end()
        return f"{pattern}{re.escape(line[position:])}\n"

    def _piece(self, piece: "re.Match[str]", new: dict[str, str]) -> str:
        text = piece[0]
        if text == "...":
            return ".*"
        if not text.strip():
            return " +"
        pattern = list(_DIFFERING.values())[(piece.lastindex or 1) - 1].replace("\\\\", "\\")
        if pattern not in _IDS:
            return pattern
        if text in self._ids:
            return self._ids[text]
        if text in new:
            return f"(?P={new[text]})"
        new[text] = f"id{len(new)}"
        return f"(?P<{new[text]}>{pattern})"
