"""What processes say of themselves: JSON lines, each written at once, so that a kill leaves it whole or out."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson


class Ledger:
    """Appends lines to a file that other processes append to as well.

    Args:
        path: The file, made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(self, **fields: object) -> None:
        """Append one line; it outlives this process however that ends."""
        os.write(self._file, orjson.dumps(fields) + b"\n")

    def close(self) -> None:
        os.close(self._file)


def lines(path: Path) -> Iterator[Mapping[str, object]]:
    """Return what was said, in order; nothing when nobody said anything."""
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                yield orjson.loads(line)
