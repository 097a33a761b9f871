"""Where the nodes of a picture stand and how the connections run: the layout library's work.

The library is graphlay (MIT or Apache-2.0). It was chosen because it needs nothing else, neither a program nor another
package; has wheels for Linux, macOS and Windows, and types; makes room for the connections' labels and routes loops
back to earlier nodes; promises the same drawing for the same input; and can be told at what size to refuse. It is
young, so nothing but this module knows it. Graphviz's Python packages are older, but need its programs or bring 100 MB
of them; igraph is under the GPL; the others that were found place the nodes only.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.limits import GRAPH_FINE_CONNECTIONS_MAX, GRAPH_FINE_NODES_MAX, GRAPH_WAYPOINTS_MAX
from projections.graph.errors import GraphError

if TYPE_CHECKING:
    import graphlay

_LAYER_GAP: Final = 48
_NODE_GAP: Final = 40
"""Pixels between nodes above and beside each other; labels get theirs on top."""
_LANE_GAP: Final = 17
"""Pixels between connections that run beside each other: enough for a label on each."""
CONNECTION_GAP: Final = 18
"""Pixels between the ends of connections at a node."""


class Point(NamedTuple):
    """Pixels from the left and from the top."""

    x: float
    y: float


class Size(NamedTuple):
    """Pixels."""

    width: float
    height: float


class Arrow(NamedTuple):
    """A connection to be routed.

    Attributes:
        source: The number of the node it leaves.
        target: The number of the node it enters.
        label: The room its label needs, or None.
    """

    source: int
    target: int
    label: Size | None


class Route(NamedTuple):
    """A connection as it was routed.

    Attributes:
        points: Its corners, from border to border.
        label: The middle of its label, or None.
        back: Whether it leads back to an earlier node, or to its own.
    """

    points: list[Point]
    label: Point | None
    back: bool


class Layout(NamedTuple):
    """A laid out graph, its upper left corner at 0, 0.

    Attributes:
        nodes: The nodes' middles, in the order given.
        routes: The connections, in the order given.
        size: What all of it takes.
    """

    nodes: list[Point]
    routes: list[Route]
    size: Size


def lay_out(nodes: Sequence[Size], arrows: Sequence[Arrow]) -> Layout:
    """Lay out a graph from top to bottom; the same graph always comes out the same.

    Raises:
        GraphError: The library is not installed, or the connections are too tangled.
    """
    try:
        import graphlay  # noqa: PLC0415 - an extra: only who draws needs it
    except ImportError as error:
        raise GraphError(
            "Expected the layout library graphlay, but it is not installed.",
            hint="Install it with the extra: pip install 'runline[graph]'",
        ) from error
    graph = {
        "nodes": [{"size": size._asdict()} for size in nodes],
        "edges": [_edge(arrow) for arrow in arrows],
    }
    fine = len(nodes) <= GRAPH_FINE_NODES_MAX and len(arrows) <= GRAPH_FINE_CONNECTIONS_MAX
    try:
        drawn = graphlay.layout(graph, preset="process_map", options=_FINE if fine else _COARSE)
    except graphlay.GraphlayError as error:
        raise GraphError(
            f"Expected connections that can be routed over {GRAPH_WAYPOINTS_MAX} waypoints at most, but the layout of "
            f"{len(nodes)} nodes and {len(arrows)} connections was refused: {error}.",
            hint="Nobody could read a picture of connections this tangled.",
        ) from error
    return _read(drawn, arrows)


def _edge(arrow: Arrow) -> dict[str, object]:
    edge: dict[str, object] = {"source": arrow.source, "target": arrow.target}
    if arrow.label is not None:
        edge["label_size"] = arrow.label._asdict()
    return edge


def _read(drawn: "graphlay.Layout", arrows: Sequence[Arrow]) -> Layout:
    first, last = drawn.bounds["min"], drawn.bounds["max"]

    def point(given: Mapping[str, float]) -> Point:
        return Point(given["x"] - first["x"], given["y"] - first["y"])

    back = set(drawn.raw["reversed"])
    routes = [
        Route(
            [point(corner) for corner in edge["points"]],
            None if edge["label_anchor"] is None else point(edge["label_anchor"]),
            number in back or arrow.source == arrow.target,
        )
        for number, (edge, arrow) in enumerate(zip(drawn.edges, arrows, strict=True))
    ]
    size = Size(last["x"] - first["x"], last["y"] - first["y"])
    return Layout([point(node["center"]) for node in drawn.nodes], routes, size)


_FINE: Final[Mapping[str, object]] = {
    "direction": "topbottom",
    "cycles": {"strategy": "follow_flow"},
    "spacing": {
        "layer_gap": _LAYER_GAP,
        "node_gap": _NODE_GAP,
        "port_gap": CONNECTION_GAP,
        "bundle_lane_gap": _LANE_GAP,
        "edge_label_margin": 12,
    },
    "routing": {"lane_gap": _LANE_GAP},
    "labels": {"reservation": "always"},
    "limits": {"max_dummies": GRAPH_WAYPOINTS_MAX},
}
_COARSE: Final[Mapping[str, object]] = {
    **_FINE,
    "effort": "fast",
    "coords": {
        "placement": "brandes_koepf",
        "branch_bands": False,
        "branch_style": "free",
        "terminal_centering": False,
    },
    "tuning": {
        "routing": {"port_relax_rounds": 0, "overlap_repair_rounds": 0, "step_flatten": 0},
        "coords": {"flatten_room": 0, "simplex_max_nodes": 0, "branch_rounds": 0, "main_path_room": 0},
    },
}
"""Without the improvements whose time grows faster than the graph: what is left is hardly worse on a large one."""
