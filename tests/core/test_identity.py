"""Run ids sort by the time in them."""

from hypothesis import given
from hypothesis import strategies as st

from engine.core.identity import id_floor, id_time

TIMES = st.integers(0, 2**48 - 1)


@given(TIMES, TIMES | st.integers(-(10**9), 10**3))
def test_an_id_sorts_before_a_times_floor_exactly_when_it_was_made_before_that_time(made: int, time: int) -> None:
    digits = f"{made:012x}"
    run_id = f"{digits[:8]}-{digits[8:]}-7000-8000-000000000001"
    assert id_time(run_id) == made
    assert (run_id < id_floor(time)) is (made < time)
