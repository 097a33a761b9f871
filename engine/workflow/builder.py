"""Definitions in Python: the same model as from files."""

from typing import TYPE_CHECKING, Self

from pydantic import JsonValue

from engine.errors import DefinitionError
from engine.limits import NODE_EXECUTIONS_DEFAULT
from engine.workflow.definition import WorkflowDefinition
from engine.workflow.names import listed, suggest
from engine.workflow.validation import require_valid

if TYPE_CHECKING:
    from engine.registry import Registry

_NEXT = "next"


class WorkflowBuilder:
    """Builds a workflow node by node; each node is connected to the one before it.

    `WorkflowBuilder("answer", "Answer").start().code("ask", function="answer").end().build()`
    """

    def __init__(
        self,
        id: str,  # noqa: A002 - the word in definitions
        name: str,
        *,
        description: str | None = None,
        node_execution_limit: int = NODE_EXECUTIONS_DEFAULT,
    ) -> None:
        self._data: dict[str, object] = {
            "id": id,
            "name": name,
            "description": description,
            "node_execution_limit": node_execution_limit,
        }
        self._nodes: list[dict[str, object]] = []
        self._connections: list[dict[str, str]] = []
        self._before: tuple[str, str] | None = None

    def node(
        self,
        id: str,  # noqa: A002 - the word in definitions
        type: str,  # noqa: A002 - the same
        *,
        title: str | None = None,
        **configuration: JsonValue,
    ) -> Self:
        """Add a node, connected to the node and output that `after` or the node before named.

        Args:
            id: Unique in the workflow.
            type: The name of its node type.
            title: Words for people; the id unless given.
            configuration: The fields of its configuration; one that is a word of Python's ends in `_`: `from_`.
        """
        fields = {name.removesuffix("_"): value for name, value in configuration.items()}
        self._nodes.append({"id": id, "type": type, "title": title or id, "configuration": fields})
        if self._before is not None:
            self.connect(self._before[0], id, self._before[1])
        # Only the end node has no way on, and only the outputs of a node of one output are known by name here.
        self._before = None if type in {"end", "switch"} else (id, _NEXT)
        return self

    def start(self, id: str = "start", *, title: str | None = None, **configuration: JsonValue) -> Self:  # noqa: A002 - the word in definitions
        """Add the start node."""
        return self.node(id, "start", title=title, **configuration)

    def code(self, id: str, *, function: str, title: str | None = None) -> Self:  # noqa: A002 - the word in definitions
        """Add a node that calls a registered function."""
        return self.node(id, "code", title=title, function=function)

    def edit(self, id: str, *, title: str | None = None, **configuration: JsonValue) -> Self:  # noqa: A002 - the word in definitions
        """Add a node that changes the context: `move`, `copy`, `set`, `delete`."""
        return self.node(id, "edit", title=title, **configuration)

    def switch(self, id: str, *, title: str | None = None, **configuration: JsonValue) -> Self:  # noqa: A002 - the word in definitions
        """Add a decision: `cases`, `default`; go on from each output with `after`."""
        return self.node(id, "switch", title=title, **configuration)

    def end(self, id: str = "end", *, title: str | None = None, **configuration: JsonValue) -> Self:  # noqa: A002 - the word in definitions
        """Add an end node; the next node added is connected to nothing unless `after` says to what."""
        return self.node(id, "end", title=title, **configuration)

    def after(self, id: str, output: str = _NEXT) -> Self:  # noqa: A002 - the word in definitions
        """Connect the next node that is added to this node's output.

        Raises:
            DefinitionError: There is no such node yet.
        """
        known = [str(node["id"]) for node in self._nodes]
        if id not in known:
            raise DefinitionError(
                f"Expected the id of a node added before, found '{id}'; there are: {listed(known)}{suggest(id, known)}"
            )
        self._before = (id, output)
        return self

    def connect(self, source: str, to: str, output: str = _NEXT) -> Self:
        """Connect an output of a node to a node; both may be added later."""
        self._connections.append({"from": source, "output": output, "to": to})
        return self

    def build(self, registry: "Registry | None" = None) -> WorkflowDefinition:
        """Return the definition.

        Args:
            registry: Makes known the node types, functions and predicates of an application; without it only the
                built-in node types are known, and functions are not checked.

        Raises:
            DefinitionError: It has problems: all are listed.
        """
        data = {**self._data, "nodes": self._nodes, "connections": self._connections}
        return require_valid(data, registry, source=f"workflow {self._data['id']!r}")
