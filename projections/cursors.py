"""Cursors: where the next page of a list begins, as a text that is taken only as it was given out."""

import base64
import binascii
import zlib
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import orjson

from projections.errors import CursorError

_CHARACTERS_MAX: Final = 1_000
_FORM: Final = b"\x02"
"""How a cursor begins: never with a hyphen, which a command line would take for an option's."""
_DIGEST_BYTES: Final = 8
_CHECKSUM_BYTES: Final = 4
_FIRST_PAGE: Final = "Begin with the first page."


def make_cursor(place: bytes, of: Sequence[object]) -> str:
    """Return the cursor of the page behind a place in a list.

    Args:
        place: The place.
        of: What tells this list from all others, such as its filters; JSON data.
    """
    data = _FORM + _digest(of) + place
    return _text(data + _checksum(data))


def read_cursor(cursor: object, of: Sequence[object]) -> bytes:
    """Return the place behind which a page begins.

    Args:
        cursor: What `make_cursor` returned.
        of: What tells this list from all others.

    Raises:
        CursorError: It is none, or was changed or cut; or it is one of another list.
    """
    data = _data(cursor)
    whole, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    # The same bytes can be written in several ways, of which one was given out.
    if whole[:1] != _FORM or checksum != _checksum(whole) or _text(data) != cursor:
        raise CursorError(f"Expected a cursor exactly as a page gave it, but found {cursor!r:.80}.", hint=_FIRST_PAGE)
    digest, place = whole[1 : 1 + _DIGEST_BYTES], whole[1 + _DIGEST_BYTES :]
    if digest != _digest(of):
        raise CursorError(
            f"Expected a cursor of a list with the same filters, but {cursor!r:.80} is of another one.",
            hint=_FIRST_PAGE,
        )
    return place


def _data(cursor: object) -> bytes:
    """Return the bytes that a text stands for, or none where it stands for nothing."""
    if not isinstance(cursor, str) or len(cursor) > _CHARACTERS_MAX:
        return b""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _digest(of: Sequence[object]) -> bytes:
    return sha256(orjson.dumps(of)).digest()[:_DIGEST_BYTES]


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "big")
