"""The plans of faults: from a seed alone, with every kind of fault in some of them, and rests in between."""

from itertools import pairwise

from tests.chaos.faults import FOR_BROKERS, FOR_EXECUTORS, Fault, draw

SECONDS = 60.0
SEEDS = range(200)


def test_a_seed_draws_the_same_plan_each_time_in_the_order_of_time() -> None:
    for seed in SEEDS:
        plan = draw(seed, SECONDS)
        assert plan == draw(seed, SECONDS) == sorted(plan)
        assert all(0 <= act.at < SECONDS for act in plan)
    assert draw(1, SECONDS) != draw(2, SECONDS)


def test_every_kind_of_fault_is_in_some_plans_and_missing_in_others() -> None:
    plans = [{act.fault for act in draw(seed, SECONDS)} for seed in SEEDS]
    for fault in Fault:
        assert 0 < sum(fault in plan for plan in plans) < len(plans), fault


def test_what_a_plan_does_to_executors_and_brokers_rests_at_times() -> None:
    for seed in SEEDS:
        plan = draw(seed, 10 * SECONDS)
        assert {act.fault for act in plan} & set(FOR_EXECUTORS)
        assert {act.fault for act in plan} & set(FOR_BROKERS)
        beginnings = [0.0, *(act.at for act in plan)]
        assert max(later - sooner for sooner, later in pairwise(beginnings)) > 5.0


def test_a_plan_of_some_kinds_has_no_others() -> None:
    only = (Fault.KILL_BROKER, Fault.CUT_PATH)
    assert {act.fault for seed in SEEDS for act in draw(seed, SECONDS, only)} == set(only)
