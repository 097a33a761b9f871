"""Where a command prints: results on stdout, everything else on stderr; with --json one JSON document on stdout."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TextIO

import orjson
from rich.console import Console, RenderableType
from rich.text import Text

from engine.cli.text import lines, one_line
from engine.errors import RunlineError

_PIPE_COLUMNS = 120
"""Columns of tables when stdout is no terminal."""


class Output:
    """What a command prints on.

    Args:
        as_json: Whether stdout takes one JSON document and nothing else.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = console(stderr=False)
        self._stdout = sys.stdout

    @property
    def live(self) -> bool:
        """Whether stdout is a terminal that can be drawn on again and again."""
        return not self.as_json and self.console.is_terminal and not self.console.is_dumb_terminal

    def line(self, text: str, style: str = "") -> None:
        """Print one line for people; hostile characters are neutralised, nothing is wrapped."""
        if not self.as_json:
            self.console.print(Text(one_line(text), style=style), soft_wrap=True)

    def block(self, text: str) -> None:
        """Print several lines for people."""
        if not self.as_json:
            self.console.print(Text(lines(text)), soft_wrap=True)

    def draw(self, renderable: RenderableType) -> None:
        """Print something that is laid out, for people."""
        if not self.as_json:
            self.console.print(renderable)

    def document(self, data: object) -> None:
        """Print the JSON document, when there is to be one."""
        if self.as_json:
            print_json(data, self._stdout)


@contextmanager
def printing_aside(*, as_json: bool) -> Iterator[None]:
    """Let the code of users, which prints what it likes, print on stderr where stdout takes one JSON document.

    This holds for all threads, and not for processes that the code starts. A document may be printed meanwhile by an
    `Output` that was made before.

    Args:
        as_json: Whether stdout does.
    """
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


class OutputError(RunlineError):
    """What a command has to say cannot be printed."""

    code = "output"


class _LiteralConsole(Console):
    """A console that takes every text literally, and goes on without a reader."""

    def on_broken_pipe(self) -> None:
        """Print nothing any more: whoever read has seen enough, and a run is not stopped by that."""
        self.quiet = True
        discard_stdout()


def discard_stdout(stdout: TextIO | None = None) -> None:
    """Let everything that is still written to stdout go nowhere.

    Args:
        stdout: The stream; the present one unless given.
    """
    stdout = stdout or sys.stdout
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), stdout.fileno())


def console(*, stderr: bool) -> Console:
    """Return a console that takes every text literally: no markup, no highlighting, no emoji codes."""
    made = _LiteralConsole(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _PIPE_COLUMNS
    return made


def print_json(data: object, stdout: TextIO | None = None) -> None:
    """Print data as an indented JSON document on stdout.

    Args:
        data: What to print.
        stdout: The stream; the present one unless given.

    Raises:
        OutputError: It cannot be written there.
    """
    stdout = stdout or sys.stdout
    if stdout is None:
        raise OutputError("Expected stdout to print a document on, but it is closed.")
    text = orjson.dumps(data, option=orjson.OPT_INDENT_2, default=str).decode()
    # Characters that can drive a terminal stand in JSON strings only as escapes; these are the rest of them.
    safe = text if text.isascii() else "".join(_json_safe(character) for character in text)
    try:
        stdout.write(f"{safe}\n")
        stdout.flush()
    except BrokenPipeError:
        discard_stdout(stdout)
    except OSError as error:
        # What is left of it would be tried once more, and fail, when the process ends.
        discard_stdout(stdout)
        raise OutputError(f"Expected to print a document on stdout, but {error.strerror or error}.") from error


def _json_safe(character: str) -> str:
    if character.isascii() or character.isprintable():
        return character
    number = ord(character)
    if number > 0xFFFF:  # noqa: PLR2004 - beyond it JSON writes two halves
        number -= 0x10000
        return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"
    return f"\\u{number:04x}"
