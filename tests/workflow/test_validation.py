import time
from collections.abc import Callable

import pytest

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
    found = [(finding.node, finding.field, finding.message) for finding in validate(data, registry)]
    assert [place[:2] for place in found] == [
        ("ask", "configuration.function"),
        ("sw", "configuration.cases[0].predicate"),
    ]
    assert "did you mean 'answr'?" in found[0][2]
    assert "did you mean 'urgent'?" in found[1][2]


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
