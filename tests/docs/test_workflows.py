"""The page about workflows shows what the engine does."""

import doctest
import re
import typing
from pathlib import Path

import orjson
import pytest

from engine import Call, Configuration, EngineService, NodeType, Registry, RunStatus, limits
from engine.context.typed import FORMS
from engine.context.values import WireObject
from engine.expressions import search
from engine.nodes.edit import EditConfiguration
from engine.nodes.start import InputType
from engine.workflow.definition import Connection, NodeDefinition, WorkflowDefinition
from engine.workflow.loader import loads, parse
from engine.workflow.validation import validate
from tests.docs.pages import WORKFLOWS, blocks, marked, table, tables, words

ORDER: WireObject = {"number": 42, "lines": [{"sku": "A-1", "price": 500}, {"sku": "B-7", "price": 1250}]}


def program() -> dict[str, object]:
    """Run the page's Python from top to bottom and return its names."""
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks(WORKFLOWS, "python"):
        # Padded, so that a traceback names the page's own lines.
        exec(compile("\n" * (block.line - 1) + block.text, WORKFLOWS.name, "exec"), names)  # noqa: S102 - our own page
    return names


def page_registry() -> Registry:
    registry = program()["registry"]
    assert isinstance(registry, Registry)
    return registry


def whole() -> dict[str, str]:
    """Return the page's whole definitions, by their marks or ids."""
    found = [block for block in blocks(WORKFLOWS, "yaml") if block.text.startswith("id:")]
    return {block.mark or block.text.split()[1]: block.text for block in found}


def nodes() -> list[dict[str, object]]:
    """Return the nodes that the page shows alone."""
    found: list[dict[str, object]] = []
    for block in blocks(WORKFLOWS, "yaml"):
        if block.text.startswith("- "):
            data = parse(block.text, "yaml")
            assert isinstance(data, list)
            found += data
    return found


def test_every_block_of_yaml_is_a_definition_or_a_node() -> None:
    assert len(blocks(WORKFLOWS, "yaml")) == len(whole()) + len(nodes())
    assert list(whole()) == ["file: order.yaml", "file: wrong.yaml", "send"]


def test_the_definitions_are_valid() -> None:
    registry = page_registry()
    for mark in ("file: order.yaml", "send"):
        assert loads(whole()[mark], "yaml", mark, registry).nodes


def test_the_wrong_definition_has_the_problems_shown() -> None:
    shop = Registry()
    shop.node("charge")(lambda _context, _call: None)
    findings = validate(parse(whole()["file: wrong.yaml"], "yaml"), shop, "wrong.yaml")
    assert [str(finding) for finding in findings] == marked(WORKFLOWS, "findings: wrong.yaml").splitlines()
    assert len(findings) > 3


def test_every_built_in_node_type_is_shown_with_a_valid_node() -> None:
    assert [node["type"] for node in nodes()] == [row[0].strip("`") for row in type_rows()]
    assert {node["type"] for node in nodes()} == {node_type.name for node_type in Registry().node_types}
    for node in nodes():
        start = [] if node["type"] == "start" else [{"id": "start", "type": "start"}]
        connections = [{"from": "start", "to": node["id"]}] if start else []
        data = {"id": "page", "name": "Page", "nodes": [*start, node], "connections": connections}
        assert validate(data, page_registry()) == []


def type_rows() -> list[list[str]]:
    return table(WORKFLOWS, "| type | what it does | outputs |")


def test_the_tables_of_fields_have_every_field() -> None:
    shown = [[words(row[0])[0] for row in rows] for rows in tables(WORKFLOWS, "| field | type | meaning |")]
    models = (WorkflowDefinition, NodeDefinition, Connection)
    assert [set(names) for names in shown] == [fields_of(model) for model in models]


def fields_of(model: type[WorkflowDefinition | NodeDefinition | Connection | Configuration]) -> set[str]:
    return {str(field.validation_alias or name) for name, field in model.model_fields.items()}


