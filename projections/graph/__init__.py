"""Workflows and runs as pictures: SVG that stands for itself."""

from projections.graph.drawing import draw_run, draw_workflow
from projections.graph.errors import GraphError
from projections.graph.taken import Exit, taken_in

__all__ = ["Exit", "GraphError", "draw_run", "draw_workflow", "taken_in"]
