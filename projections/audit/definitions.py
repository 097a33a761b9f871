"""The workflow versions: what `workflows` holds, checked, and made ready to follow runs along."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple

import orjson

from engine.log.port import LogRecord
from projections.audit.findings import Findings
from projections.audit.rules import Rule
from projections.audit.shape import WORKFLOW, check_headers
from projections.audit.wire import canonical

_LIMIT: Final = 1_000
"""Node executions of a run whose definition does not say how many."""


class Node(NamedTuple):
    """A node of a definition.

    Attributes:
        type: Its type.
        title: Its title.
        plain_end: Whether it is an end node whose output is the whole context.
        targets: For each output that leads somewhere, the node that comes next.
    """

    type: str
    title: str
    plain_end: bool
    targets: Mapping[str, str]


class Graph(NamedTuple):
    """A workflow version.

    Attributes:
        workflow: The workflow's id.
        start: The start node's id.
        limit: Node executions of one run.
        nodes: The nodes by id.
    """

    workflow: str
    start: str
    limit: int
    nodes: Mapping[str, Node]


def parse_definition(text: bytes) -> Graph | str:
    """Return the graph of a definition's canonical JSON, or what is wrong with it."""
    try:
        data = orjson.loads(text)
        targets: dict[str, dict[str, str]] = {node["id"]: {} for node in data["nodes"]}
        for connection in data["connections"]:
            targets[connection["from"]][connection["output"]] = connection["to"]
        starts = [node["id"] for node in data["nodes"] if node["type"] == "start"]
        nodes = {node["id"]: _node(node, targets[node["id"]]) for node in data["nodes"]}
        graph = Graph(data["id"], starts[0] if len(starts) == 1 else "", data["node_execution_limit"], nodes)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"expected a workflow definition, but {error!r}"
    if not (data["id"].__class__ is str and data["node_execution_limit"].__class__ is int and graph.start):
        return "expected a workflow definition with an id, one start node and a limit"
    return graph if canonical(data) == text else "expected canonical JSON, but its names are not sorted, or have blanks"


def _node(data: Mapping[str, object], targets: Mapping[str, str]) -> Node:
    configuration = data["configuration"]
    plain = data["type"] == "end" and isinstance(configuration, dict) and not configuration.get("mappings")
    return Node(str(data["type"]), str(data["title"]), plain, targets)


class Definitions:
    """Checks the records of `workflows`, and keeps the versions.

    Args:
        findings: What is wrong.
        partitions: How many partitions `commands` and `events` have.

    Attributes:
        graphs: The versions that are what they say.
    """

    def __init__(self, findings: Findings, partitions: int) -> None:
        self._findings = findings
        self._partitions = str(partitions)
        self.graphs: dict[str, Graph] = {}

    def take(self, record: LogRecord) -> None:
        """Check a record."""
        headers = record.headers

        def found(rule: Rule, text: str) -> None:
            self._findings.add(rule, record.offset, "", text)

        if headers.get("ce_type") != WORKFLOW:
            found(Rule.RECORD_UNKNOWN, f"expected a record of type {WORKFLOW}, but found {headers.get('ce_type')!r}")
            return
        check_headers(WORKFLOW, headers, found)
        graph = parse_definition(record.value)
        if isinstance(graph, str):
            found(Rule.WORKFLOW_VERSION, graph)
            return
        version = sha256(record.value).hexdigest()
        if headers.get("version") != version:
            found(Rule.WORKFLOW_VERSION, f"expected version {version}, but found {headers.get('version')!r}")
        place = f"{graph.workflow}/{version}"
        if record.key != place or headers.get("ce_id") != place:
            found(Rule.WORKFLOW_VERSION, f"expected key and id {place}, but found {record.key!r}")
        if headers.get("ce_subject") != graph.workflow:
            found(Rule.HEADER_WRONG, f"expected ce_subject {graph.workflow!r}, but found {headers.get('ce_subject')!r}")
        # Early versions did not say.
        if headers.get("partitions", self._partitions) != self._partitions:
            text = f"expected {self._partitions} partitions, but found {headers.get('partitions')!r}"
            found(Rule.HEADER_WRONG, text)
        self.graphs[version] = graph
