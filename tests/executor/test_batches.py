"""Batches: all pieces, in order, a few at a time."""

from engine.executor.batches import batches


def test_pieces_come_in_order_a_few_at_a_time() -> None:
    found = [list(some) for some in batches(range(35))]
    assert [piece for some in found for piece in some] == list(range(35))
    assert [len(some) for some in found] == [16, 16, 3]
    assert list(batches([])) == []
