import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context import ContextCountError, ContextDepthError, ContextSizeError
from engine.context.draft import Draft
from engine.context.excerpt import excerpt
from engine.context.paths import remove_at, set_at
from engine.context.scales import Scales
from engine.context.values import Wire, WireObject
from engine.limits import DRAFT_BYTES_MAX, DRAFT_DEPTH_MAX, DRAFT_VALUES_MAX
from engine.meter import Meter
from tests.context.strategies import wire_objects


def doubled(times: int) -> Wire:
    value: Wire = "x"
    for _ in range(times):
        value = [value, value]
    return value


def values_of(value: Wire) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    return len(value) + sum(map(values_of, value.values() if isinstance(value, dict) else value))


def depth_of(value: Wire) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(depth_of, value.values() if isinstance(value, dict) else value), default=0)


@given(wire_objects)
def test_the_scales_say_what_a_walk_finds_and_no_more_bytes_than_json_has(wire: WireObject) -> None:
    weight = Scales(Meter()).weigh(wire)
    assert (weight.values, weight.depth) == (values_of(wire), depth_of(wire))
    assert weight.bytes <= len(orjson.dumps(wire))


def test_shared_parts_are_weighed_once_and_count_as_often_as_they_stand_there() -> None:
    meter = Meter()
    weight = Scales(meter).weigh(doubled(60))
    assert (weight.values, weight.depth) == (2**61 - 2, 60)
    assert weight.bytes > 2**60
    assert meter.steps < 200


def test_what_was_weighed_is_not_looked_at_again() -> None:
    meter = Meter()
    scales = Scales(meter)
    part: Wire = [[i] for i in range(1_000)]
    scales.weigh({"a": part})
    before = meter.steps
    assert scales.weigh({"a": part, "b": part}).values == 2 + 2 * 2_000
    assert meter.steps - before < 10


def test_scales_that_have_seen_very_many_containers_forget_them() -> None:
    scales = Scales(Meter())
    for _ in range(20):
        scales.weigh([0] * 50_000)
    assert scales._known._values <= 500_000


paths = st.lists(st.sampled_from(["a", "b", 0, 1]), min_size=1, max_size=3)


@given(wire_objects, st.lists(st.tuples(paths, st.one_of(st.none(), wire_objects))))
def test_a_draft_does_what_setting_and_removing_do(
    context: WireObject, changes: list[tuple[list[str | int], WireObject | None]]
) -> None:
    draft, plain, before = Draft(context, Meter()), context, orjson.dumps(context)
    for path, value in changes:
        if value is None:
            draft.remove(path)
            plain = remove_at(plain, path)
            continue
        try:
            plain = set_at(plain, path, value)
        except ValueError:
            raise
        except Exception as error:  # noqa: BLE001 - whichever it is, the draft raises it too
            with pytest.raises(type(error)):
                draft.set(path, value)
        else:
            draft.set(path, value)
    assert draft.context == plain
    assert orjson.dumps(context) == before


def test_a_draft_is_refused_at_its_limits() -> None:
    draft = Draft({}, Meter())
    text = "x" * (DRAFT_BYTES_MAX // 4)
    for name in "abc":
        draft.set([name], text)
    with pytest.raises(ContextSizeError, match="524,288 bytes"):
        draft.set(["d"], text)
    draft = Draft({}, Meter())
    for name in "abc":
        draft.set([name], [0] * (DRAFT_VALUES_MAX // 4))
    with pytest.raises(ContextCountError, match="200,000 values"):
        draft.set(["d"], [0] * (DRAFT_VALUES_MAX // 4))
    draft = Draft({}, Meter())
    deepest: Wire = 1
    for _ in range(DRAFT_DEPTH_MAX - 1):
        deepest = [deepest]
    draft.set(["a"], deepest)
    with pytest.raises(ContextDepthError, match="128 containers"):
        draft.set(["a", "b"], deepest)


@given(wire_objects, st.integers(0, 200))
def test_an_excerpt_is_the_beginning_of_the_text(wire: WireObject, characters: int) -> None:
    assert excerpt(wire, characters) == str(wire)[:characters]
    for value in wire.values():
        assert excerpt(value, characters) == str(value)[:characters]


def test_an_excerpt_of_shared_parts_reads_no_more_than_it_shows() -> None:
    assert excerpt(doubled(60), 100) == ("[" * 60 + "'x', 'x'], ['x', 'x']], [['x', 'x'], ['x'")[:100]
    assert excerpt([len], 100) == "[an expression reference (&)]"
