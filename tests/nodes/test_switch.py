from collections.abc import Callable

import pytest
from pydantic import ValidationError

from engine.call import Call
from engine.context import ContextObject
from engine.context.values import WireObject
from engine.errors import RegistryError
from engine.expressions import ExpressionError
from engine.limits import EXPRESSION_STEPS_MAX, NODE_ITEMS_MAX
from engine.nodes.node_type import Done, Failed, Left, Step, Work
from engine.nodes.switch import ConditionError, Switch
from engine.registry import Registry

MakeCall = Callable[[], Call]


def decide(context: WireObject, *cases: object, **fields: object) -> Step:
    node = Switch()
    return node.decide(node.configure({"cases": list(cases), **fields}), context)


def taken(context: WireObject, *cases: object, **fields: object) -> Step:
    """Return the step as it is written down: without what it took."""
    step = decide(context, *cases, **fields)
    assert isinstance(step, Done)
    assert step.steps > 0
    return step._replace(steps=0)


async def execute(context: ContextObject, call: Call, *cases: object) -> Left:
    node = Switch()
    configuration = node.configure({"cases": list(cases)})
    assert node.decide(configuration, context.to_wire()) == Work()
    return await node.execute(configuration, context, call)


def test_the_first_true_case_wins_and_later_ones_are_not_evaluated() -> None:
    cases = [
        {"output": "low", "when": "n < `5`"},
        {"output": "middle", "when": "n < `50`"},
        {"output": "broken", "when": "abs('text')"},
    ]
    assert decide({"n": 3}, *cases).output == "low"  # type: ignore[union-attr]
    assert taken({"n": 30}, *cases) == Done(output="middle", message="case 'middle'")
    assert isinstance(decide({"n": 300}, *cases), Failed)


def test_the_default_is_left_by_when_no_case_is_true() -> None:
    case = {"output": "a", "when": "b == `1`"}
    assert taken({}, case) == Done(output="default", message="no case was true")
    assert taken({}, case, default="other") == Done(output="other", message="no case was true")


@pytest.mark.parametrize(
    ("expression", "found"), [("n", "an int: 3"), ("missing", "None: None"), ("'true'", "a str: true"), ("[]", "None")]
)
def test_a_condition_that_is_not_boolean_fails_the_node(expression: str, found: str) -> None:
    step = decide({"n": 3}, {"output": "a", "when": expression})
    assert isinstance(step, Failed)
    assert step.type == "condition"
    assert step.message.startswith(f"case 'a': expected true or false from '{expression}', found {found}")


def test_a_condition_that_cannot_be_evaluated_fails_the_node() -> None:
    step = decide({"n": "x"}, {"output": "a", "when": "abs(n) > `1`"})
    assert isinstance(step, Failed)
    assert step.type == "expression"
    assert "case 'a'" in step.message
    assert "abs(n) > `1`" in step.message


def test_a_condition_whose_value_no_memory_can_print_fails_the_node() -> None:
    for expression in ("|".join(["[@,@]"] * 60) + "|abs(@)", "|".join(["[@,@]"] * 10), "|".join(["[@,@]"] * 60)):
        step = decide({}, {"output": "a", "when": expression})
        assert isinstance(step, Failed)
        assert len(step.message) < 2_000


BOMB = "|".join(["[@,@]", *["[@,@][]"] * 12]) + "|length(@) == `1`"


def bombs(count: int) -> list[dict[str, str]]:
    return [{"output": f"c{i}", "when": BOMB} for i in range(count)]


def test_all_conditions_of_a_node_share_its_steps() -> None:
    assert taken({}, *bombs(5)).output == "default"  # type: ignore[union-attr]
    step = decide({}, *bombs(30))
    assert isinstance(step, Failed)
    assert step.type == "expression"
    assert f"at most {EXPRESSION_STEPS_MAX} steps of evaluation in one node" in step.message


