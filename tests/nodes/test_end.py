import pytest
from pydantic import ValidationError

from engine.context.values import WireObject
from engine.limits import NODE_ITEMS_MAX
from engine.nodes.end import End
from engine.nodes.node_type import Ended, Failed, Step


def decide(context: WireObject, *mappings: object) -> Step:
    node = End()
    return node.decide(node.configure({"mappings": list(mappings)}), context)


def test_without_mappings_the_context_is_the_output() -> None:
    context: WireObject = {"a": {"b": 1}}
    step = decide(context)
    assert isinstance(step, Ended)
    assert step.output is context


def test_mappings_make_a_new_output() -> None:
    context: WireObject = {"a": {"b": [1, 2]}, "c": 3}
    step = decide(context, {"from": "a.b[1]", "to": "x.y"}, {"from": "a", "to": "x.z"})
    assert step == Ended({"x": {"y": 2, "z": {"b": [1, 2]}}})
    assert context == {"a": {"b": [1, 2]}, "c": 3}


def test_missing_paths_are_skipped_and_counted() -> None:
    step = decide({"a": 1}, {"from": "b", "to": "x"}, {"from": "a", "to": "y"}, {"from": "c.d", "to": "z"})
    assert step == Ended({"y": 1}, "2 of 3 mappings skipped, nothing stands at: b, c.d")


def test_a_null_is_a_value_and_is_mapped() -> None:
    assert decide({"a": None}, {"from": "a", "to": "x"}) == Ended({"x": None})


def test_a_target_inside_a_scalar_fails_the_node() -> None:
    step = decide({"a": 1}, {"from": "a", "to": "x"}, {"from": "a", "to": "x.y"})
    assert isinstance(step, Failed)
    assert step.type == "mapping_failed"
    assert "'a' to 'x.y'" in step.message


@pytest.mark.parametrize(
    "mapping", [{"from": "a"}, {"from": "a", "to": ""}, {"from": "a[", "to": "b"}, {"source": "a", "to": "b"}]
)
def test_a_wrong_mapping_is_refused(mapping: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        End().configure({"mappings": [mapping]})


def test_a_target_given_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="in mappings 0 and 1"):
        End().configure({"mappings": [{"from": "a", "to": "x"}, {"from": "b", "to": "x"}]})


def test_an_end_has_no_outputs() -> None:
    assert End().outputs(End().configure({})) == ()


def test_an_output_that_grows_without_bound_fails_before_it_is_walked() -> None:
    step = decide({"a": "x" * 200_000}, *({"from": "a", "to": f"b{i}"} for i in range(NODE_ITEMS_MAX)))
    assert isinstance(step, Failed)
    assert step.type == "context_size"
    assert step.message.startswith("cannot map 'a' to 'b2': expected at most 524,288 bytes")


def test_the_number_of_mappings_is_limited() -> None:
    mappings = [{"from": "a", "to": f"b{i}"} for i in range(NODE_ITEMS_MAX + 1)]
    assert isinstance(decide({}, *mappings[:-1]), Ended)
    with pytest.raises(ValidationError, match=f"at most {NODE_ITEMS_MAX}"):
        decide({}, *mappings)
