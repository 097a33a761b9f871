"""What a history comes to now, beside what it came to when it was recorded."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Final

from tests.histories.history import History
from tests.histories.showing import Shown

UNEXPLAINED: Final = "to be explained"
"""Begins what stands for a reason until somebody gives one."""
_SHOWN_CHARACTERS: Final = 2_000


def compared(history: History, shown: Shown) -> list[str]:
    """Return what is not as it was recorded, for people; nothing when all is."""
    return [
        *_views(history.views, shown.views),
        *_rows(history, shown),
        *_decisions(history, shown),
        *_counts("the audit finds", history.about.violations, shown.violations),
    ]


def _views(recorded: Sequence[str], shown: Sequence[str]) -> Iterator[str]:
    for number, (before, now) in enumerate(zip_longest(recorded, shown), 1):
        if before != now:
            yield f"views, line {number}: was {_cut(before)}, and is {_cut(now)}"


def _rows(history: History, shown: Shown) -> Iterator[str]:
    for family, rows in history.about.families.items():
        now = shown.families.get(family)
        # Another version of a projection may write other rows; the views have to show the same all the same.
        if now is not None and now.version == rows.version and now != rows:
            yield f"rows of {family}: were {rows}, and are {now}"


def _decisions(history: History, shown: Shown) -> Iterator[str]:
    recorded, report = history.about.decisions, shown.decisions
    found = {difference.event_id: str(difference) for difference in report.differences}
    if len(found) != report.differing_runs:
        yield f"decisions: {report.differing_runs} runs differ, too many to compare"
    yield from _listed("decided otherwise", recorded.differences, found)
    yield from _listed("unreadable", recorded.unreadable, report.unreadable_runs)
    if report.skipped or report.unknown_runs:
        yield f"decisions: {dict(report.skipped)} skipped, {report.unknown_runs} unknown"
    if (report.runs, report.compared) != (recorded.runs, recorded.compared):
        now = f"{report.runs} runs and {report.compared} commits"
        yield f"decisions: {recorded.runs} runs and {recorded.compared} commits were compared, and now {now}"
    yield from _counts("decisions take over", recorded.taken_over, report.taken_over)


def _listed(what: str, expected: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(found.keys() - expected.keys()):
        yield f"{what}, and not listed: {found[name]}"
    for name in sorted(expected.keys() - found.keys()):
        yield f"listed as {what}, but is not: {name} ({expected[name]})"
    for name, reason in expected.items():
        if not reason or reason.startswith(UNEXPLAINED):
            yield f"{what}, and no reason is given: {name}"


def _counts(what: str, before: Mapping[str, int], now: Mapping[str, int]) -> Iterator[str]:
    for name in sorted({*before, *now}):
        if before.get(name, 0) != now.get(name, 0):
            yield f"{what}: {name} was {before.get(name, 0)}, and is {now.get(name, 0)}"


def _cut(line: str | None) -> str:
    return "nothing" if line is None else line[:_SHOWN_CHARACTERS]
