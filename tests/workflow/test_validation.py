import time
from collections.abc import Callable
from fractions import Fraction

import pytest
from pydantic import BaseModel

from engine.context import ContextObject
from engine.limits import DEFINITION_CONNECTIONS_MAX, DEFINITION_NODES_MAX, FINDINGS_MAX
from engine.registry import Registry
from engine.workflow.definition import WorkflowDefinition
from engine.workflow.validation import InvalidDefinitionError, require_valid, validate

START: dict[str, object] = {"id": "start", "type": "start"}
END: dict[str, object] = {"id": "end", "type": "end"}


def workflow(*nodes: object, connections: list[object] | None = None, **fields: object) -> dict[str, object]:
    return {"id": "w", "name": "W", "nodes": list(nodes), "connections": connections or [], **fields}


def code(name: str = "ask", **fields: object) -> dict[str, object]:
    return {"id": name, "type": "code", "configuration": {"function": "answer"}, **fields}


def arrow(source: object, to: object, output: object = "next") -> dict[str, object]:
    return {"from": source, "to": to, "output": output}


CHAIN: list[object] = [arrow("start", "ask"), arrow("ask", "end")]

CASES: list[tuple[str, dict[str, object], str, str, str]] = [
    ("missing name", {"id": "w", "nodes": [START]}, "", "name", "expected a value, found nothing"),
    ("unknown field", workflow(START, nmae=1), "", "nmae", "did you mean 'name'?"),
    ("unknown field of a node", workflow({**START, "titel": 1}), "start", "titel", "did you mean 'title'?"),
    ("source in data", workflow(START, connections=[{"source": "start", "to": "start"}]), "", "connections[0].source",
     "unknown field; expected one of: from, output, to"),
    ("wrong type", workflow({**START, "title": 5}), "start", "title", "expected a text, found 5"),
    ("wrong number", workflow(START, node_execution_limit="5"), "", "node_execution_limit",
     "expected an integer, found '5'"),
    ("nodes are no list", {**workflow(), "nodes": {}}, "", "nodes", "expected a list, found an object"),
    ("node is no object", workflow(START, "x"), "nodes[1]", "", "expected an object, found 'x'"),
    ("node without an id", workflow(START, {"type": "end"}), "nodes[1]", "id", "expected a value, found nothing"),
    ("no start", workflow(code()), "", "nodes", "exactly one node of type 'start', found none"),
    ("two starts", workflow(START, {**START, "id": "s2"}), "", "nodes", "found start, s2"),
    ("duplicate id", workflow(START, code("start")), "start", "id", "nodes[0] has it too"),
    ("unknown type", workflow({**START, "type": "strat"}), "start", "type",
     "found 'strat'; there are: start, end, code, edit, switch"),
    ("dangling to", workflow(START, code(), connections=[arrow("start", "aks")]), "", "connections[0].to",
     "found 'aks'; did you mean 'ask'?"),
    ("dangling from", workflow(START, connections=[arrow("nowhere", "start")]), "", "connections[0].from", "'nowhere'"),
    ("duplicate connection", workflow(START, code(), END, connections=[*CHAIN, arrow("start", "end")]), "",
     "connections[2]", "connections[0] leads from it to 'ask' already"),
    ("unknown output", workflow(START, END, connections=[arrow("start", "end", "nxt")]), "", "connections[0].output",
     "it has: next; did you mean 'next'?"),
    ("an end leads nowhere", workflow(START, END, connections=[arrow("start", "end"), arrow("end", "end")]), "",
     "connections[1].output", "it has: none"),
    ("into start", workflow(START, connections=[arrow("start", "start")]), "", "connections[0].to",
     "nothing leads into it"),
    ("unreachable", workflow(START, code(), END, connections=[arrow("start", "end")]), "ask", "",
     "expected a way from the start"),
    ("unreachable loop", workflow(START, code("a"), code("b"), connections=[arrow("a", "b"), arrow("b", "a")]), "a", "",
     "expected a way from the start"),
    ("configuration is no object", workflow({**START, "configuration": []}), "start", "configuration",
     "expected an object, found a list"),
    ("unknown field of a configuration", workflow({**START, "configuration": {"input": []}}), "start",
     "configuration.input", "did you mean 'inputs'?"),
    ("unknown field of a case", workflow({"id": "s", "type": "switch", "configuration": {"cases": [
        {"output": "a", "wen": "b"}]}}), "s", "configuration.cases[0].wen", "did you mean 'when'?"),
    ("bad expression", workflow({"id": "s", "type": "switch", "configuration": {"cases": [
        {"output": "a", "when": "a ||| b"}]}}), "s", "configuration.cases[0].when",
     "found '|' at column 5 of 'a ||| b'"),
    ("unknown input type", workflow({**START, "configuration": {"inputs": [{"path": "a", "type": "integr"}]}}), "start",
     "configuration.inputs[0].type", "did you mean 'integer'?"),
    ("too many nodes", workflow(*[{"id": f"n{n}", "type": "end"} for n in range(DEFINITION_NODES_MAX + 1)]), "",
     "nodes", f"expected at most {DEFINITION_NODES_MAX} in the list"),
    ("too many connections", workflow(START, connections=[arrow("a", "b")] * (DEFINITION_CONNECTIONS_MAX + 1)), "",
     "connections", f"expected at most {DEFINITION_CONNECTIONS_MAX} in the list"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "node", "field", "message"), CASES, ids=[case[0] for case in CASES])
