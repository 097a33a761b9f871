"""A part of a benchmark in a process of its own: it says lines, and goes on when it is told to."""

import subprocess
import sys


class Part:
    """A process that runs a module of the benchmarks with `--part`.

    Args:
        module: The module.
        words: What follows `--part`.
    """

    def __init__(self, module: str, *words: str) -> None:
        command = [sys.executable, "-m", f"benchmarks.{module}", "--part", *words]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hear(self) -> str:
        """Return the next line it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a process of the benchmark ended with {self._process.wait()}")
        return line

    def tell(self) -> None:
        """Let it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """Wait for its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