def test_the_tables_of_configurations_have_every_field() -> None:
    shown = tables(WORKFLOWS, "| field | meaning |")
    types: list[NodeType[Configuration]] = [Registry().find_node_type(str(node["type"])) for node in nodes()]
    assert len(shown) == len(types)
    for rows, node_type in zip(shown, types, strict=True):
        named = {name for row in rows for name in words(row[0])}
        inner: set[str] = set()
        for name, field in node_type.configuration.model_fields.items():
            # The edit node's lists are told in sentences.
            item = typing.get_args(field.annotation)[:1]
            if node_type.configuration is not EditConfiguration and item and hasattr(item[0], "model_fields"):
                inner |= {f"{name}[].{each}" for each in fields_of(item[0])}
        assert named == fields_of(node_type.configuration) | inner, node_type.name


def test_every_type_of_an_input_is_named() -> None:
    (row,) = [row for rows in tables(WORKFLOWS, "| field | meaning |") for row in rows if "inputs[].type" in row[0]]
    assert tuple(words(row[1])) == typing.get_args(InputType)


def test_every_attribute_of_a_call_is_named() -> None:
    rows = table(WORKFLOWS, "| of the call | meaning |")
    shown = {re.split(r"\W", name)[0] for row in rows for name in words(row[0])}
    public = {name for name in [*Call.__slots__, *vars(Call)] if name.islower() and not name.startswith("_")}
    assert shown == public - {"cancel"}


@pytest.fixture
def registry() -> Registry:
    return page_registry()


async def test_the_first_workflow_runs(tmp_path: Path, registry: Registry) -> None:
    definition = loads(whole()["file: order.yaml"], "yaml", "order.yaml", registry)
    async with EngineService.open(tmp_path, registry, durability="process") as engine:
        published = await engine.publish_workflow(definition)
        run = await engine.run_workflow(published.workflow_id, {"order": ORDER}, timeout=30)
    assert run.run_status is RunStatus.SUCCESS
    output = orjson.loads(run.output_context or "")
    assert (output["number"], output["total"], output["payment"]["cents"]) == (42, 1750, 1750)
    assert output["payment"]["key"] == f"{run.run_id}.4"


async def test_the_builder_makes_a_definition_that_runs(tmp_path: Path) -> None:
    names = program()
    built, registry = names["built"], names["registry"]
    assert isinstance(built, WorkflowDefinition)
    assert isinstance(registry, Registry)
    async with EngineService.open(tmp_path, registry, durability="process") as engine:
        await engine.publish_workflow(built)
        run = await engine.run_workflow(built.id, {"order": ORDER}, timeout=30)
        free = await engine.run_workflow(built.id, {"order": {"lines": []}}, timeout=30)
        assert [trace.node_id for trace in await engine.get_traces(run.run_id)][-2:] == ["charge", "end"]
        assert [trace.node_id for trace in await engine.get_traces(free.run_id)][-2:] == ["payable", "end"]


async def test_the_node_types_of_ones_own_run(tmp_path: Path, registry: Registry) -> None:
    definition = loads(whole()["send"], "yaml", "send", registry)
    heavy = definition.model_dump(by_alias=True)
    heavy["id"] = "heavy"
    heavy["nodes"][2]["configuration"] = {"heavy_grams": 300}
    heavy["nodes"] = list(heavy["nodes"])
    async with EngineService.open(tmp_path, registry, durability="process") as engine:
        for each in (definition, WorkflowDefinition.model_validate(heavy)):
            await engine.publish_workflow(each)
        light = await engine.run_workflow("send", timeout=30)
        run = await engine.run_workflow("heavy", timeout=30)
    assert orjson.loads(light.output_context or "") == {"parcel": {"grams": 300}}
    called = orjson.loads(run.output_context or "")["parcel"]["called"]
    assert called == f"555-0100, key {run.run_id}.4"


