"""Seeds of tests that draw something else each time."""

import os
import random
from typing import Final

SEED: Final = "RUNLINE_SEED"
"""The environment variable that gives the seed; without it there is a fresh one each time."""


def drawn_seed() -> int:
    """Return the seed to draw from, and print the setting that gives the same one again: pytest shows it on failure.

    The same seed draws the same times; what they hit differs, because real machines do.
    """
    given = os.environ.get(SEED)
    if given is not None and not given.isdecimal():
        raise ValueError(f"expected a number as {SEED}, but found {given!r}")
    seed = random.randrange(2**32) if given is None else int(given)
    print(f"{SEED}={seed}")
    return seed
