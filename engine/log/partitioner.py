"""Which partition a key belongs to: murmur2, as the Java client's default partitioner has it."""

from functools import lru_cache
from typing import Final

_SEED: Final = 0x9747B28C
_MULTIPLIER: Final = 0x5BD1E995
_ROTATION: Final = 24
_WORD: Final = 0xFFFFFFFF
_SIGN: Final = 0x80000000
_REMEMBERED: Final = 16_384
"""Keys whose partitions are remembered: one run's is asked for several times within moments."""


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 hash as a signed integer, as Java prints it."""
    length = len(data)
    whole = length & ~3
    result = _SEED ^ length
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _MULTIPLIER & _WORD
        word = (word ^ word >> _ROTATION) * _MULTIPLIER & _WORD
        result = result * _MULTIPLIER & _WORD ^ word
    if whole != length:
        result = (result ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _WORD
    result = (result ^ result >> 13) * _MULTIPLIER & _WORD
    result ^= result >> 15
    return result - ((result & _SIGN) << 1)


@lru_cache(maxsize=_REMEMBERED)
def partition_of(key: str, partitions: int) -> int:
    """Return the partition, from 0, that a key belongs to among this many."""
    if partitions == 1:
        return 0
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
