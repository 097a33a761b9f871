"""`executor`: executes runs until it is told to stop, and keeps views fresh meanwhile if it is to."""

from typing import Annotated

from cyclopts import Parameter, validators

from engine.cli.executor import execute
from engine.cli.options import ALL_OPTIONS, AllOptions
from engine.limits import EXECUTOR_GRACE_SECONDS, EXECUTOR_GRACE_SECONDS_MAX
from projections.views import Views


def executor(
    *,
    grace: Annotated[
        float, Parameter(show_default=False, validator=validators.Number(gte=0, lte=EXECUTOR_GRACE_SECONDS_MAX))
    ] = EXECUTOR_GRACE_SECONDS,
    keep_views: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    options: AllOptions = ALL_OPTIONS,
) -> int:
    """Execute runs until SIGTERM or Ctrl-C; on Kafka any number of executors share the work.

    Parameters
    ----------
    grace
        Seconds that nodes under way get to end at SIGTERM or Ctrl-C, when no more are begun [8].
    keep_views
        Keep the log's views fresh, too.
    """
    return execute(options, grace, Views.folded if keep_views else None)
