import pytest
from pydantic import ValidationError

from engine.context import ContextObject
from engine.context.changes import apply
from engine.context.values import Wire, WireObject
from engine.nodes.node_type import Done, Failed, Step
from engine.nodes.start import InputType, Start

MOMENT: Wire = {"$type": "datetime", "value": "2026-03-01T09:30:00+01:00"}
EXAMPLES: list[tuple[InputType, list[Wire]]] = [
    ("string", ["", "a"]),
    ("integer", [0, -5]),
    ("number", [0, 1.5]),
    ("boolean", [True, False]),
    ("object", [{}, {"a": 1}]),
    ("list", [[], [1]]),
    ("datetime", [MOMENT]),
    ("date", [{"$type": "date", "value": "2026-03-01"}]),
    ("time", [{"$type": "time", "value": "09:30:00"}]),
    ("timedelta", [{"$type": "timedelta", "value": "PT90S"}]),
    ("uuid", [{"$type": "uuid", "value": "00000000-0000-0000-0000-000000000000"}]),
    ("decimal", [{"$type": "decimal", "value": "1.50"}]),
    ("bytes", [{"$type": "bytes", "value": "aGk="}]),
]
OTHERS: list[Wire] = [None, {"$type": "colour", "value": "RED"}]


def decide(context: WireObject, *inputs: object) -> Step:
    node = Start()
    return node.decide(node.configure({"inputs": list(inputs)}), context)


def test_without_inputs_every_context_passes_unchanged() -> None:
    assert decide({"a": 1}) == Done()


@pytest.mark.parametrize(("type_", "values"), EXAMPLES, ids=[type_ for type_, _ in EXAMPLES])
def test_an_input_takes_its_type_and_no_other(type_: InputType, values: list[Wire]) -> None:
    for value in values:
        assert decide({"a": value}, {"path": "a", "type": type_}) == Done()
        assert decide({"a": value}, {"path": "a", "type": "any"}) == Done()
    others = [value for other, values_ in EXAMPLES for value in values_ if other != type_] + OTHERS
    for value in others:
        if type_ == "number" and type(value) is int:
            continue
        if type_ == "integer" and type(value) is int:
            continue
        step = decide({"a": value}, {"path": "a", "type": type_})
        assert isinstance(step, Failed), value
        assert step.type == "input_type"
        assert f"{type_} at 'a', found" in step.message


def test_all_missing_and_mistyped_inputs_are_named_at_once() -> None:
    step = decide(
        {"b": 1},
        {"path": "a.x", "type": "string"},
        {"path": "b", "type": "string"},
        {"path": "c[0]", "type": "any"},
        {"path": "d", "type": "any", "required": False},
    )
    assert isinstance(step, Failed)
    assert step == Failed(
        "input_missing",
        "expected these inputs: string at 'a.x', found nothing; any at 'c[0]', found nothing;"
        " string at 'b', found an int",
    )


def test_defaults_are_set_where_nothing_stands() -> None:
    inputs = [
        {"path": "a.b", "type": "integer", "default": 5},
        {"path": "a.c", "type": "datetime", "default": MOMENT},
        {"path": "n", "type": "any", "default": None},
        {"path": "given", "type": "integer", "default": 1},
        {"path": "absent", "type": "integer", "required": False},
    ]
    step = decide({"given": 2}, *inputs)
    assert isinstance(step, Done)
    assert apply({"given": 2}, step.changes) == {"given": 2, "a": {"b": 5, "c": MOMENT}, "n": None}


def test_a_default_without_room_fails_the_node() -> None:
    step = decide({"a": 1}, {"path": "a.b", "type": "integer", "default": 5})
    assert isinstance(step, Failed)
    assert step.type == "default_not_settable"
    assert "a.b" in step.message


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"path": "a", "type": "integer", "default": "5"}, "expected a default of type integer"),
        ({"path": "a", "type": "integer", "default": True}, "expected a default of type integer"),
        ({"path": "a", "type": "string", "default": None}, "expected a default of type string"),
        ({"path": "a", "type": "string", "default": "x", "required": True}, "found both"),
        ({"path": "a", "type": "datetime", "default": {"$type": "datetime", "value": "soon"}}, "not a datetime"),
        ({"path": "a", "type": "any", "default": 2**63}, "64 bits"),
        ({"path": "a..b", "type": "any"}, "character 3"),
        ({"path": "", "type": "any"}, "expected a path"),
        ({"path": "a", "type": "text"}, "string"),
        ({"path": "a", "type": "any", "required": 1}, "boolean"),
    ],
)
def test_a_wrong_input_is_refused(entry: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Start().configure({"inputs": [entry]})


def test_a_path_given_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="in inputs 0 and 1"):
        Start().configure({"inputs": [{"path": "a.b", "type": "any"}, {"path": 'a["b"]', "type": "any"}]})


def test_values_set_by_a_program_fit_their_inputs() -> None:
    context = ContextObject()
    context.set("input.prompt", "What?")
    context.set("input.user_id", 42)
    inputs = [{"path": "input.prompt", "type": "string"}, {"path": "input.user_id", "type": "integer"}]
    assert decide(context.to_wire(), *inputs) == Done()