def test_a_problem_is_found_with_its_place(
    name: str, data: dict[str, object], node: str, field: str, message: str
) -> None:
    findings = validate(data, source="flow.yaml")
    there = [finding for finding in findings if (finding.node, finding.field) == (node, field)]
    assert any(message in finding.message for finding in there), (name, [str(finding) for finding in findings])
    assert all(str(finding).startswith("flow.yaml") for finding in findings)


def test_model_problems_and_graph_problems_are_found_in_one_go() -> None:
    data = workflow(
        START,
        code(title=5),
        {"id": "sw", "type": "switch", "configuration": {"cases": [{"output": "a"}]}},
        connections=[arrow("start", "aks"), arrow("ask", "sw", "out"), arrow("sw", 7)],
        node_execution_limit=0,
    )
    assert [(finding.node, finding.field) for finding in validate(data)] == [
        ("ask", "title"),
        ("", "connections[2].to"),
        ("", "node_execution_limit"),
        ("sw", "configuration.cases[0]"),
        ("", "connections[0].to"),
        ("", "connections[1].output"),
        ("", "connections[2].output"),
    ]


def test_only_wrong_items_are_findings_not_their_number() -> None:
    data = workflow(START, {"id": "sw", "type": "switch", "configuration": {"cases": []}})
    wrong = workflow(START, {"id": "sw", "type": "switch", "configuration": {"cases": [{"output": 1, "when": "a"}]}})
    assert "expected at least 1 in the list, found 0" in str(validate(data)[0])
    assert "at least 1" not in str([str(finding) for finding in validate(wrong)])


@pytest.mark.parametrize(
    "data",
    [
        workflow(START),
        workflow(START, code(), connections=[arrow("start", "ask")]),
        workflow(START, code(), END, connections=CHAIN),
        workflow(START, code(), connections=[arrow("start", "ask"), arrow("ask", "ask")]),
    ],
    ids=["start alone", "no end", "chain", "loop"],
)
def test_a_good_definition_has_no_findings(data: dict[str, object]) -> None:
    assert validate(data) == []
    definition = require_valid(data)
    assert validate(definition) == []
    assert require_valid(definition) is definition


def test_a_model_is_checked_like_data() -> None:
    definition = WorkflowDefinition.model_validate(workflow(START, code(), connections=[arrow("start", "aks")]))
    assert [finding.field for finding in validate(definition)] == ["connections[0].to"]


def test_a_model_that_was_made_without_validation_is_validated() -> None:
    good = require_valid(workflow(START))
    constructed = WorkflowDefinition.model_construct(
        id="x y", name="W", description=None, nodes=({"id": "start", "type": "strat"},), connections=5
    )
    assert [(finding.node, finding.field) for finding in validate(constructed)] == [
        ("", "id"),
        ("", "connections"),
        ("start", "type"),
        ("", "nodes"),
    ]
    stale = BaseModel.model_copy(good, update={"name": "V"})
    assert stale.version == good.version
    assert require_valid(stale).version == require_valid({**workflow(START), "name": "V"}).version
    data = WorkflowDefinition.model_construct(**{**good.model_dump(), "nodes": [START]})
    assert require_valid(data) == good


def found(data: object, registry: Registry | None = None) -> list[tuple[str, str, str]]:
    """Return places and beginnings of the findings."""
    return [(finding.node, finding.field, finding.message[:43]) for finding in validate(data, registry)]