async def test_what_is_said_of_failures_and_ends_is_so(tmp_path: Path, registry: Registry) -> None:
    @registry.node("half")
    async def half(context: object, call: object) -> None:
        context.set("half", 1)  # type: ignore[attr-defined]  # a context
        raise ValueError(str(call))

    start, half_node = (
        {"id": "start", "type": "start"},
        {"id": "half", "type": "code", "configuration": {"function": "half"}},
    )
    edit = {"id": "edit", "type": "edit"}
    case = {"output": "yes", "when": "customer"}
    switch = {"id": "switch", "type": "switch", "configuration": {"cases": [case], "default": "no"}}
    flows = {
        "fails": ([start, half_node], [("start", "half")]),
        "loops": ([start, edit], [("start", "edit"), ("edit", "edit")]),
        "is-null": ([start, switch], [("start", "switch")]),
    }
    found: dict[str, tuple[str, str, str | None]] = {}
    async with EngineService.open(tmp_path, registry, durability="process") as engine:
        for name, (flow_nodes, arrows) in flows.items():
            data = {
                "id": name, "name": name, "nodes": flow_nodes, "node_execution_limit": 20,
                "connections": [{"from": source, "to": to} for source, to in arrows],
            }  # fmt: skip
            await engine.publish_workflow(WorkflowDefinition.model_validate(data))
            run = await engine.run_workflow(name, {"given": 1}, timeout=30)
            found[name] = (run.run_status.value, "" if run.error is None else run.error.type, run.output_context)
        await engine.publish_workflow(
            WorkflowDefinition.model_validate(
                {
                    "id": "ends",
                    "name": "ends",
                    "nodes": [start, switch],
                    "connections": [{"from": "start", "to": "switch"}],
                }
            )
        )
        ended = await engine.run_workflow("ends", {"customer": True}, timeout=30)
    assert found == {
        "fails": ("Failed", "ValueError", '{"given":1}'),
        "loops": ("Failed", "node_execution_limit", '{"given":1}'),
        "is-null": ("Failed", "condition", '{"given":1}'),
    }
    assert (ended.run_status, ended.output_context) == (RunStatus.SUCCESS, '{"customer":true}')


def test_the_sessions_in_python_print_what_is_shown() -> None:
    text = "".join(f"{block.text}\n" for block in blocks(WORKFLOWS, "pycon"))
    examples = doctest.DocTestParser().get_doctest(text, {}, WORKFLOWS.name, str(WORKFLOWS), 0)
    assert len(examples.examples) > 15
    report: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=report.append)
    assert results.failed == 0, "".join(report)


def test_the_table_of_typed_values_is_the_engines() -> None:
    rows = table(WORKFLOWS, "| `$type` | Python | value |")
    assert [(words(row[0])[0], words(row[1])[0]) for row in rows] == [(form.name, form.type.__name__) for form in FORMS]
    for row, form in zip(rows, FORMS, strict=True):
        values = words(row[2])
        assert values
        for text in values:
            assert form.write(form.value(text)) == text


def test_the_table_of_limits_is_the_engines() -> None:
    rows = table(WORKFLOWS, "| limit | | constant |")
    shown = {words(row[2])[0]: int(row[1].replace(",", "")) for row in rows}
    assert len(shown) == len(rows) > 15
    assert shown == {name: getattr(limits, name) for name in shown}


def test_every_limit_of_contexts_expressions_and_definitions_is_in_the_table() -> None:
    shown = {words(row[2])[0] for row in table(WORKFLOWS, "| limit | | constant |")}
    prefixes = ("CONTEXT_", "INTEGER_", "PATH_", "EXPRESSION_", "DEFINITION_", "NODE_EXECUTIONS_", "FINDINGS_")
    assert {name for name in vars(limits) if name.startswith(prefixes)} <= shown


def test_limits_named_in_sentences_are_the_engines() -> None:
    text = WORKFLOWS.read_text(encoding="utf-8")
    assert f"1 to {limits.NODE_EXECUTIONS_MAX:,}; {limits.NODE_EXECUTIONS_DEFAULT:,} unless given" in text
    assert f"1 to {limits.ID_CHARACTERS_MAX} letters" in text
    assert f"at most {limits.ERROR_MESSAGE_CHARACTERS_MAX:,} characters" in text
    assert f"At most {limits.NODES_RUNNING_MAX} nodes run at once" in text
    assert f"needs more than {limits.EXPRESSION_STEPS_MAX:,} fails" in text


def test_every_expression_gives_what_is_shown() -> None:
    lines = marked(WORKFLOWS, "expressions").splitlines()
    assert len(lines) > 4
    for line in lines:
        expression, gives, result = line.partition("  gives  ")
        assert gives, line
        assert search(expression.strip(), {"order": {**ORDER, "country": "BR"}}) == orjson.loads(result), line
