"""`executor`: executes runs until it is told to stop, and keeps views fresh meanwhile if it is to."""

from typing import Annotated

from cyclopts import Parameter

from engine.cli.executor import execute
from engine.cli.options import ALL_OPTIONS, AllOptions
from projections.views import Views


def executor(
    *,
    keep_views: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    options: AllOptions = ALL_OPTIONS,
) -> int:
    """Execute runs until SIGTERM or Ctrl-C; on Kafka any number of executors share the work.

    Parameters
    ----------
    keep_views
        Keep the log's views fresh, too.
    """
    return execute(options, Views.folded if keep_views else None)
