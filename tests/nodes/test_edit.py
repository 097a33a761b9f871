import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.context.changes import apply
from engine.context.values import Wire, WireObject
from engine.limits import EXPRESSION_STEPS_MAX, NODE_ITEMS_MAX
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
    step = decide({"a": 1}, delete=["b", "a.b", "c[3]"])
    assert isinstance(step, Done)
    assert step.changes == []


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


def copies(*transfers: tuple[str, str]) -> list[dict[str, str]]:
    return [{"from": source, "to": to} for source, to in transfers]


@pytest.mark.parametrize(
    ("context", "transfers", "kind"),
    [
        ({"a": {}}, [("a", f"a.k{i}") for i in range(1_000)], "context_size"),
        ({"a": {}}, [("a", "a.l" if i % 2 else "a.r") for i in range(1_000)], "context_size"),
        ({"a": {"": 1}}, [("a", f"a.{chr(97 + i)}") for i in range(26)], "context_size"),
        ({"a": []}, [("a", f"a[{i}]") for i in range(40)], "context_size"),
        ({"a": [0] * 60_000}, [("a", f"b{i}") for i in range(9)], "context_count"),
        ({"a": "x" * 200_000}, [("a", f"b{i}") for i in range(1_000)], "context_size"),
        ({"a": {"n": 1}}, [("a", f"b{'.b' * 60}"), ("b", f"c{'.c' * 60}"), ("c", f"d{'.d' * 60}")], "context_depth"),
    ],
)
def test_copies_of_copies_fail_before_anything_walks_them(
    context: WireObject, transfers: list[tuple[str, str]], kind: str
) -> None:
    step = decide(context, copy=copies(*transfers), set=[{"path": "q", "expression": "`1`"}], delete=["a"])
    assert isinstance(step, Failed)
    assert step.type == kind
    assert "meanwhile, but found more" in step.message


def test_a_large_value_may_stand_twice_before_its_source_is_deleted() -> None:
    text, items = "x" * 250_000, [*range(40_000)]
    assert edited({"a": text}, copy=copies(("a", "b")), delete=["a"]) == {"b": text}
    assert edited({"a": items}, copy=copies(("a", "b"), ("b", "c")), delete=["a", "b"]) == {"c": items}
    # What is overwritten counts no more, however often.
    assert edited({"a": text}, copy=copies(*(("a", "b") for _ in range(200))), delete=["a"]) == {"b": text}
    there_and_back = [("a", "b") if i % 2 == 0 else ("b", "a") for i in range(200)]
    assert edited({"a": text}, move=copies(*there_and_back)) == {"a": text}


BOMB = "|".join(["[@,@]", *["[@,@][]"] * 12]) + "|length(@)"


def test_all_expressions_of_a_node_share_its_steps() -> None:
    assert edited({}, set=[{"path": "q", "expression": BOMB}] * 5) == {"q": 8192}
    step = decide({}, set=[{"path": "q", "expression": BOMB}] * 30)
    assert isinstance(step, Failed)
    assert step.type == "edit_failed"
    assert f"at most {EXPRESSION_STEPS_MAX} steps of evaluation in one node" in step.message


def test_what_a_node_took_is_told_and_is_the_same_each_time() -> None:
    def steps(count: int) -> int:
        step = decide({"n": 1}, set=[{"path": "q", "expression": BOMB}] * count)
        assert isinstance(step, Done)
        return step.steps

    assert steps(1) == steps(1) > 30_000
    assert 4 * steps(1) <= steps(4) + 100 <= 4 * steps(1) + 200


def test_a_large_context_is_looked_at_once_however_many_expressions_there_are() -> None:
    context: WireObject = {"l": [[i] for i in range(20_000)]}

    def steps(count: int) -> int:
        step = decide(context, set=[{"path": f"q{i}", "expression": "length(l)"} for i in range(count)])
        assert isinstance(step, Done)
        return step.steps

    assert 20_000 < steps(1) < 40_000
    assert steps(101) - steps(1) < 100 * 30


def test_a_node_that_copies_large_containers_again_and_again_fails() -> None:
    settings = [{"path": f"l[{i}]", "value": 1} for i in range(1_000)]
    assert edited({"l": [0] * 10}, set=settings[:10]) == {"l": [1] * 10}
    step = decide({"l": [0] * 90_000}, set=settings)
    assert isinstance(step, Failed)
    assert (step.type, "steps of evaluation" in step.message) == ("edit_failed", True)


@pytest.mark.parametrize("field", ["move", "copy", "set", "delete"])
def test_a_list_of_changes_is_limited(field: str) -> None:
    entries: dict[str, object] = {
        "move": {"from": "a", "to": "b"},
        "copy": {"from": "a", "to": "b"},
        "set": {"path": "a", "value": 1},
        "delete": "a",
    }
    Edit().configure({field: [entries[field]] * NODE_ITEMS_MAX})
    with pytest.raises(ValidationError, match=f"at most {NODE_ITEMS_MAX}"):
        Edit().configure({field: [entries[field]] * (NODE_ITEMS_MAX + 1)})


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