def test_a_wrong_configuration_hides_neither_functions_nor_predicates_nor_outputs() -> None:
    cases = [{"output": "a", "predicate": "urgnt", "wen": "x"}, {"output": "b"}, {"output": 5, "predicate": "urgnt"}]
    nodes = [
        START,
        {"id": "ask", "type": "code", "configuration": {"function": "answr", "extra": 1}},
        {"id": "sw", "type": "switch", "configuration": {"cases": cases}},
        {"id": "sv", "type": "switch", "configuration": {"cases": cases[:2]}},
        {"id": "edit", "type": "edit", "configuration": {"sett": []}},
        {"id": "end", "type": "end", "configuration": {"mapping": []}},
    ]
    arrows: list[object] = [
        arrow("start", "ask"),
        arrow("ask", "sw"),
        arrow("sw", "sv", "x"),
        arrow("sv", "edit", "x"),
        arrow("edit", "end", "nxt"),
        arrow("end", "end", "again"),
    ]
    assert found(workflow(*nodes, connections=arrows), Registry()) == [
        ("ask", "configuration.extra", "unknown field; expected one of: function"),
        ("ask", "configuration.function", "No function 'answr' is registered; there ar"),
        ("sw", "configuration.cases[0].wen", "unknown field; expected one of: output, whe"),
        ("sw", "configuration.cases[1]", "expected either 'when' or 'predicate', foun"),
        ("sw", "configuration.cases[2].output", "expected a text, found 5"),
        ("sw", "configuration.cases[0].predicate", "No predicate 'urgnt' is registered; there a"),
        ("sw", "configuration.cases[2].predicate", "No predicate 'urgnt' is registered; there a"),
        ("sv", "configuration.cases[0].wen", "unknown field; expected one of: output, whe"),
        ("sv", "configuration.cases[1]", "expected either 'when' or 'predicate', foun"),
        ("sv", "configuration.cases[0].predicate", "No predicate 'urgnt' is registered; there a"),
        ("edit", "configuration.sett", "unknown field; expected one of: move, copy,"),
        ("end", "configuration.mapping", "unknown field; expected one of: mappings; d"),
        # What `sw` has cannot be told.
        ("", "connections[3].output", "expected an output of node 'sv', found 'x';"),
        ("", "connections[4].output", "expected an output of node 'edit', found 'n"),
        ("", "connections[5].output", "expected an output of node 'end', found 'ag"),
    ]


REPEATED: list[tuple[str, dict[str, object], list[str]]] = [
    ("start", {"inputs": [{"path": path, "type": "any"} for path in ("a", "b", '["a"]', "b")]},
     ["expected each path once, found '[\"a\"]' in inputs 0 and 2",
      "expected each path once, found 'b' in inputs 1 and 3"]),
    ("end", {"mappings": [{"from": "x", "to": to} for to in ("a", "a")]},
     ["expected each 'to' once, found 'a' in mappings 0 and 1"]),
    ("switch", {"default": "b", "cases": [{"output": output, "when": "x"} for output in ("a", "b", "a")]},
     ["expected each output once, found 'b' again in case 1", "expected each output once, found 'a' again in case 2"]),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "configuration", "problems"), REPEATED)
@pytest.mark.parametrize("wrong", [{}, {"x": 1}], ids=["nothing else", "something else"])
def test_every_repetition_is_found_once_whatever_else_is_wrong(
    type_: str, configuration: dict[str, object], problems: list[str], wrong: dict[str, object]
) -> None:
    node = {"id": "n", "type": type_, "configuration": {**configuration, **wrong}}
    messages = [finding.message for finding in validate(workflow(START, node)) if " once, " in finding.message]
    assert messages == problems


def test_a_misspelt_field_of_a_switch_is_not_taken_for_its_default() -> None:
    switch = {
        "id": "sw",
        "type": "switch",
        "configuration": {"defalt": "b", "cases": [{"output": "default", "when": "x"}]},
    }
    data = workflow(START, switch, END, connections=[arrow("start", "sw"), arrow("sw", "end", "b")])
    assert [field for _, field, _ in found(data)] == ["configuration.defalt"]


def test_a_setting_of_both_or_nothing_is_found_beside_another_mistake() -> None:
    settings = [{"path": 5, "value": 1, "expression": "x"}, {"path": "a", "vlaue": 1}, {"path": "", "value": 1}]
    data = workflow(
        START, {"id": "e", "type": "edit", "configuration": {"set": settings}}, connections=[arrow("start", "e")]
    )
    assert [field for _, field, _ in found(data)] == [
        "configuration.set[0].path",
        "configuration.set[1].vlaue",
        "configuration.set[2].path",
        "configuration.set[0]",
    ]


