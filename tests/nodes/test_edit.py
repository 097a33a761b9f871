import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.context.changes import apply
from engine.context.values import Wire, WireObject
from engine.nodes.edit import Edit
from engine.nodes.node_type import Done, Failed, Step

DECIMAL: Wire = {"$type": "decimal", "value": "1.50"}


def decide(context: WireObject, **configuration: object) -> Step:
    node = Edit()
    return node.decide(node.configure(configuration), context)


def edited(context: WireObject, **configuration: object) -> WireObject:
    step = decide(context, **configuration)
    assert isinstance(step, Done), step
    return apply(context, step.changes)


def test_moves_copies_sets_and_deletes_happen_in_this_order() -> None:
    assert edited(
        {"a": 1, "b": 2},
        delete=["c", "copied"],
        set=[{"path": "c", "value": 9}, {"path": "sum", "expression": "sum([moved, copied])"}],
        copy=[{"from": "moved", "to": "copied"}],
        move=[{"from": "a", "to": "moved"}],
    ) == {"b": 2, "moved": 1, "sum": 2}


def test_a_setting_sees_the_settings_before_it() -> None:
    settings = [{"path": "a", "value": [1, 2]}, {"path": "n", "expression": "length(a)"}]
    assert edited({}, set=settings) == {"a": [1, 2], "n": 2}


def test_literals_keep_their_types_and_null_is_one() -> None:
    settings = [{"path": "a", "value": DECIMAL}, {"path": "b", "value": None}, {"path": "c", "value": {"x": [1.0]}}]
    assert edited({}, set=settings) == {"a": DECIMAL, "b": None, "c": {"x": [1.0]}}


def test_a_selected_value_keeps_its_type() -> None:
    assert edited({"a": DECIMAL}, set=[{"path": "b", "expression": "a"}]) == {"a": DECIMAL, "b": DECIMAL}


def test_a_value_can_move_into_its_own_place() -> None:
    assert edited({"a": 1}, move=[{"from": "a", "to": "a.b"}]) == {"a": {"b": 1}}
    assert edited({"a": {"b": 1}}, move=[{"from": "a.b", "to": "a"}]) == {"a": 1}
    assert edited({"a": [1, 2, 3]}, move=[{"from": "a[0]", "to": "a[2]"}]) == {"a": [2, 3, 1]}


def test_a_copy_does_not_follow_its_source() -> None:
    settings = [{"path": "b.x", "value": 2}]
    assert edited({"a": {"x": 1}}, copy=[{"from": "a", "to": "b"}], set=settings) == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize("verb", ["move", "copy"])
def test_a_missing_source_fails_the_node_unless_it_is_optional(verb: str) -> None:
    step = decide({"a": 1}, **{verb: [{"from": "x.y", "to": "b"}]})
    assert step == Failed("edit_failed", f"cannot {verb} 'x.y' to 'b': expected a value at 'x.y', found nothing")
    assert edited({"a": 1}, **{verb: [{"from": "x.y", "to": "b", "optional": True}]}) == {"a": 1}


def test_deleting_what_is_not_there_is_no_change() -> None:
    assert decide({"a": 1}, delete=["b", "a.b", "c[3]"]) == Done([])


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"path": "a.b", "value": 1}, "cannot set 'a.b'"),
        ({"path": "l[5]", "value": 1}, "cannot set 'l[5]'"),
        ({"path": "x", "expression": "abs('text')"}, "abs() expects number"),
    ],
)
def test_a_setting_that_is_impossible_fails_the_node(setting: dict[str, object], problem: str) -> None:
    step = decide({"a": 1, "l": [1]}, set=[setting])
    assert isinstance(step, Failed)
    assert problem in step.message


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"path": "a"}, "neither"),
        ({"path": "a", "value": 1, "expression": "b"}, "value and expression"),
        ({"path": "a", "expression": None}, "expected either"),
        ({"path": "a", "expression": "b ||| c"}, "column 5"),
        ({"path": "a", "value": {"$type": "date", "value": "soon"}}, "not a date"),
        ({"path": "$type", "value": 1}, "type"),
    ],
)
def test_a_wrong_setting_is_refused(setting: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Edit().configure({"set": [setting]})


paths = st.sampled_from(["a", "b", "a.b", "a.c", "b[0]", "b[1]", "c.d.e"])
values: dict[str, st.SearchStrategy[Wire]] = {
    "a": st.sampled_from([{"b": 1, "c": [True]}, 5]),
    "b": st.lists(st.integers(-9, 9), max_size=2).map(lambda items: [*items]),
    "c": st.just({"d": {}}),
}
contexts: st.SearchStrategy[WireObject] = st.fixed_dictionaries({}, optional=values)


@given(contexts, st.lists(st.tuples(paths, paths)), st.lists(st.tuples(paths, st.integers(-9, 9))), st.lists(paths))
def test_an_edit_is_all_or_nothing_and_leaves_its_input_alone(
    context: WireObject, moves: list[tuple[str, str]], settings: list[tuple[str, int]], deletes: list[str]
) -> None:
    before = str(context)
    step = decide(
        context,
        move=[{"from": source, "to": to, "optional": True} for source, to in moves],
        set=[{"path": path, "value": value} for path, value in settings],
        delete=deletes,
    )
    assert str(context) == before
    if isinstance(step, Done):
        apply(context, step.changes)
    else:
        assert isinstance(step, Failed)
        assert step.type == "edit_failed"
