"""What killed processes leave behind: coroutines in the middle of something, or not even begun."""

import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            finally:
                gc.collect()
    finally:
        sys.unraisablehook = hook


def _hear_nothing(unraisable: object) -> None:
    """Stand for whoever listens."""
