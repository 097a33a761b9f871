"""Checkers of the promises: they read the log and what the outside world wrote down, and share no code with the engine.

One module for each promise; `check_all` calls them all.
"""

from tests.checkers.artefacts import (
    Artefacts,
    Delivered,
    Effect,
    Facts,
    Line,
    Reading,
    Request,
    ViewDump,
    note,
)
from tests.checkers.check import CHECKERS, Violation, check_all, name_of
from tests.checkers.rule import TERMINAL, Chain, Chains, Commit, accepted_commits, chains
from tests.checkers.runs import check_runs

__all__ = [
    "CHECKERS",
    "TERMINAL",
    "Artefacts",
    "Chain",
    "Chains",
    "Commit",
    "Delivered",
    "Effect",
    "Facts",
    "Line",
    "Reading",
    "Request",
    "ViewDump",
    "Violation",
    "accepted_commits",
    "chains",
    "check_all",
    "check_runs",
    "name_of",
    "note",
]
