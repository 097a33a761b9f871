"""The write-ahead logs of a store: RocksDB says that one of them is damaged, and not which file that is."""

import re
from pathlib import Path
from typing import Final

WRITE_AHEAD: Final = "*.log"
_FILE: Final = re.compile(r"\d{6,}\.(?:sst|log)|MANIFEST|CURRENT|OPTIONS|IDENTITY")
"""How RocksDB names the files of a store in what it says of damage; only write-ahead logs it does not name."""


def write_ahead_logs(directory: Path) -> str:
    """Return which write-ahead logs a store has that are not empty, in words that follow "in"."""
    try:
        names = sorted(file.name for file in directory.glob(WRITE_AHEAD) if file.stat().st_size)
    except OSError:
        # They come and go while somebody writes.
        names = []
    if not names:
        return "a write-ahead log, none of which is there"
    if len(names) == 1:
        return f"the write-ahead log {names[0]}"
    return f"one of the write-ahead logs {', '.join(names)}"


def with_file(directory: Path, text: str) -> str:
    """Return what RocksDB says of damage, with the name of the file that it is in."""
    return text if _FILE.search(text) else f"{text} in {write_ahead_logs(directory)}"
