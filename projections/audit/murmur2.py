"""Which partition a key belongs to: murmur2 as the Java client's default partitioner has it, written down once more."""

import struct
from typing import Final

_SEED: Final = 0x9747B28C
_FACTOR: Final = 0x5BD1E995
_32_BITS: Final = 0xFFFFFFFF
_31_BITS: Final = 0x7FFFFFFF


def home(key: str, partitions: int) -> int:
    """Return the partition, from 0, that a key belongs to among this many."""
    if partitions == 1:
        return 0
    data = key.encode()
    words, rest = divmod(len(data), 4)
    state = _SEED ^ len(data)
    for word in struct.unpack_from(f"<{words}I", data):
        mixed = word * _FACTOR & _32_BITS
        mixed = (mixed ^ mixed >> 24) * _FACTOR & _32_BITS
        state = state * _FACTOR & _32_BITS ^ mixed
    if rest:
        state = (state ^ int.from_bytes(data[4 * words :], "little")) * _FACTOR & _32_BITS
    state = (state ^ state >> 13) * _FACTOR & _32_BITS
    return ((state ^ state >> 15) & _31_BITS) % partitions
