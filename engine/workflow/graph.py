"""Checks of a definition's graph, on data that may be wrong in other places: what can be read is checked."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from engine.limits import DEFINITION_CONNECTIONS_MAX, DEFINITION_NODES_MAX, FINDINGS_MAX
from engine.nodes.node_type import NEXT, Configuration, NodeType, Problem
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
    """What can be read of a connection."""

    number: int
    source: str | None
    output: str | None
    to: str | None


def check_graph(data: Mapping[str, object], registry: "Registry | None") -> list[tuple[Location, str]]:
    """Return where and what is wrong with the nodes' configurations, the connections and the graph they make."""
    nodes_data, arrows_data = data.get("nodes"), data.get("connections", ())
    if not isinstance(nodes_data, (list, tuple)) or len(nodes_data) > DEFINITION_NODES_MAX:
        return []  # the model has found it; without nodes all else is its consequence, with more it would take long
    problems: list[tuple[Location, str]] = []
    nodes = _nodes(nodes_data, registry, problems)
    problems += _starts(nodes_data)
    if not isinstance(arrows_data, (list, tuple)) or len(arrows_data) > DEFINITION_CONNECTIONS_MAX:
        return problems  # the same
    arrows = [_arrow(index, entry) for index, entry in enumerate(arrows_data)]
    for problem in _connections(nodes, arrows):
        problems.append(problem)
        if len(problems) > FINDINGS_MAX:
            return problems  # each looks for similar names: thousands would take long
    problems += _unreachable(nodes, arrows)
    return problems


def _built_in() -> "Registry":
    from engine.registry import Registry  # noqa: PLC0415 - the registry imports the node types, which import names

    return Registry()


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
        return node_type.outputs_in({})
    place: Location = ("nodes", index, "configuration")
    found: list[Problem] = []
    try:
        configuration = node_type.configure(data)
    except ValidationError as error:
        problems += [((*place, *where), message) for where, message in translated(error, node_type.configuration)]
        outputs = node_type.outputs_in(data)
    else:
        found += node_type.check(configuration, registry)
        outputs = node_type.outputs(configuration)
    found += islice(node_type.check_data(data, registry), FINDINGS_MAX)
    for problem in found:
        field = tuple(int(part) if part.isdecimal() else part for part in problem.field.split(".") if part)
        problems.append(((*place, *field), problem.message))
    return outputs


def _arrow(index: int, entry: object) -> _Arrow:
    fields = entry if isinstance(entry, Mapping) else {}
    texts = (fields.get("from"), fields.get("output", NEXT), fields.get("to"))
    return _Arrow(index, *(text if isinstance(text, str) else None for text in texts))


def _starts(data: Sequence[object]) -> Problems:
    starts = [
        name if isinstance(name := entry.get("id"), str) else f"nodes[{index}]"
        for index, entry in enumerate(data)
        if isinstance(entry, Mapping) and entry.get("type") == START
    ]
    if len(starts) != 1:
        yield ("nodes",), f"expected exactly one node of type '{START}', found {listed(starts)}"


def _connections(nodes: Mapping[str, _Node], arrows: Sequence[_Arrow]) -> Problems:
    taken: dict[tuple[str, str], _Arrow] = {}
    for arrow in arrows:
        place = ("connections", arrow.number)
        for field, name in (("from", arrow.source), ("to", arrow.to)):
            if name is not None and name not in nodes:
                yield (*place, field), f"expected the id of a node, found '{name}'{suggest(name, nodes)}"
        if arrow.source is not None and arrow.output is not None:
            first = taken.setdefault((arrow.source, arrow.output), arrow)
            if first is not arrow:
                expected = f"at most one connection from output '{arrow.output}' of node '{arrow.source}'"
                to = f" to '{first.to}'" if first.to is not None else ""
                yield place, f"expected {expected}, connections[{first.number}] leads from it{to} already"
        outputs = nodes[arrow.source].outputs if arrow.source is not None and arrow.source in nodes else None
        if outputs is not None and arrow.output is not None and arrow.output not in outputs:
            has = f"it has: {listed(outputs)}{suggest(arrow.output, outputs)}"
            message = f"expected an output of node '{arrow.source}', found '{arrow.output}'; {has}"
            yield (*place, "output"), message
        if arrow.to is not None and arrow.to in nodes and nodes[arrow.to].type == START:
            yield (*place, "to"), f"expected a node other than the start, found '{arrow.to}': nothing leads into it"


def _unreachable(nodes: Mapping[str, _Node], arrows: Sequence[_Arrow]) -> Problems:
    """Yield the nodes that no way leads to, unless an end of a connection that names no node may hide one."""
    starts = [name for name, node in nodes.items() if node.type == START]
    # An end that names no node stands for any: such a source may be reached, and such a target may be any node.
    ways = [
        (arrow.source if arrow.source in nodes else None, arrow.to if arrow.to in nodes else None) for arrow in arrows
    ]
    reached = _reached([*starts, *(to for source, to in ways if source is None)], ways)
    if not starts or None in reached:
        return
    for name, node in nodes.items():
        if name not in reached:
            yield ("nodes", node.number), "expected a way from the start to this node, found none"


def _reached(begin: Sequence[str | None], ways: Sequence[tuple[str | None, str | None]]) -> set[str | None]:
    targets: dict[str | None, list[str | None]] = {}
    for source, to in ways:
        targets.setdefault(source, []).append(to)
    reached: set[str | None] = set()
    todo = [*begin]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += targets.get(name, ())
    return reached
