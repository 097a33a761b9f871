"""What killed processes leave behind: coroutines in the middle of something, or not even begun."""

import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_OBJECTS: Final = 50_000
"""New objects after which those that are held in circles are looked for."""


@contextmanager
def unheard() -> Iterator[None]:
    """Let nobody hear what is left behind when it is swept up, which is at the end of this at the latest.

    Within another one nothing is swept: it takes longer than some worlds.
    """
    hook = sys.unraisablehook
    if hook is _hear_nothing:
        yield
        return
    sys.unraisablehook = _hear_nothing
    thresholds = gc.get_threshold()
    # Neither what was there before nor what a world holds is worth looking through again and again.
    gc.freeze()
    gc.set_threshold(_OBJECTS, *thresholds[1:])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            finally:
                gc.collect()
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        sys.unraisablehook = hook


def _hear_nothing(unraisable: object) -> None:
    """Stand for whoever listens."""
