"""Why a picture cannot be drawn."""

from engine.errors import RunlineError


class GraphError(RunlineError):
    """The layout library is not installed, the workflow is too tangled, or the parts do not belong together."""

    code = "graph"
