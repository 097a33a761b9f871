"""Run ids: UUIDs of version 7, which carry the time they were made."""

import re
from typing import Final

RUN_ID_PATTERN: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
_RUN_ID = re.compile(RUN_ID_PATTERN)


def is_run_id(text: str) -> bool:
    """Return whether the text is a run id: a UUID of version 7 in lower case."""
    return _RUN_ID.fullmatch(text) is not None


def make_run_id(milliseconds: int, bits: int) -> str:
    """Return a run id from the time it is made, in milliseconds since 1970 UTC, and 74 random bits."""
    number = (milliseconds << 80) | (0x7 << 76) | ((bits >> 62) << 64) | (0b10 << 62) | (bits & 0x3FFF_FFFF_FFFF_FFFF)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def id_time(run_id: str) -> int:
    """Return the time in a run id, in milliseconds since 1970 UTC."""
    return int(run_id[:8] + run_id[9:13], 16)


def id_floor(time: int) -> str:
    """Return the text that sorts before all run ids of a time, in milliseconds since 1970 UTC, or later ones.

    The time stands first in an id, so ids sort by it: comparing texts is much cheaper than reading times out of them.
    """
    digits = f"{max(time, 0):012x}"
    return f"{digits[:8]}-{digits[8:]}"


def trace_id(run_id: str, number: int) -> str:
    """Return the id of a run's trace: the run's id and the trace's number in it, from 1."""
    return f"{run_id}.{number}"
