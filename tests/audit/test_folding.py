"""What the audit has written down a second time comes to the same as the engine's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context.changes import apply, difference
from engine.context.values import WireObject
from engine.core.identity import is_run_id as engine_is_run_id
from engine.log.partitioner import partition_of
from projections.audit.murmur2 import home
from projections.audit.shape import is_run_id
from projections.audit.wire import ChangeError, changed, same

NAMES = st.sampled_from(["a", "b", "c.d", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text(max_size=3)
    | st.just({"$type": "decimal", "value": "1.5"}),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)


@given(OBJECTS, OBJECTS)
def test_changes_make_the_same_context(before: WireObject, after: WireObject) -> None:
    changes = difference(before, after)
    kept = repr(before)
    found = changed(before, changes)  # type: ignore[arg-type]  # a wire object is one
    assert same(found, apply(before, changes))
    assert same(found, after)
    assert repr(before) == kept, "the given context stays as it is"


@pytest.mark.parametrize(
    "change",
    [
        {"op": "remove", "path": ["x"]},
        {"op": "remove", "path": []},
        {"op": "remove", "path": ["list", 2]},
        {"op": "remove", "path": ["list", True]},
        {"op": "remove", "path": ["typed", "value"]},
        {"op": "set", "path": ["list", 3], "value": 1},
        {"op": "set", "path": ["list", -1], "value": 1},
        {"op": "set", "path": ["list", "x"], "value": 1},
        {"op": "set", "path": ["typed", "value"], "value": 1},
        {"op": "set", "path": ["$type"], "value": 1},
        {"op": "set", "path": ["number", "x"], "value": 1},
        {"op": "set", "path": [], "value": [1]},
        {"op": "set", "path": "x", "value": 1},
        {"op": "set", "path": ["x"]},
        {"op": "move", "path": ["x"], "value": 1},
        {},
        "x",
    ],
    ids=str,
)
def test_changes_that_do_not_fit_are_refused(change: object) -> None:
    context: dict[str, object] = {"list": [1, 2], "number": 1, "typed": {"$type": "decimal", "value": "1"}}
    with pytest.raises(ChangeError):
        changed(context, [change])


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, True), (0.0, -0.0), ("1", 1), ([], {}), (None, False)])
def test_values_that_python_takes_for_the_same_are_not_the_same_on_the_log(one: object, other: object) -> None:
    assert not same(one, other)
    assert same({"a": 1, "b": one}, {"b": one, "a": 1})


@given(st.text(max_size=60), st.integers(1, 50))
def test_a_key_has_the_same_partition(key: str, partitions: int) -> None:
    assert home(key, partitions) == partition_of(key, partitions)


@given(st.uuids() | st.text(max_size=36))
def test_a_run_id_is_one_for_both(text: object) -> None:
    assert is_run_id(str(text)) == engine_is_run_id(str(text))
