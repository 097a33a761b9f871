"""Keys of rows: texts and moments as bytes whose order is theirs."""

from datetime import UTC, datetime, timedelta
from typing import Final

SEPARATOR: Final = b"\0"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MOMENT_BYTES: Final = 8
_MOMENT_MAX: Final = 256**_MOMENT_BYTES - 1


def text_key(text: str) -> bytes:
    """Return a text as part of a key; it never holds the separator."""
    return text.replace("\0", "\ufffd").encode()


def moment_key(moment: datetime) -> bytes:
    """Return a moment as part of a key, to the microsecond."""
    return min(max((moment - _EPOCH) // _MICROSECOND, 0), _MOMENT_MAX).to_bytes(_MOMENT_BYTES, "big")


def time_key(time: str) -> bytes:
    """Return an RFC 3339 time as part of a key."""
    return moment_key(datetime.fromisoformat(time))


def offset_key(offset: int) -> bytes:
    """Return an offset as part of a key."""
    return offset.to_bytes(8, "big")


def place_key(created: str, run_id: str) -> bytes:
    """Return where a run stands among all runs: by the time it was created, then by id."""
    return time_key(created) + text_key(run_id)


def run_of_place(key: bytes) -> str:
    """Return the run's id from the end of a key that was made of a prefix without moments and a `place_key`.

    Args:
        key: What `place_key` returned.
    """
    return key[_MOMENT_BYTES:].decode()
