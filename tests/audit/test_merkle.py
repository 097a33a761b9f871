"""Merkle trees are those of RFC 6962, and proofs prove exactly what they are for."""

import json
from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.log.port import LogRecord
from projections.audit.merkle import (
    Place,
    Range,
    Sum,
    leaf_hash,
    levels_of,
    partition_root,
    proof_of,
    prove_range,
    record_form,
    root_from,
    root_of,
    sums_of,
)

PLACE = Place("log", "events", 1, 3)
TEXTS = st.text(max_size=20)
RECORDS = st.builds(
    LogRecord,
    st.integers(0, 2**63 - 1),
    st.integers(-1, 2**63 - 1),
    TEXTS,
    st.binary(max_size=50),
    st.dictionaries(TEXTS, TEXTS, max_size=5),
)


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """Return the root as RFC 6962, section 2.1, defines it."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + tree_hash(leaves[:split]) + tree_hash(leaves[split:])).digest()


def leaves_of(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def test_a_leaf_is_hashed_behind_a_zero() -> None:
    # The values of RFC 6962's own test data for the empty tree and the empty leaf.
    assert root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@pytest.mark.parametrize("count", [*range(20), 100, 127, 128, 129])
def test_roots_are_those_of_the_rfc_and_every_proof_leads_to_them(count: int) -> None:
    leaves = leaves_of(count)
    assert root_of(leaves) == tree_hash(leaves)
    for index, leaf in enumerate(leaves):
        proof = proof_of(levels_of(leaves), index)
        assert root_from(leaf, index, count, proof) == root_of(leaves)
        assert root_from(leaf, index + 1, count, proof) != root_of(leaves)
        assert root_from(leaf, index, count, [*proof, leaf]) is None
        assert not proof or root_from(leaf, index, count, proof[:-1]) is None


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_a_proof_about_a_range_says_how_many_fences_stand_before_it(count: int) -> None:
    ranges = [Range(n * 10, n * 10 + 10, n % 3, leaf_hash(bytes((n,)))) for n in range(count)]
    for index, stretch in enumerate(ranges):
        proof = proof_of(sums_of(ranges), index)
        proved = prove_range(PLACE, stretch, index, count, proof)
        assert proved is not None
        assert proved == (partition_root(PLACE, ranges), sum(each.fences for each in ranges[:index]))
        for other_place in (PLACE._replace(identity="x"), PLACE._replace(partition=2), PLACE._replace(partitions=4)):
            changed = prove_range(other_place, stretch, index, count, proof)
            assert changed is not None
            assert changed.root != proved.root
        for size in (count - 1, count + 1, count * 2):
            changed = prove_range(PLACE, stretch, index, size, proof)
            assert changed is None or changed.root != proved.root
        for field, value in (("start", 1), ("end", 1), ("fences", 9), ("root", bytes(32))):
            other = stretch._replace(**{field: value})  # type: ignore[arg-type]  # of its own field's type
            changed = prove_range(PLACE, other, index, count, proof)
            assert changed is None or changed.root != partition_root(PLACE, ranges)
        for at, sibling in enumerate(proof):
            lie = [*proof[:at], Sum(sibling.hash, sibling.fences + 1), *proof[at + 1 :]]
            changed = prove_range(PLACE, stretch, index, count, lie)
            assert changed is not None
            assert changed.root != partition_root(PLACE, ranges)


@given(RECORDS)
def test_the_form_of_a_record_is_what_its_documentation_says(record: LogRecord) -> None:
    key = record.key.encode()
    headers = json.dumps(
        dict(sorted(record.headers.items(), key=lambda item: item[0].encode())),
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
    lengths = b"".join(len(part).to_bytes(4, "big") for part in (key, headers, record.value))
    numbers = record.offset.to_bytes(8, "big") + record.timestamp.to_bytes(8, "big", signed=True)
    assert record_form(record) == numbers + lengths + key + headers + record.value


@given(RECORDS, RECORDS)
def test_different_records_have_different_forms(one: LogRecord, other: LogRecord) -> None:
    assert (record_form(one) == record_form(other)) == (one == other)
