"""Folds of the log that can be queried."""

from engine.stopping import StopReason
from projections.errors import (
    CursorError,
    ViewsBehindError,
    ViewsDamagedError,
    ViewsError,
    ViewsLockedError,
    ViewsNewerError,
    ViewsNotReadyError,
)
from projections.listing import Page, RunFilter
from projections.position import Position
from projections.projection import Commit, Projection, Rows, Stretch
from projections.projector import VIEWS, Projector
from projections.runs import RunSummary
from projections.views import Views
from projections.work import OpenWork, WaitsFor
from projections.workflows import PublishedWorkflow

__all__ = [
    "VIEWS",
    "Commit",
    "CursorError",
    "OpenWork",
    "Page",
    "Position",
    "Projection",
    "Projector",
    "PublishedWorkflow",
    "Rows",
    "RunFilter",
    "RunSummary",
    "StopReason",
    "Stretch",
    "Views",
    "ViewsBehindError",
    "ViewsDamagedError",
    "ViewsError",
    "ViewsLockedError",
    "ViewsNewerError",
    "ViewsNotReadyError",
    "WaitsFor",
]
