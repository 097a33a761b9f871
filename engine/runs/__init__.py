"""What a process sees of runs: through its own executor, or by reading the log like everybody else."""

from engine.runs.local import LocalRuns
from engine.runs.port import Runs, RunViews
from engine.runs.shared import SharedRuns

__all__ = ["LocalRuns", "RunViews", "Runs", "SharedRuns"]
