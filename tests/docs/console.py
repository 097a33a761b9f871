"""Console sessions in the documentation: the commands are run, and what they print is compared.

In what is shown, a line `...` stands for any lines and `...` in a line for any text. Run ids, times, durations, bars
and numbers of processes differ from run to run; a run id stands for the same run wherever it is shown.
"""

import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.docs.pages import ROOT

DEADLINE_SECONDS = 60
"""Far more than any command takes."""

_RUN_ID = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
_DIFFERING = {
    _RUN_ID: "run",
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+\+\d\d:\d\d)?": r"\\d{4}-\\d\\d-\\d\\d[ T]\\d\\d:\\d\\d:\\d\\d[.\\d+:]*",
    r"\d+(?:\.\d)? m?s\b": r"\\d+(?:\\.\\d)? m?s",
    r"[▏▎▍▌▋▊▉█▐▕ ]*[▏▎▍▌▋▊▉█▐▕][▏▎▍▌▋▊▉█▐▕ ]*": r"[▏▎▍▌▋▊▉█▐▕ ]+",
    r"python: \d+\.\d+\.\d+": r"python: \\d+\\.\\d+\\.\\d+",
    r"cyclopts \d+\.\d+\.\d+": r"cyclopts [\\d.]+",
    r"[\d,]+ MiB free": r"[\\d,]+ MiB free",
    r"\d+ records": r"\\d+ records",
    r"process \d+": r"process \\d+",
}
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
        programs: A directory for the program `runline`.
    """

    def __init__(self, directory: Path, programs: Path) -> None:
        self._directory = directory
        self._runs: dict[str, str] = {}
        self._code = 0
        program = programs / "runline"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m engine.cli "$@"\n', encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNLINE_")}
        self._environment = {
            **kept,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "120",
        }

    def check(self, step: Step) -> None:
        """Run a command and compare what it prints with what is shown."""
        command = step.command.replace("$?", str(self._code))
        for shown, actual in self._runs.items():
            command = command.replace(shown, actual)
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
        printed = [line.rstrip() for line in f"{done.stdout}{done.stderr}{killed}".splitlines()]
        self.compare(step, "".join(f"{line}\n" for line in printed))

    def compare(self, step: Step, printed: str) -> None:
        """Compare what was printed with what is shown, and learn which run is which."""
        new: dict[str, str] = {}
        pattern = "".join(self._pattern(line, new) for line in step.shown)
        found = re.fullmatch(pattern, printed)
        assert found is not None, (
            f"line {step.line}: $ {step.command}\n"
            f"the page shows:\n{chr(10).join(step.shown)}\nbut it prints:\n{printed}\n(pattern: {pattern})"
        )
        self._runs |= {shown: found[group] for shown, group in new.items()}

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
        if pattern != "run":
            return pattern
        if text in self._runs:
            return self._runs[text]
        if text in new:
            return f"(?P={new[text]})"
        new[text] = f"run{len(new)}"
        return f"(?P<{new[text]}>{_RUN_ID})"
