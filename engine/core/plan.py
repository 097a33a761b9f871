"""A plan: a workflow version made ready to run, with its node types and configurations resolved once."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, cast

from engine.context.encoding import copied
from engine.context.values import WireObject
from engine.core.soundness import failed_by
from engine.nodes.node_type import Configuration, NodeType, Step

_OURS: Final = "engine.nodes."


class PlannedNode(NamedTuple):
    """One node of a plan.

    Attributes:
        id: The node's id.
        title: Its title.
        node_type: What it is.
        configuration: Its checked configuration.
        outputs: The names of its outputs.
        targets: Output name to the id of the node it leads to.
        missing: Why this process cannot do the node's work (a function that is not registered here), or an empty text.
    """

    id: str
    title: str
    node_type: NodeType[Configuration]
    configuration: Configuration
    outputs: Sequence[str]
    targets: Mapping[str, str]
    missing: str

    def decide(self, context: WireObject) -> Step:
        """Return what happens when a path enters this node with this context."""
        # One from elsewhere may change what it gets although it must not, and this is the run's state itself.
        ours = type(self.node_type).__module__.startswith(_OURS)
        try:
            return self.node_type.decide(self.configuration, context if ours else cast("WireObject", copied(context)))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a node type may come from anywhere; its mistake fails its node, no more
            return failed_by(error)


class Plan(NamedTuple):
    """One workflow version, ready to run.

    Attributes:
        workflow: The workflow's id.
        version: Its version.
        start: The id of the start node.
        nodes: Node id to node.
        node_execution_limit: Traces of one run before it fails.
        missing: Whether a node needs what is not registered in this process.
    """

    workflow: str
    version: str
    start: str
    nodes: Mapping[str, PlannedNode]
    node_execution_limit: int
    missing: bool

    def waiting(self, why: str) -> "Plan":
        """Return the plan of a process that does no node's work any more: runs stand before it, for others."""
        nodes = {name: node._replace(missing=node.missing or why) for name, node in self.nodes.items()}
        return self._replace(nodes=nodes, missing=True)
