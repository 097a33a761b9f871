"""Keys of rows for people, and the runs that rows belong to."""

from datetime import UTC, datetime, timedelta
from typing import Final

from projections.ended import FAMILY as ENDED
from projections.keys import SEPARATOR
from projections.runs import INDEX_FAMILY
from projections.runs import ROWS_FAMILY as RUNS_FAMILY
from projections.traces import COMMITS_FAMILY
from projections.work import ROWS_FAMILY as WORK_FAMILY

_NUMBER_BYTES: Final = 8
_VALUES: Final = {"all": 0, "workflow status": 2, "workflow error": 2}
"""How many values stand behind the first word of an index key; behind all other words there is one."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def run_of(family: str, key: bytes) -> str | None:
    """Return the run that a row belongs to, or None where it belongs to none."""
    if family in {RUNS_FAMILY, ENDED}:
        return _text(key)
    if family == COMMITS_FAMILY:
        return _text(key.partition(SEPARATOR)[0])
    if family == INDEX_FAMILY:
        return _text(_index_words(key)[1][_NUMBER_BYTES:])
    return _text(key[_NUMBER_BYTES : -_NUMBER_BYTES - 1]) if family == WORK_FAMILY else None


def key_text(family: str, key: bytes) -> str:
    """Return a key as people can read it."""
    if family == INDEX_FAMILY:
        words, place = _index_words(key)
        return " ".join([*map(_text, words), _moment(place[:_NUMBER_BYTES]), _text(place[_NUMBER_BYTES:])])
    if family == COMMITS_FAMILY:
        run, _, offset = key.partition(SEPARATOR)
        return f"{_text(run)} offset {int.from_bytes(offset, 'big')}"
    if family == WORK_FAMILY:
        trace = int.from_bytes(key[-_NUMBER_BYTES:], "big")
        return f"{_moment(key[:_NUMBER_BYTES])} {run_of(family, key)} trace {trace}"
    return " ".join(map(_text, key.split(SEPARATOR)))


def _index_words(key: bytes) -> tuple[list[bytes], bytes]:
    """Return what an index key finds runs by, and the place behind it, in which a separator may be part of a time."""
    first = key.partition(SEPARATOR)[0]
    parts = key.split(SEPARATOR, _VALUES.get(_text(first), 1) + 1)
    return parts[:-1], parts[-1]


def _moment(key: bytes) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=int.from_bytes(key, "big"))).isoformat()
    except OverflowError:
        return key.hex()


def _text(key: bytes) -> str:
    return key.decode(errors="backslashreplace")
