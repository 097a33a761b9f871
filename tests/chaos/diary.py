"""The diary: what was done, when, and what came of it; JSON lines beside the other artefacts."""

import time
from collections import Counter
from pathlib import Path

from tests.chaos.ledger import Ledger


class Diary:
    """Writes everything down with its time.

    Args:
        path: The file.

    Attributes:
        counts: How often each thing was done.
        violations: What no process may do.
        healing_seconds: How long after all faults everything that was asked for was done.
    """

    def __init__(self, path: Path) -> None:
        self._ledger = Ledger(path)
        self._begun = time.monotonic()
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self.healing_seconds: float | None = None

    @property
    def seconds(self) -> float:
        """How long it has been kept."""
        return time.monotonic() - self._begun

    def note(self, what: str, **more: object) -> None:
        self._ledger.note(at=round(self.seconds, 3), what=what, **more)

    def did(self, what: str, **more: object) -> None:
        """Note a fault, and count it."""
        self.counts[what] += 1
        self.note(what, **more)

    def violation(self, text: str) -> None:
        self.violations.append(text)
        self.note("violation", text=text)

    def close(self) -> None:
        self._ledger.close()
