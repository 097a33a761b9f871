"""Plants every bug, prints how it was caught, and writes the table of `docs/guarantees.md` anew.

    python -m tests.planted [--measure STARTS]

With `--measure` it prints how many seeds of each hunt caught the bug, of so many.
"""

import argparse
import random
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.planted.bugs import BUGS
from tests.planted.catching import STORM, Catch, catch, table, violations_with

PAGE: Final = Path(__file__).parents[2] / "docs" / "guarantees.md"
BEGINNING: Final = "<!-- python -m tests.planted writes from here -->"
END: Final = "<!-- to here -->"
_STARTS: Final = 5
"""From how many seeds on bugs are hunted whose hunts depend on seeds."""


def main() -> None:
    """Hunt all bugs."""
    arguments = argparse.ArgumentParser(prog="python -m tests.planted")
    arguments.add_argument("--measure", type=int, metavar="STARTS")
    arguments.add_argument("bugs", nargs="*")
    given = arguments.parse_args()
    bugs = [bug for bug in BUGS if not given.bugs or bug.name in given.bugs]
    first = random.randrange(2**31)
    print(f"seed {first}")
    if given.measure:
        for bug in bugs:
            begun = time.monotonic()
            seeds = [violations_with(bug, first + number) for number in range(given.measure)]
            by = Counter(checker for each in seeds for checker in {violation.checker for violation in each})
            hits, seconds = sum(map(bool, seeds)), time.monotonic() - begun
            print(f"{bug.name}: {hits} of {given.measure} seeds, {seconds:.1f} s, {dict(by)}", flush=True)
        return
    caught: list[list[Catch]] = []
    for bug in bugs:
        starts = _STARTS if bug.hunt == STORM else 1
        found = [catch(bug, first + start * bug.within) for start in range(starts)]
        assert None not in found, f"{bug.name} was not caught within {bug.within} seeds, from {first} on"
        caught.append([each for each in found if each is not None])
        for each in caught[-1]:
            print(f"{bug.name}: {', '.join(each.checkers)}, {each.seeds} seeds: {each.text[:200]}", flush=True)
    if not given.bugs:
        before, _, rest = PAGE.read_text().partition(BEGINNING)
        _, _, after = rest.partition(END)
        PAGE.write_text("\n".join((before + BEGINNING, *table(bugs, caught), END)) + after)


if __name__ == "__main__":
    main()