async def test_conditions_beside_a_predicate_share_its_steps_too(registry: Registry, make_call: MakeCall) -> None:
    registry.predicate("no")(lambda context: context is None)
    no = {"output": "a", "predicate": "no"}
    assert await execute(ContextObject(), make_call(), no, *bombs(5)) == Left("default", "no case was true")
    with pytest.raises(ExpressionError, match="steps of evaluation in one node"):
        await execute(ContextObject(), make_call(), no, *bombs(30))


def test_the_number_of_cases_is_limited() -> None:
    cases = [{"output": f"c{i}", "when": "`false`"} for i in range(NODE_ITEMS_MAX + 1)]
    assert isinstance(decide({}, *cases[:-1]), Done)
    with pytest.raises(ValidationError, match=f"at most {NODE_ITEMS_MAX}"):
        decide({}, *cases)


def test_outputs_are_those_of_the_cases_and_the_default() -> None:
    node = Switch()
    configuration = node.configure({"cases": [{"output": "b", "when": "x"}, {"output": "a", "when": "y"}]})
    assert node.outputs(configuration) == ("b", "a", "default")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"cases": []}, "at least 1"),
        ({"cases": [{"output": "a"}]}, "neither"),
        ({"cases": [{"output": "a", "when": "x", "predicate": "p"}]}, "both"),
        ({"cases": [{"output": "a", "when": "x ||| y"}]}, "column 5"),
        ({"cases": [{"output": "a", "when": "x"}, {"output": "a", "when": "y"}]}, "'a' again in case 1"),
        ({"cases": [{"output": "default", "when": "x"}]}, "'default' again in case 0"),
        ({"cases": [{"output": "a b", "when": "x"}]}, "output"),
    ],
)
def test_a_wrong_configuration_is_refused(data: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Switch().configure(data)


async def test_predicates_and_expressions_are_tried_in_order(registry: Registry, make_call: MakeCall) -> None:
    asked: list[str] = []

    @registry.predicate("sync")
    def sync(context: ContextObject) -> bool:
        asked.append("sync")
        return context.get("n", int) == 2

    @registry.predicate("async")
    async def async_(context: ContextObject) -> bool:
        asked.append("async")
        return context.get("n", int) == 3

    cases = [
        {"output": "one", "when": "n == `1`"},
        {"output": "two", "predicate": "sync"},
        {"output": "three", "predicate": "async"},
    ]
    outputs = [await execute(ContextObject({"n": n}), make_call(), *cases) for n in (1, 2, 3, 4)]
    assert outputs == [
        Left("one", "case 'one'"),
        Left("two", "case 'two'"),
        Left("three", "case 'three'"),
        Left("default", "no case was true"),
    ]
    assert asked == ["sync", "sync", "async", "sync", "async"]
    assert callable(sync)
    assert callable(async_)


async def test_a_predicate_must_answer_true_or_false(registry: Registry, make_call: MakeCall) -> None:
    registry.predicate("p")(lambda context: 1 if context is not None else True)  # type: ignore[type-var]
    with pytest.raises(ConditionError, match="case 'a': expected True or False from predicate 'p', found int"):
        await execute(ContextObject(), make_call(), {"output": "a", "predicate": "p"})


async def test_a_predicate_that_changes_the_context_is_an_error(registry: Registry, make_call: MakeCall) -> None:
    @registry.predicate("p")
    def p(context: ContextObject) -> bool:
        context.set("a", 1)
        return True

    with pytest.raises(ConditionError, match="leave the context as it is"):
        await execute(ContextObject(), make_call(), {"output": "a", "predicate": "p"})
    assert callable(p)


async def test_an_unregistered_predicate_and_a_bad_expression_raise(registry: Registry, make_call: MakeCall) -> None:
    registry.predicate("no")(lambda context: context is None)
    with pytest.raises(RegistryError, match="No predicate 'p'"):
        await execute(ContextObject(), make_call(), {"output": "a", "predicate": "p"})
    cases = [{"output": "a", "predicate": "no"}, {"output": "b", "when": "abs('x')"}]
    with pytest.raises(ExpressionError):
        await execute(ContextObject(), make_call(), *cases)
