from collections import Counter

import pytest

from engine.log.partitioner import murmur2, partition_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_murmur2_is_what_the_java_client_has(text: str, expected: int) -> None:
    assert murmur2(text.encode()) == expected


def test_a_negative_hash_is_made_positive_by_its_sign_bit_alone() -> None:
    assert partition_of("21", 12) == (-973932308 & 0x7FFFFFFF) % 12
    assert partition_of("abc", 12) == 479470107 % 12


def test_text_is_hashed_as_utf_8() -> None:
    assert partition_of("ключ", 1000) == (murmur2("ключ".encode()) & 0x7FFFFFFF) % 1000


def test_ids_spread_evenly() -> None:
    counts = Counter(partition_of(f"0193e4a8-7d52-7c5e-9f0a-{number:012x}", 12) for number in range(12_000))
    assert set(counts) == set(range(12))
    assert max(counts.values()) < 1.2 * min(counts.values())
