"""Many seeds, spread over processes, and what came of them."""

import gc
import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from tests.simulation.remains import unheard
from tests.simulation.simulate import Report, simulate

_TOGETHER: Final = 10
"""Seeds that a process takes at once."""
_OBJECTS: Final = 50_000
"""New objects after which those that hold each other are looked for."""
FAILING_MAX: Final = 10
"""Failing seeds after which no more are run."""


class Failing(NamedTuple):
    """A seed that failed."""

    seed: int
    violations: list[str]


class Summary:
    """What came of many seeds.

    Attributes:
        seeds: How many were run.
        seconds: How long that took, by the machine's clock.
        figures: How often what happened, in all of them.
        failing: Those that failed.
    """

    def __init__(self) -> None:
        self.seeds = 0
        self.seconds = 0.0
        self.figures: Counter[str] = Counter()
        self.failing: list[Failing] = []

    def lines(self) -> Iterator[str]:
        """Return it for people."""
        yield f"{self.seeds} seeds in {self.seconds:.0f} s, {self.seeds / max(self.seconds, 0.001):.1f} seeds/s"
        plain = {what: count for what, count in self.figures.items() if not what.startswith(("fault:", "killed at"))}
        yield ", ".join(f"{count} {what}" for what, count in sorted(plain.items()))
        for kind in ("fault:", "killed at"):
            found = {what: count for what, count in self.figures.items() if what.startswith(kind)}
            yield f"{kind} " + ", ".join(
                f"{what.removeprefix(kind).strip()} {count}" for what, count in sorted(found.items())
            )
        yield f"violations: {sum(len(each.violations) for each in self.failing)} in {len(self.failing)} seeds"


def run_many(first: int, count: int, *, jobs: int, seconds_max: float | None = None) -> Summary:
    """Run many seeds.

    Args:
        first: The first seed; the others follow it.
        count: How many.
        jobs: How many processes run them.
        seconds_max: Seconds after which no more are begun.
    """
    summary = Summary()
    begun = time.monotonic()
    batches = [range(at, min(at + _TOGETHER, first + count)) for at in range(first, first + count, _TOGETHER)]

    def wanted() -> Iterator[range]:
        for batch in batches:
            late = seconds_max is not None and time.monotonic() - begun > seconds_max
            if late or len(summary.failing) >= FAILING_MAX:
                return
            yield batch

    for reports in _reports(wanted(), jobs):
        for seed, violations, figures in reports:
            summary.seeds += 1
            summary.figures.update(figures)
            if violations:
                summary.failing.append(Failing(seed, violations))
    summary.seconds = time.monotonic() - begun
    return summary


_Result = tuple[int, list[str], Counter[str]]


def _reports(batches: Iterable[range], jobs: int) -> Iterator[list[_Result]]:
    if jobs == 1:
        yield from map(run_batch, batches)
        return
    # Fresh processes: what pytest or threads of this one hold is none of theirs.
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        waiting: list[multiprocessing.pool.AsyncResult[list[_Result]]] = []
        for batch in batches:
            waiting.append(pool.apply_async(run_batch, (batch,)))
            if len(waiting) > 2 * jobs:
                yield waiting.pop(0).get()
        for result in waiting:
            yield result.get()


def run_batch(seeds: Iterable[int]) -> list[_Result]:
    """Run some seeds, in silence: faults are loud, as they should be, and a thousand of them tell nobody anything."""
    logging.disable(logging.CRITICAL)
    try:
        with unheard(), _seldom_swept():
            return [_result(simulate(seed)) for seed in seeds]
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _seldom_swept() -> Iterator[None]:
    """Look for objects that hold each other less often, and not among those that were there before."""
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _result(report: Report) -> _Result:
    return report.seed, report.violations, report.figures