def test_a_node_out_of_reach_is_found_beside_problems_of_connections_that_do_not_explain_it() -> None:
    arrows: list[object] = [
        arrow("start", "ask", "nxt"),
        arrow("ask", "end", 5),
        arrow("end", "start"),
        arrow("start", "ask", "nxt"),
        arrow("lost", "nowhere"),
    ]
    nodes = [START, code(), END, code("lost"), code("lonely")]
    assert [(node, field) for node, field, _ in found(workflow(*nodes, connections=arrows))] == [
        ("", "connections[1].output"),
        ("", "connections[0].output"),
        ("", "connections[2].output"),
        ("", "connections[2].to"),
        ("", "connections[3]"),
        ("", "connections[3].output"),
        ("", "connections[4].to"),
        ("lost", ""),
        ("lonely", ""),
    ]


@pytest.mark.parametrize(
    ("broken", "unreached"),
    [
        (arrow("start", "nowhere"), []),
        (arrow("start", 5), []),
        (arrow("nowhere", "else"), []),
        ("x", []),
        (arrow("nowhere", "a"), ["c"]),
        (arrow(5, "a"), ["c"]),
        (arrow("c", "nowhere"), ["a", "b", "c"]),
        (arrow("start", "start"), ["a", "b", "c"]),
    ],
)
def test_a_node_that_a_broken_connection_may_lead_to_is_not_called_out_of_reach(
    broken: object, unreached: list[str]
) -> None:
    data = workflow(START, code("a"), code("b"), code("c"), connections=[arrow("a", "b"), broken])
    assert [node for node, _, message in found(data) if message.startswith("expected a way")] == unreached


def test_nodes_that_cannot_be_read_are_not_missed_at_every_connection() -> None:
    assert [field for _, field, _ in found({**workflow(), "nodes": {}, "connections": CHAIN})] == ["nodes"]
    assert [field for _, field, _ in found(workflow({"type": "start"}))] == ["id"]
    assert [field for _, field, _ in found(workflow({**START, "id": 10**5000}))] == ["id"]


def test_data_that_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    edit = {"id": "e", "type": "edit", "configuration": {"set": [{"path": "a", "value": value}]}}
    assert validate(workflow(START, edit, connections=[arrow("start", "e")]), Registry())
    default = {"$type": 10**5000, "value": value}
    start = {**START, "configuration": {"inputs": [{"path": "a", "type": "string", "default": default}]}}
    assert validate(workflow(start), Registry())


@pytest.mark.parametrize(
    ("literal", "names"),
    [
        ({"$type": "datetme", "value": "2026-03-01T09:30:00"}, ["datetme"]),
        ([{"a": {"$type": "mony", "value": {"x": [1]}}}, {"$type": "dat", "value": 1}], ["mony", "dat"]),
        ({"$type": "money", "value": 1}, []),
        ({"a": [{"$type": "date", "value": "2026-03-01"}, None, 1]}, []),
    ],
)
def test_a_type_in_a_literal_that_a_given_registry_does_not_have_is_found(literal: object, names: list[str]) -> None:
    registry = Registry()
    registry.converters.register(Fraction, "money", str, lambda text: Fraction(str(text)))
    start = {**START, "configuration": {"inputs": [{"path": "a", "type": "any", "default": literal}]}}
    edit = {"id": "e", "type": "edit", "configuration": {"set": [{"path": "a", "value": literal}]}}
    data = workflow(start, edit, connections=[arrow("start", "e")])
    assert validate(data) == []
    findings = validate(data, registry)
    assert [(finding.node, finding.field) for finding in findings] == [
        *[("start", "configuration.inputs[0].default")] * len(names),
        *[("e", "configuration.set[0].value")] * len(names),
    ]
    near = {"datetme": "datetime", "mony": "money", "dat": "date"}
    for finding, name in zip(findings, names * 2, strict=True):
        assert f"found the $type '{name}'; there are: datetime, date, time, " in finding.message
        assert finding.message.endswith(f"bytes, money; did you mean '{near[name]}'?")


def test_a_wrong_default_is_found_beside_another_mistake_of_its_input() -> None:
    inputs = [
        {"path": 5, "type": "string", "default": 5},
        {"path": "", "type": "string", "default": "x", "required": True},
        {"path": "a", "type": "strng", "default": 5},
        {"path": "a", "type": "string", "default": "x", "requird": 1},
    ]
    assert found(workflow({**START, "configuration": {"inputs": inputs}})) == [
        ("start", "configuration.inputs[0].path", "expected a text, found 5"),
        ("start", "configuration.inputs[1].path", "expected a path such as a.b[0].c, but found"),
        ("start", "configuration.inputs[2].type", "expected one of string, integer, number, bo"),
        ("start", "configuration.inputs[3].requird", "unknown field; expected one of: path, type,"),
        ("start", "configuration", "expected each path once, found 'a' in input"),
        ("start", "configuration.inputs[0]", "expected a default of type string, found an"),
        ("start", "configuration.inputs[1]", "expected either 'required: true' or a defau"),
    ]


