"""A look at RocksDB's list of tables before RocksDB reads it: one flipped bit in it lets RocksDB read for ever."""

import struct
from pathlib import Path
from typing import Final

from engine.store.errors import StoreDamagedError

_BLOCK_BYTES: Final = 32 * 1024
_HEADER: Final = struct.Struct("<IHB")
"""Of each record: its checksum, its length in bytes, its type."""
_RECYCLED: Final = range(5, 9)
"""Types of records in files that are used again, which lists of tables never are. RocksDB 10 loops over one of them."""


def check_manifest(directory: Path) -> None:
    """Require that a store's list of tables has no record that RocksDB would not get past.

    All other damage is left to RocksDB, which notices it by the checksums.

    Args:
        directory: The store's; where it has no list, there is nothing to look at.

    Raises:
        StoreDamagedError: There is one.
    """
    try:
        name = (directory / "CURRENT").read_text(encoding="ascii").strip()
        data = (directory / Path(name).name).read_bytes()
    except (OSError, ValueError):
        return
    place = 0
    while place + _HEADER.size <= len(data):
        left = _BLOCK_BYTES - place % _BLOCK_BYTES
        if left < _HEADER.size:
            place += left
            continue
        _, length, kind = _HEADER.unpack_from(data, place)
        if kind in _RECYCLED:
            raise StoreDamagedError(f"the store {directory} is damaged: {name} has a record of type {kind} at {place}.")
        if not kind:
            return
        place += _HEADER.size + length
