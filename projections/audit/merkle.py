"""Merkle trees: hashes as RFC 6962 has them, over the records of a range and over the ranges of a partition.

A range's tree is RFC 6962's: `SHA-256(0x00 || leaf)` and `SHA-256(0x01 || left || right)`, split at the largest power
of two below the number of leaves. The tree over a partition's ranges also sums up how many fences they hold, in every
node: `SHA-256(0x01 || left || right || fences left || fences right)`, numbers as 8 bytes, big-endian. So two proofs
of inclusion show how many fences stand between two places, and a bundle cannot leave one out. A partition's root is
`SHA-256(0x02 || [identity, topic, partition, partitions, ranges, fences] as JSON || top)`.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple, TypeVar

from engine.log.port import LogRecord
from projections.audit.wire import canonical

_T = TypeVar("_T")

EMPTY = sha256(b"").digest()
"""The root of nothing."""


def record_form(record: LogRecord) -> bytes:
    """Return the one byte form of a record, which is what is hashed.

    Offset and timestamp as 8 bytes, the lengths of key, headers and value as 4 bytes each, all big-endian; then
    the key in UTF-8, the headers as JSON without blanks, sorted by name, and the value.
    """
    key = record.key.encode()
    headers = canonical(record.headers)
    value = record.value
    return b"".join(
        (
            record.offset.to_bytes(8, "big"),
            record.timestamp.to_bytes(8, "big", signed=True),
            len(key).to_bytes(4, "big"),
            len(headers).to_bytes(4, "big"),
            len(value).to_bytes(4, "big"),
            key,
            headers,
            value,
        )
    )


def leaf_hash(form: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\0" + form).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def levels_of(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Return all levels of the tree over hashes of leaves, from the leaves to the root."""
    levels = [list(leaves)]
    # Pairing from the left and carrying an odd one up gives RFC 6962's tree.
    while len(level := levels[-1]) > 1:
        odd = level[-1:] if len(level) % 2 else []
        levels.append([_node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)] + odd)
    return levels


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over hashes of leaves."""
    return levels_of(leaves)[-1][0] if leaves else EMPTY


def proof_of(levels: Sequence[Sequence[_T]], index: int) -> list[_T]:
    """Return the proof that a leaf is in the tree: the siblings on its way to the root, from the bottom."""
    proof: list[_T] = []
    for level in levels[:-1]:
        if index ^ 1 < len(level):
            proof.append(level[index ^ 1])
        index //= 2
    return proof


def root_from(leaf: bytes, index: int, count: int, proof: Sequence[bytes]) -> bytes | None:
    """Return the root that a proof leads to, or None when it is no proof for this place in a tree of this size."""
    if not 0 <= index < count:
        return None
    siblings = iter(proof)
    found, last = leaf, count - 1
    while last:
        if index ^ 1 <= last:
            sibling = next(siblings, None)
            if sibling is None:
                return None
            found = _node(sibling, found) if index % 2 else _node(found, sibling)
        index //= 2
        last //= 2
    return found if next(siblings, None) is None else None


class Leaf(NamedTuple):
    """A record's hash, with its place and key."""

    offset: int
    key: str
    hash: bytes


class Sum(NamedTuple):
    """A node of the tree over ranges.

    Attributes:
        hash: Its hash.
        fences: How many fences stand below it.
    """

    hash: bytes
    fences: int


class Range(NamedTuple):
    """A stretch of a partition, from a multiple of the range's size on.

    Attributes:
        start: The first offset.
        end: The offset behind the last one.
        fences: How many of its records are fences.
        root: The root over its records.
    """

    start: int
    end: int
    fences: int
    root: bytes


def range_leaf(stretch: Range) -> Sum:
    """Return a range as a leaf of the tree over ranges."""
    numbers = b"".join(number.to_bytes(8, "big") for number in (stretch.start, stretch.end, stretch.fences))
    return Sum(sha256(b"\0" + numbers + stretch.root).digest(), stretch.fences)


def _sum(left: Sum, right: Sum) -> Sum:
    counts = left.fences.to_bytes(8, "big") + right.fences.to_bytes(8, "big")
    return Sum(sha256(b"\1" + left.hash + right.hash + counts).digest(), left.fences + right.fences)


def sums_of(ranges: Sequence[Range]) -> list[list[Sum]]:
    """Return all levels of the tree over ranges, from the ranges to its top."""
    levels = [[range_leaf(stretch) for stretch in ranges]]
    while len(level := levels[-1]) > 1:
        odd = level[-1:] if len(level) % 2 else []
        levels.append([_sum(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)] + odd)
    return levels


class Place(NamedTuple):
    """Which partition a root is of: the log's identity, the topic, the partition's number and how many there are."""

    identity: str
    topic: str
    partition: int
    partitions: int


def partition_root(place: Place, ranges: Sequence[Range]) -> bytes:
    """Return the root of a partition: over its ranges, their number and what partition it is."""
    return _topped(place, len(ranges), sums_of(ranges)[-1][0] if ranges else Sum(EMPTY, 0))


def _topped(place: Place, count: int, top: Sum) -> bytes:
    # Without the number of ranges a proof would hold in trees of several sizes.
    head = canonical([*place, count, top.fences])
    return sha256(b"\2" + head + top.hash).digest()


class Proved(NamedTuple):
    """What a proof about a range shows.

    Attributes:
        root: The partition's root that it leads to.
        before: How many fences stand in the ranges before it.
    """

    root: bytes
    before: int


def prove_range(place: Place, stretch: Range, index: int, count: int, proof: Sequence[Sum]) -> Proved | None:
    """Return what a proof shows, or None when it is no proof for this place in a tree of this size."""
    if not 0 <= index < count:
        return None
    siblings = iter(proof)
    found, before, last = range_leaf(stretch), 0, count - 1
    while last:
        if index ^ 1 <= last:
            sibling = next(siblings, None)
            if sibling is None:
                return None
            if index % 2:
                before += sibling.fences
                found = _sum(sibling, found)
            else:
                found = _sum(found, sibling)
        index //= 2
        last //= 2
    return Proved(_topped(place, count, found), before) if next(siblings, None) is None else None
