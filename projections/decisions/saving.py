"""What a replay of decisions goes on from when it was interrupted, as JSON."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import orjson

from projections.decisions.comparison import Difference
from projections.decisions.redecider import DecisionReport, Redecider

_KEPT_APART: Final = "differences"


def save(redecider: Redecider) -> bytes:
    """Return what a redecider knows, but for the differences that it has found: these only become more."""
    report = redecider.report
    names = [name for name in DecisionReport.__slots__ if name != _KEPT_APART]
    return orjson.dumps(
        {"report": {name: getattr(report, name) for name in names}, "differing": sorted(redecider.differing)}
    )


def save_difference(difference: Difference) -> bytes:
    """Return a difference as it is kept."""
    return orjson.dumps(difference)


def restore(redecider: Redecider, saved: bytes, differences: Iterable[bytes]) -> None:
    """Let a new redecider know what another one knew."""
    data = orjson.loads(saved)
    report = redecider.report = DecisionReport(**data["report"])
    report.taken_over, report.skipped = Counter(report.taken_over), Counter(report.skipped)
    report.differences = [Difference(**orjson.loads(each)) for each in differences]
    redecider.differing = set(data["differing"])