def test_a_default_of_a_misspelt_type_is_one_finding_where_its_input_says_the_type() -> None:
    default = {"$type": "datetme", "value": "2026-03-01T09:30:00"}
    start = {**START, "configuration": {"inputs": [{"path": "a", "type": "datetime", "default": default}]}}
    assert [message for _, _, message in found(workflow(start), Registry())] == [
        "expected a default of type datetime, found "
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**63, "from -9223372036854775808 to 9223372036854775807, found 9223372036854775808"),
        pytest.param(10**5000, "found one of 16610 bits", id="huge"),
        (float("nan"), "expected a finite number, found nan"),
        ("\ud800", "expected Unicode text, found a lone surrogate"),
    ],
)
def test_a_value_that_is_no_json_is_one_finding_at_its_place(value: object, message: str) -> None:
    start = {**START, "configuration": {"inputs": [{"path": "a", "type": "any", "default": {"b": [value]}}]}}
    findings = validate(workflow(start))
    assert [(finding.node, finding.field) for finding in findings] == [
        ("start", "configuration.inputs[0].default.b[0]")
    ]
    assert findings[0].message.endswith(message)


@pytest.mark.parametrize("fields", [{"name": "\ud800"}, {"description": "\ud800"}])
def test_a_lone_surrogate_is_told_in_our_words(fields: dict[str, object]) -> None:
    assert [message for _, _, message in found({**workflow(START), **fields})] == [
        "expected Unicode text, found a lone surrogate"[:43]
    ]


def test_functions_and_predicates_are_checked_when_a_registry_is_given() -> None:
    switch = {"id": "sw", "type": "switch", "configuration": {"cases": [{"output": "a", "predicate": "urgnt"}]}}
    data = workflow(START, code(), switch, connections=[arrow("start", "ask"), arrow("ask", "sw")])
    registry = Registry()

    @registry.node("answr")
    def answer(context: ContextObject, call: object) -> None:
        context.set("called", call is not None)

    @registry.predicate("urgent")
    def urgent(context: ContextObject) -> bool:
        return "urgent" in context

    assert callable(answer)
    assert callable(urgent)
    assert validate(data) == []
    findings = validate(data, registry)
    assert [(finding.node, finding.field) for finding in findings] == [
        ("ask", "configuration.function"),
        ("sw", "configuration.cases[0].predicate"),
    ]
    assert "did you mean 'answr'?" in findings[0].message
    assert "did you mean 'urgent'?" in findings[1].message


def test_the_error_lists_every_finding() -> None:
    with pytest.raises(InvalidDefinitionError) as caught:
        require_valid(workflow(code(), code()), source="flow.yaml")
    assert len(caught.value.findings) == 2
    assert all(str(finding) in str(caught.value) for finding in caught.value.findings)
    assert str(caught.value).startswith("flow.yaml has 2 problems:")


def many_dangling() -> dict[str, object]:
    nodes = [code(f"node-{n}") for n in range(4_000)]
    return workflow(START, *nodes, connections=[arrow(f"node-{n % 4_000}x", f"ndoe-{n}") for n in range(20_000)])


def many_unknown_types() -> dict[str, object]:
    return workflow(START, *[{"id": f"n{n}", "type": f"cod{n}"} for n in range(4_999)])


def many_unknown_fields() -> dict[str, object]:
    return workflow({**START, **{f"field{n}": n for n in range(20_000)}})


@pytest.mark.parametrize("make", [many_dangling, many_unknown_types, many_unknown_fields])
def test_the_number_of_findings_and_their_cost_are_bounded(make: Callable[[], dict[str, object]]) -> None:
    data = make()
    begin = time.process_time()
    findings = validate(data)
    assert time.process_time() - begin < 60
    assert len(findings) == FINDINGS_MAX + 1
    assert f"more than {FINDINGS_MAX} problems" in findings[-1].message


@pytest.mark.parametrize("data", [None, [], "text", 5, object()])
def test_data_that_is_no_object_is_one_finding(data: object) -> None:
    assert [finding.message[:18] for finding in validate(data)] == ["expected an object"]
