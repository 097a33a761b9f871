"""Checks of a definition's graph, on data that may be wrong in other places: what can be read is checked."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from engine.limits import DEFINITION_CONNECTIONS_MAX, DEFINITION_NODES_MAX, FINDINGS_MAX
from engine.nodes.node_type import NEXT, Configuration, NodeType
from engine.workflow.findings import Location, translated
from engine.workflow.names import listed, suggest

if TYPE_CHECKING:
    from engine.registry import Registry

START = "start"
"""The node type that every run begins with."""

Problems = Iterator[tuple[Location, str]]


class _Node(NamedTuple):
    """What can be read of a node; `outputs` is None when they are unknown."""

    number: int
    type: str
    outputs: Sequence[str] | None


class _Arrow(NamedTuple):
    """A connection that can be read."""

    number: int
    source: str
    output: str
    to: str


def check_graph(data: Mapping[str, object], registry: "Registry | None") -> list[tuple[Location, str]]:
    """Return where and what is wrong with the nodes' configurations, the connections and the graph they make."""
    nodes_data, arrows_data = _list(data.get("nodes")), _list(data.get("connections"))
    if len(nodes_data) > DEFINITION_NODES_MAX or len(arrows_data) > DEFINITION_CONNECTIONS_MAX:
        return []  # the model has found it; more would only take long
    problems: list[tuple[Location, str]] = []
    nodes = _nodes(nodes_data, registry, problems)
    arrows = list(_arrows(arrows_data))
    problems += _starts(nodes)
    before = len(problems)
    for problem in _connections(nodes, arrows):
        problems.append(problem)
        if len(problems) > FINDINGS_MAX:
            return problems  # each looks for similar names: thousands would take long
    if len(problems) == before and len(arrows) == len(arrows_data) and len(nodes) == len(nodes_data):
        # With a connection that leads nowhere, what it should have led to would be named too, for no fault of its own.
        problems += _unreachable(nodes, arrows)
    return problems


def _built_in() -> "Registry":
    from engine.registry import Registry  # noqa: PLC0415 - the registry imports the node types, which import names

    return Registry()


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, (list, tuple)) else ()


def _nodes(
    data: Sequence[object], registry: "Registry | None", problems: list[tuple[Location, str]]
) -> dict[str, _Node]:
    types = {node_type.name: node_type for node_type in (registry or _built_in()).node_types}
    nodes: dict[str, _Node] = {}
    for index, entry in enumerate(data):
        if not isinstance(entry, Mapping):
            continue
        name, type_ = entry.get("id"), entry.get("type")
        outputs: Sequence[str] | None = None
        if isinstance(type_, str) and len(problems) <= FINDINGS_MAX:
            if type_ in types:
                outputs = _configured(index, types[type_], entry.get("configuration", {}), registry, problems)
            else:
                message = f"expected a node type, found '{type_}'; there are: {listed(types)}{suggest(type_, types)}"
                problems.append((("nodes", index, "type"), message))
        if not isinstance(name, str):
            continue
        if name in nodes:
            problems.append((("nodes", index, "id"), f"expected each id once, nodes[{nodes[name].number}] has it too"))
            continue
        nodes[name] = _Node(index, type_ if isinstance(type_, str) else "", outputs)
    return nodes


def _configured(
    index: int,
    node_type: NodeType[Configuration],
    data: object,
    registry: "Registry | None",
    problems: list[tuple[Location, str]],
) -> Sequence[str] | None:
    """Check one node's configuration and return its outputs, or None when they cannot be known."""
    if not isinstance(data, Mapping):
        return None
    place: Location = ("nodes", index, "configuration")
    try:
        configuration = node_type.configure(data)
    except ValidationError as error:
        found = translated(error, node_type.configuration)
        problems += [((*place, *location), message) for location, message in found]
        return None
    for problem in node_type.check(configuration, registry):
        field = tuple(int(part) if part.isdecimal() else part for part in problem.field.split(".") if part)
        problems.append(((*place, *field), problem.message))
    return node_type.outputs(configuration)


def _arrows(data: Sequence[object]) -> Iterator[_Arrow]:
    for index, entry in enumerate(data):
        if isinstance(entry, Mapping):
            source, output, to = entry.get("from"), entry.get("output", NEXT), entry.get("to")
            if isinstance(source, str) and isinstance(output, str) and isinstance(to, str):
                yield _Arrow(index, source, output, to)


def _starts(nodes: Mapping[str, _Node]) -> Problems:
    starts = [name for name, node in nodes.items() if node.type == START]
    if len(starts) != 1:
        yield ("nodes",), f"expected exactly one node of type '{START}', found {listed(starts)}"


def _connections(nodes: Mapping[str, _Node], arrows: Sequence[_Arrow]) -> Problems:
    taken: dict[tuple[str, str], _Arrow] = {}
    for arrow in arrows:
        place = ("connections", arrow.number)
        for field, name in (("from", arrow.source), ("to", arrow.to)):
            if name not in nodes:
                yield (*place, field), f"expected the id of a node, found '{name}'{suggest(name, nodes)}"
        first = taken.setdefault((arrow.source, arrow.output), arrow)
        if first is not arrow:
            yield (
                place,
                (
                    f"expected at most one connection from output '{arrow.output}' of node '{arrow.source}', "
                    f"connections[{first.number}] leads from it to '{first.to}' already"
                ),
            )
        outputs = nodes[arrow.source].outputs if arrow.source in nodes else None
        if outputs is not None and arrow.output not in outputs:
            has = f"it has: {listed(outputs)}{suggest(arrow.output, outputs)}"
            message = f"expected an output of node '{arrow.source}', found '{arrow.output}'; {has}"
            yield (*place, "output"), message
        if arrow.to in nodes and nodes[arrow.to].type == START:
            yield (*place, "to"), f"expected a node other than the start, found '{arrow.to}': nothing leads into it"


def _unreachable(nodes: Mapping[str, _Node], arrows: Sequence[_Arrow]) -> Problems:
    starts = [name for name, node in nodes.items() if node.type == START]
    if len(starts) != 1:
        return
    targets: dict[str, list[str]] = {}
    for arrow in arrows:
        targets.setdefault(arrow.source, []).append(arrow.to)
    reached = dict.fromkeys(starts)
    todo = starts
    while todo:
        for name in targets.get(todo.pop(), ()):
            if name not in reached:
                reached[name] = None
                todo.append(name)
    for name, node in nodes.items():
        if name not in reached:
            yield ("nodes", node.number), "expected a way from the start to this node, found none"
