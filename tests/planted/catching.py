"""Catching: a bug is hunted until a checker says that something is wrong."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Final, NamedTuple

from tests.checkers import Violation
from tests.planted.followings import FOLLOWINGS
from tests.planted.planting import Bug, planted
from tests.planted.scenes import SCENES, play
from tests.planted.scripts import SCRIPTS
from tests.simulation.remains import unheard
from tests.simulation.simulate import simulate

STORM: Final = "storm"
_SCRIPTS: Final = {script.__name__.replace("_", "-"): script for script in SCRIPTS}
_SCENES: Final = {scene.__name__.replace("_", "-"): scene for scene in (*SCENES, *FOLLOWINGS)}
SCENARIOS: Final = (*_SCRIPTS, *_SCENES)


class Catch(NamedTuple):
    """How a bug was caught.

    Attributes:
        checkers: Which checkers said that something is wrong; `simulation` when the simulation itself did.
        seeds: How many seeds it took.
        text: What the first of them said.
    """

    checkers: tuple[str, ...]
    seeds: int
    text: str


def catch(bug: Bug, first: int) -> Catch | None:
    """Hunt a bug on the seeds from `first` on; return None when it is not caught within as many as it says.

    A seed catches a bug when something is wrong with it, and nothing without it.
    """
    with unheard():
        for count in range(bug.within):
            found = violations_with(bug, first + count)
            if found and not violations_of(bug.hunt, first + count):
                # A checker says more than a run that does not end.
                found.sort(key=lambda violation: not violation.promise)
                return Catch(tuple(dict.fromkeys(each.checker for each in found)), count + 1, found[0].text)
    return None


def violations_with(bug: Bug, seed: int) -> list[Violation]:
    """Return what the checkers say of one seed of a bug's hunt."""
    with planted(bug):
        return violations_of(bug.hunt, seed)


def violations_of(hunt: str, seed: int) -> list[Violation]:
    """Return what the checkers say of one seed: nothing, unless there is a bug."""
    with _quiet():
        try:
            if hunt == STORM:
                return [_read(text) for text in simulate(seed).violations]
            return _SCRIPTS[hunt]() if hunt in _SCRIPTS else play(_SCENES[hunt], seed)
        except Exception as error:  # noqa: BLE001 - a bug may break anything, and that is seen, too
            return [Violation(0, "simulation", repr(error))]


def _read(text: str) -> Violation:
    """Return a violation from its text; what is no checker's is the simulation's."""
    promise, _, rest = text.partition(", ")
    checker, _, what = rest.partition(": ")
    if promise.startswith("promise ") and promise[8:].isdecimal():
        return Violation(int(promise[8:]), checker, what)
    return Violation(0, "simulation", text)


def table(bugs: Sequence[Bug], caught: Sequence[Sequence[Catch]]) -> Iterator[str]:
    """Yield the lines of the document's table.

    Args:
        bugs: The bugs.
        caught: How each was caught, from one start or several.
    """
    yield "| bug | the mistake | hunted in | caught by | after seeds | at most |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for bug, catches in zip(bugs, caught, strict=True):
        hunt = "storms" if bug.hunt == STORM else bug.hunt.replace("-", " ")
        checkers = sorted({checker for each in catches for checker in each.checkers})
        by = ", ".join(f"`{checker}`" for checker in checkers)
        least, most = min(each.seeds for each in catches), max(each.seeds for each in catches)
        seeds = f"{least}" if least == most else f"{least} to {most}"
        yield f"| `{bug.name}` | {bug.stands_for} | {hunt} | {by} | {seeds} | {bug.within} |"


@contextmanager
def _quiet() -> Iterator[None]:
    """Faults are loud, as they should be; a thousand of them tell nobody anything."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logging.disable(before)
